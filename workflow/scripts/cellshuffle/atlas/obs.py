"""Cells chosen by their obs columns, and these columns as codes, over several plates."""

import warnings
from collections import Counter
from contextlib import ExitStack

import numpy as np

from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.atlas.names import name_of
from cellshuffle.atlas.selection import has_value
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError

SHOWN = 20  # values named in a message


def names_wanted(where):
    """{obs column: [names]} of {obs column: value or values}; InputError when it is something else."""
    if not isinstance(where, dict):
        raise InputError(
            f"where: {where!r} is not {{obs column: value or values}}, such as {{'pass_filter': 'full'}}"
        )
    several = {column: np.iterable(v) and not isinstance(v, str | bytes) for column, v in where.items()}
    return {column: [name_of(v) for v in (w if several[column] else [w])] for column, w in where.items()}


def where_words(where):
    """What cells are asked for, in words: `pass_filter = full`."""
    wanted = names_wanted(where)
    return " and ".join(f"{column} = {' or '.join(map(str, names))}" for column, names in wanted.items())


def where_mask(file, where):
    """(n_cells,) bool: the cells of an open h5ad that have one of the values wanted in each column.

    where: {obs column: value or values}, of which there is at least one column. Raises InputError when the
    file lacks a column.
    """
    masks = [has_value(file, column, names) for column, names in names_wanted(where).items()]
    return np.logical_and.reduce(masks)


def absent_values(files, where):
    """{(column, value wanted that no file has): the values there are}; files: open h5ad files."""
    absent = {}
    for column, names in names_wanted(where).items():
        there = sorted(set().union(*(column_codes(file, column)[1].tolist() for file in files)))
        absent |= {(column, name): there for name in names if name not in there}
    return absent


def value_counts(file, where, rows=None):
    """{(column, value wanted): cells of an open plate that have it}; rows: of those that count, None: all."""
    counts = Counter()
    for column, names in names_wanted(where).items():
        codes, values = column_codes(file, column)
        codes = codes if rows is None else codes[rows]
        cells = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
        there = dict(zip(values.tolist(), cells, strict=True))
        counts.update({(column, name): there.get(name, 0) for name in names})
    return counts


def where_of(paths, where):
    """`where` without the values that none of these plates has; those of a split need not have all."""
    if not where:
        return None
    with ExitStack() as stack:
        absent = absent_values([stack.enter_context(open_h5ad(path)) for path in paths], where)
    wanted = names_wanted(where).items()
    return {column: [name for name in names if (column, name) not in absent] for column, names in wanted}


def absent_line(column, name, there):
    """What is wrong with a value that no plate has."""
    return (
        f"where: no plate has the value {name!r} in obs column '{column}' (they have: "
        f"{', '.join(there[:SHOWN])})"
    )


def where_masks(files, where, rows):
    """A bool mask of the `rows` of every file: its `where_mask`.

    files: open h5ad files; rows: of each, sorted row numbers or a slice. Warns of a value that none of the
    files has, as a run does. Raises InputError when a column is not there, or no cell is left.
    """
    masks = [where_mask(file, where)[chosen] for file, chosen in zip(files, rows, strict=True)]
    lines = [absent_line(*key, there) for key, there in absent_values(files, where).items()]
    if not any(np.any(mask) for mask in masks):
        raise InputError("\n".join(lines) or f"where: no cell of the plates has {where_words(where)}")
    for line in lines:
        warnings.warn(line, stacklevel=2)
    return masks


def encoded(files, column, rows):
    """((n_cells,) codes, [names]) of an obs column of several files: codes into its sorted distinct values.

    rows: of each file, sorted row numbers or a slice. Codes have the narrowest type that fits. Raises
    InputError when the column is not in all files, holds no labels, or lacks the value of a cell.
    """
    pairs = []
    for file, chosen in zip(files, rows, strict=True):
        codes, values = column_codes(file, column)
        codes = codes[chosen]
        if missing := int((codes < 0).sum()):
            raise InputError(
                f"{file.filename}: {missing} cells have no value in obs column '{column}'; give them one, or "
                "name the values of those to read with `where`"
            )
        pairs.append((codes, values))
    names = class_names(pairs)
    narrow = np.min_scalar_type(max(len(names) - 1, 0))
    return np.concatenate([codes.astype(narrow) for codes in encode(pairs, names)]), names


def class_names(pairs):
    """Sorted distinct labels that at least one cell has; pairs: (codes, labels) of each plate."""
    return sorted(set().union(*(values[np.unique(codes)].tolist() for codes, values in pairs)))


def encode(pairs, names):
    """Codes into `names`, one int array a plate; pairs: (codes, labels) of each plate."""
    place = {name: code for code, name in enumerate(names)}
    for codes, values in pairs:
        yield np.array([place.get(value, 0) for value in values.tolist()], np.int64)[codes]
