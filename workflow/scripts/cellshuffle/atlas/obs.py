"""Cells chosen by their obs columns, and these columns as codes, over several plates."""

import numpy as np

from cellshuffle.atlas.names import name_of
from cellshuffle.atlas.selection import has_value
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError

SHOWN = 20  # values named in a message


def where_masks(files, where, rows):
    """A bool mask of the `rows` of every file: cells that have one of the values wanted in each column.

    files: open h5ad files; rows: of each, sorted row numbers or a slice; where: {obs column: value or
    values}, compared as text.
    Raises InputError when a column or value is in none of the files, or no cell is left.
    """
    if not isinstance(where, dict):
        raise InputError(
            f"where: {where!r} is not {{obs column: value or values}}, such as {{'pass_filter': 'full'}}"
        )
    masks = [True] * len(files)
    for column, wanted in where.items():
        several = np.iterable(wanted) and not isinstance(wanted, str | bytes)
        wanted = [name_of(value) for value in (wanted if several else [wanted])]
        there = sorted(set().union(*(column_codes(file, column)[1].tolist() for file in files)))
        for value in wanted:
            if value not in there:
                raise InputError(
                    f"where: no plate has the value {value!r} in obs column '{column}' "
                    f"(they have: {', '.join(there[:SHOWN])})"
                )
        found = (has_value(file, column, wanted)[chosen] for file, chosen in zip(files, rows, strict=True))
        masks = [mask & here for mask, here in zip(masks, found, strict=True)]
    if not any(np.any(mask) for mask in masks):
        words = " and ".join(f"{column} = {value}" for column, value in where.items())
        raise InputError(f"where: no cell of the plates has {words}")
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
        if len(codes) and codes.max() >= len(values):
            raise InputError(f"{file.filename}: obs column '{column}' has codes beyond its categories")
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
