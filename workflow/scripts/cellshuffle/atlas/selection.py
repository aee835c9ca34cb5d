"""Which cells and genes of a source file a plate consists of."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellshuffle.atlas.h5ad import gene_names, member, open_h5ad
from cellshuffle.atlas.tables import column_codes, n_rows
from cellshuffle.errors import InputError


@dataclass
class Selection:
    """What a packed plate keeps: sorted row and column numbers; None keeps all."""

    rows: np.ndarray | None = None
    genes: np.ndarray | None = None


def select_cells(source, layer, plate=None, split=None, genes=None):
    """The Selection of rows and genes of the h5ad `source`.

    plate: {"column", "value"} keeps the cells of one value of an obs column.
    split: {"side": "train" or "test"} with {"column", "test": values} or {"fraction", "seed"}.
    genes: path of a text file, one gene a line; genes keep the order of the file's var.
    Raises InputError when a column, value or gene is not there, or nothing is left.
    """
    with open_h5ad(source) as file:
        masks = [_plate_mask(file, plate)] if plate else []
        masks += [_split_mask(file, source, plate, split)] if split else []
        rows = np.flatnonzero(np.logical_and.reduce(masks)) if masks else None
        columns = _gene_columns(file, layer, genes) if genes else None
    if rows is not None and len(rows) == 0:
        raise InputError(f"{source}: no cell is left for {_words(plate, split)}")
    return Selection(rows, columns)


def _words(plate, split):
    words = [f"{plate['column']} = {plate['value']}"] if plate else []
    return " and ".join(words + ([f"the {split['side']} side of atlas: split"] if split else []))


def _plate_mask(file, plate):
    codes, values = column_codes(file, plate["column"])
    wanted = np.flatnonzero(values == str(plate["value"]))
    if not len(wanted):
        there = ", ".join(values[:20])
        raise InputError(
            f"{file.filename}: obs column '{plate['column']}' has no value '{plate['value']}' "
            f"(it has: {there})"
        )
    return codes == wanted[0]


def _split_mask(file, source, plate, split):
    if "column" in split:
        codes, values = column_codes(file, split["column"])
        chosen = np.isin(values, [str(value) for value in split["test"]])
        if not chosen.any():
            raise InputError(
                f"{file.filename}: obs column '{split['column']}' has none of the test values "
                f"{', '.join(map(str, split['test']))} (it has: {', '.join(values[:20])})"
            )
        test = chosen[codes] & (codes >= 0)
    else:
        n_cells = n_rows(member(file, "obs"))
        name = Path(source).name + (f"/{plate['value']}" if plate else "")
        generator = np.random.default_rng([split["seed"], zlib.crc32(name.encode())])
        test = generator.random(n_cells) < split["fraction"]
    return test if split["side"] == "test" else ~test


def _gene_columns(file, layer, path):
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever
            raise FileNotFoundError
        wanted = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines()]
    except (FileNotFoundError, UnicodeDecodeError):
        raise InputError(
            f"{file.filename}: atlas: genes: {path} must be a text file, one gene a line"
        ) from None
    wanted = [name for name in wanted if name]
    there = gene_names(file, layer)
    absent = sorted(set(wanted) - set(there.tolist()))
    if absent or not wanted:
        raise InputError(
            f"{file.filename}: {len(absent)} of {len(wanted)} genes of {path} are not among its genes "
            f"(first: {', '.join(absent[:3])})"
        )
    return np.flatnonzero(np.isin(there, wanted))
