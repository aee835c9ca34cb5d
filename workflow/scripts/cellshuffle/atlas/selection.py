"""Which cells and genes of a source file a plate consists of."""

import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellshuffle.atlas.combinations import divided_by_combination
from cellshuffle.atlas.genes import alignment, check_unique, gene_list, genes_of_plates
from cellshuffle.atlas.h5ad import member
from cellshuffle.atlas.names import count_names, name_of
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.tables import column_codes, gene_names, n_rows
from cellshuffle.errors import InputError

SIDES = ("train", "test", "ignore")


@dataclass
class Selection:
    """What a packed plate keeps: sorted row numbers, column numbers; None keeps all.

    genes: -1 of one that the plate lacks, and is filled with zeros
    names: of these genes, None: as the plate has them
    aligned: what becomes of its genes, in words, where plates are brought to one list
    lacking: for each entry of `where`, the cells of the plate (and side of the split) that it leaves out
    divided: Counter of the cells of each value of the split's column, None for cells without one, or of each
        combination of its columns
    beside: {plate: cells} of all plates in the same column of the file
    """

    rows: np.ndarray | None = None
    genes: np.ndarray | None = None
    names: np.ndarray | None = None
    aligned: str = ""
    lacking: list = field(default_factory=list)
    divided: Counter = field(default_factory=Counter)
    beside: dict = field(default_factory=dict)


def select_cells(source, layer, plate=None, where=(), split=None, genes=None, gene_column=None, align=None):
    """The Selection of rows and genes of the h5ad `source`; it may have no rows.

    plate: {"column", "value"} keeps the cells of one value of an obs column.
    where: [{"column", "values": names or None}, ...] keeps the cells that have one of these values in each
    of the columns, or (None) any value.
    split: {"side": "train" or "test"} with {"column", "train", "test", "ignore": lists of values} or
    {"fraction", "seed"}, of all cells of the file or of the plate's column; or by whole combinations: see
    combinations.divided_by_combination.
    genes: path of a text file, one gene a line; genes keep the order of the file's var.
    gene_column: the column of var that has the names of the genes, None: its index.
    align: {"to": "intersection", "union" or the path of such a file, "plates": paths of all plates}, to
    have the genes of atlas.genes.common_genes.
    Raises InputError when a column, the plate or a gene is not there, or a name stands for two genes.
    """
    with open_plate(source) as file:
        chosen = choose_genes(file, layer, genes, gene_column, align)
        if not (plate or where or split):
            return Selection(None, *chosen)
        here, beside = np.ones(n_rows(member(file, "obs")), bool), {}
        if plate:
            here, beside = _of_plate(file, plate)
        side, divided = here, Counter()
        masks = [has_value(file, **entry) for entry in where]
        if split and "column" in split:
            side, divided = _divided(file, split, np.logical_and.reduce([here, *masks]))
            side &= here
        elif split and "columns" in split:
            side, divided = divided_by_combination(file, split, np.logical_and.reduce([here, *masks]))
            side &= here
        elif split:
            side = here & _drawn(len(here), source, plate, split)
    lacking = [int((side & ~mask).sum()) for mask in masks]
    rows = np.flatnonzero(np.logical_and.reduce([side, *masks]))
    return Selection(rows, *chosen, lacking, divided, beside)


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


def choose_genes(file, layer, path, column, align):
    """(column numbers, names, what becomes of them) as a Selection has them."""
    if not (path or column or align):
        return None, None, ""
    there = gene_names(file, layer, column)
    if align:
        common = genes_of_plates(align["to"], align["plates"], layer, column)
        return common.numbers(there), common.names, alignment(common, there)
    if column:
        check_unique(file.filename, there)
    if not path:
        return None, there, ""
    wanted = gene_list(path)
    absent = sorted(set(wanted) - set(there.tolist()))
    if absent or not wanted:
        raise InputError(
            f"{file.filename}: {len(absent)} of {len(wanted)} genes of {path} are not among its genes "
            f"(first: {', '.join(absent[:3])})"
        )
    numbers = np.flatnonzero(np.isin(there, wanted))
    return numbers, there[numbers] if column else None, ""
