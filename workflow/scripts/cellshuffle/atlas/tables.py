"""The obs and var tables of an h5ad: columns as categorical codes, and copies of chosen rows."""

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import attribute, index_of, member, values_of
from cellshuffle.atlas.names import are_whole, names_of
from cellshuffle.errors import InputError

DATAFRAME = {"encoding-type": "dataframe", "encoding-version": "0.2.0"}
CATEGORICAL = {"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False}
ROWS = 2**18  # of a column held in memory while it is copied
OLD_CATEGORIES = "__categories"  # where anndata before 0.8 kept the values of categorical columns


def n_rows(table):
    """Rows of an obs or var table, in the group encoding and in the older compound one."""
    if isinstance(table, h5py.Dataset):
        return len(table)
    return len(index_of(table))


def column_names(table):
    """Columns of a table, without its index."""
    if isinstance(table, h5py.Dataset):
        return [name for name in table.dtype.names if name != "index"]
    index = attribute(table, "_index", "_index")
    return [name for name in table if name not in (index, OLD_CATEGORIES)]


def column_codes(file, column):
    """Codes (n_cells,) and their values (n_values,) str of an obs column.

    Categorical columns are read as they are stored, without building a string a cell; strings,
    integers and booleans are encoded. A missing value has code -1. Integers become their decimal
    digits, whole real numbers those of the integer. Raises InputError when the column is not there or
    holds real numbers that are not whole.
    """
    obs = member(file, "obs")
    if column not in column_names(obs):
        there = ", ".join(column_names(obs))
        raise InputError(f"{file.filename}: obs has no column '{column}' (it has: {there})")
    if isinstance(obs, h5py.Dataset):
        categories = _compound_categories(file, column)
        if categories is not None:
            return _named(obs[column], categories)
        return _encode(obs[column], file, column)
    stored = member(obs, column)
    if isinstance(stored, h5py.Group) and "codes" in stored:
        categories = values_of(member(stored, "categories"))
        return _named(member(stored, "codes")[:], categories[:])
    if isinstance(stored, h5py.Group):  # nullable integers, booleans or strings
        return _encode(member(stored, "values")[:], file, column, member(stored, "mask")[:])
    if OLD_CATEGORIES in obs and column in obs[OLD_CATEGORIES]:
        return _named(stored[:], obs[OLD_CATEGORIES][column][:])
    return _encode(stored[:], file, column)


def _compound_categories(file, column):
    """Values of a categorical column of a compound table, None of a plain one: they were kept in uns."""
    name = f"uns/{column}_categories"
    return np.atleast_1d(member(file, name)[()]) if name in file else None


def _named(codes, categories):
    """Codes and names of a categorical column; a category that is NaN is no value."""
    if categories.dtype.kind == "f" and np.isnan(categories).any():
        absent = np.append(np.isnan(categories), True)  # of code -1, too
        codes = np.where(absent[codes], -1, (np.cumsum(~absent) - 1)[codes])
        categories = categories[~absent[:-1]]
    return codes, names_of(categories)


def _encode(values, file, column, masked=False):
    """Codes and names of plain values; masked: (n,) bool, cells without one, besides those with NaN."""
    missing = np.isnan(values) | masked if values.dtype.kind == "f" else np.full(len(values), masked)
    present = values[~missing]
    if values.dtype.kind == "f" and not are_whole(present):
        raise InputError(f"{file.filename}: obs column '{column}' holds real numbers, not labels")
    unique, found = np.unique(present, return_inverse=True)
    codes = np.full(len(values), -1)
    codes[~missing] = found
    return codes, names_of(unique)


def _strings(values):
    if values.dtype.kind in "OS":
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], str)
    return values.astype(str)


def copy_table(source, target, name, rows=None):
    """Copy table `name` of an open h5ad into the open h5ad `target` as its obs or var.

    rows: (k,) sorted row numbers to keep, None for all.
    """
    table = member(source, name)
    copied = target.create_group(name[-3:])  # obs or var, also of raw/var and raw.var
    if isinstance(table, h5py.Dataset):
        _copy_compound(source, table, copied, rows)
        return
    copied.attrs.update({key: value for key, value in table.attrs.items() if key != "categories"})
    copied.attrs.update(DATAFRAME)
    old = table.get(OLD_CATEGORIES, {})
    for column in table:
        if column == OLD_CATEGORIES:
            continue
        stored = member(table, column)
        if column in old:
            group = copied.create_group(column)
            group.attrs.update(CATEGORICAL)
            _write_column(group, "codes", stored[:] if rows is None else stored[:][rows])
            _write_column(group, "categories", old[column][:])
        else:
            _copy_rows(stored, copied, column, rows)


def _copy_compound(source, table, copied, rows):
    """Write a table of one compound dataset, as anndata kept it before 0.7, as a group of columns."""
    names = list(table.dtype.names)
    copied.attrs.update(DATAFRAME | {"_index": "index"})
    copied.attrs["column-order"] = np.array([n for n in names if n != "index"], h5py.string_dtype())
    cells = table[:] if rows is None else table[:][rows]
    for column in names:
        categories = _compound_categories(source, column)
        if categories is None:
            _write_column(copied, column, cells[column])
            continue
        group = copied.create_group(column)
        group.attrs.update(CATEGORICAL)
        _write_column(group, "codes", cells[column])
        _write_column(group, "categories", categories)


def _write_column(parent, name, values):
    text = values.dtype.kind in "OS"
    values = np.array(_strings(values), h5py.string_dtype()) if text else values
    encoding = "string-array" if text else "array"
    column = parent.create_dataset(name, data=values)
    column.attrs.update({"encoding-type": encoding, "encoding-version": "0.2.0"})


def _copy_rows(stored, parent, name, rows):
    """Copy a column; of a categorical or nullable one the codes, values and mask are per row."""
    if isinstance(stored, h5py.Group):
        group = parent.create_group(name)
        group.attrs.update(stored.attrs)
        for part in stored:
            below = None if part == "categories" else rows
            _copy_rows(member(stored, part), group, part, below)
        return
    n_rows = len(rows) if rows is not None and stored.ndim else None
    shape = stored.shape if n_rows is None else (n_rows, *stored.shape[1:])
    copied = parent.create_dataset(name, shape, stored.dtype)
    if stored.ndim == 0:
        copied[()] = stored[()]
    else:
        for low in range(0, shape[0], ROWS):
            copied[low : low + ROWS] = _part(stored, rows, low)
    if stored.dtype.kind == "O":
        copied.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    copied.attrs.update({key: value for key, value in stored.attrs.items() if key != "categories"})


def _part(stored, rows, low):
    """ROWS values of a column from the `low`-th on, of the sorted `rows` or (None) of all."""
    if rows is None:
        return stored[low : low + ROWS]
    wanted = rows[low : low + ROWS]
    return np.concatenate(
        [
            stored[first : first + ROWS][chosen - first]
            for first in range(int(wanted[0]), int(wanted[-1]) + 1, ROWS)
            for chosen in [wanted[(wanted >= first) & (wanted < first + ROWS)]]
        ]
    )
