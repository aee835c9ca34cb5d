"""Which cells and genes of a source file a plate consists of."""

import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellshuffle.atlas.h5ad import member
from cellshuffle.atlas.names import count_names, name_of
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.tables import column_codes, gene_names, n_rows
from cellshuffle.errors import InputError
from cellshuffle.files import open_text

SIDES = ("train", "test", "ignore")


@dataclass
class Selection:
    """What a packed plate keeps: sorted row numbers, column numbers; None keeps all.

    lacking: for each entry of `where`, the cells of the plate (and side of the split) that it leaves out
    divided: Counter of the cells of each value of the split's column, None for cells without one
    beside: {plate: cells} of all plates in the same column of the file
    """

    rows: np.ndarray | None = None
    genes: np.ndarray | None = None
    lacking: list = field(default_factory=list)
    divided: Counter = field(default_factory=Counter)
    beside: dict = field(default_factory=dict)


def select_cells(source, layer, plate=None, where=(), split=None, genes=None):
    """The Selection of rows and genes of the h5ad `source`; it may have no rows.

    plate: {"column", "value"} keeps the cells of one value of an obs column.
    where: [{"column", "values": names or None}, ...] keeps the cells that have one of these values in each
    of the columns, or (None) any value.
    split: {"side": "train" or "test"} with {"column", "train", "test", "ignore": lists of values} or
    {"fraction", "seed"}, of all cells of the file or of the plate's column.
    genes: path of a text file, one gene a line; genes keep the order of the file's var.
    Raises InputError when a column, the plate or a gene is not there.
    """
    with open_plate(source) as file:
        columns = _gene_columns(file, layer, genes) if genes else None
        if not (plate or where or split):
            return Selection(None, columns)
        here, beside = np.ones(n_rows(member(file, "obs")), bool), {}
        if plate:
            here, beside = _of_plate(file, plate)
        side, divided = here, Counter()
        masks = [has_value(file, **entry) for entry in where]
        if split and "column" in split:
            side, divided = _divided(file, split, np.logical_and.reduce([here, *masks]))
            side &= here
        elif split:
            side = here & _drawn(len(here), source, plate, split)
    lacking = [int((side & ~mask).sum()) for mask in masks]
    rows = np.flatnonzero(np.logical_and.reduce([side, *masks]))
    return Selection(rows, columns, lacking, divided, beside)


def sides_of(split):
    """{name of a value of the split's column, None: of no value: the sides that name it}."""
    sides = {}
    for side in SIDES:
        for value in split.get(side, ()):
            sides.setdefault(name_of(value), []).append(side)
    return sides


def _of_plate(file, plate):
    """The cells of a plate, and {plate: cells} of all in the column."""
    codes, names = column_codes(file, plate["column"])
    counts = count_names(codes, names)
    if plate["value"] not in counts:
        there = ", ".join(list(counts)[:20]) + ", ..." * (len(counts) > 20)
        raise InputError(
            f"{file.filename}: obs column '{plate['column']}' has no value '{plate['value']}' "
            f"(it has: {there})"
        )
    return np.append(names == plate["value"], False)[codes], counts


def has_value(file, column, values):
    """(n_cells,) bool: cells of an open h5ad that have one of these values (None: any) in an obs column."""
    codes, names = column_codes(file, column)
    chosen = np.ones(len(names), bool) if values is None else np.isin(names, values)
    return np.append(chosen, False)[codes]  # of code -1, too


def _divided(file, split, counted):
    """The cells of one side of a split by column, and the `counted` cells by value."""
    codes, names = column_codes(file, split["column"])
    sides = sides_of(split)
    chosen = [split["side"] in sides.get(name, ()) for name in [*names.tolist(), None]]
    here = codes[counted]
    without = int((here < 0).sum())
    counts = Counter(count_names(here, names)) + Counter({None: without})
    return np.array(chosen)[codes], counts


def _drawn(n_cells, source, plate, split):
    """The cells of one side of a split at random."""
    name = Path(source).name + (f"/{plate['value']}" if plate else "")
    generator = np.random.default_rng([split["seed"], zlib.crc32(name.encode())])
    test = generator.random(n_cells) < split["fraction"]
    return test if split["side"] == "test" else ~test


def gene_list(path):
    """Names of genes in a text file, one a line; InputError when it is no such file."""
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever
            raise FileNotFoundError("there is no such file")
        with open_text(path) as text:
            wanted = [line.strip() for line in text]
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"genes: {path} must be a text file in UTF-8, one gene a line ({error})") from None
    return [name for name in wanted if name]


def _gene_columns(file, layer, path):
    wanted = gene_list(path)
    there = gene_names(file, layer)
    absent = sorted(set(wanted) - set(there.tolist()))
    if absent or not wanted:
        raise InputError(
            f"{file.filename}: {len(absent)} of {len(wanted)} genes of {path} are not among its genes "
            f"(first: {', '.join(absent[:3])})"
        )
    return np.flatnonzero(np.isin(there, wanted))
