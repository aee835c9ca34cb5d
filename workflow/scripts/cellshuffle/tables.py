"""The obs and var tables of an h5ad: columns as categorical codes, and copies of chosen rows."""

import h5py
import numpy as np

from cellshuffle.errors import InputError
from cellshuffle.plates import member

OLD_CATEGORIES = "__categories"  # where anndata before 0.8 kept the values of categorical columns


def n_rows(table):
    """Rows of an obs or var table, in the group encoding and in the older compound one."""
    if isinstance(table, h5py.Dataset):
        return len(table)
    return len(member(table, table.attrs.get("_index", "_index")))


def column_names(table):
    """Columns of a table, without its index."""
    if isinstance(table, h5py.Dataset):
        return [name for name in table.dtype.names if name != "index"]
    index = table.attrs.get("_index", "_index")
    return [name for name in table if name not in (index, OLD_CATEGORIES)]


def column_codes(file, column):
    """Codes (n_cells,) and their values (n_values,) str of an obs column.

    Categorical columns are read as they are stored, without building a string a cell; strings,
    integers and booleans are encoded. A missing value has code -1. Integers become their decimal
    digits. Raises InputError when the column is not there or holds floating point numbers.
    """
    obs = member(file, "obs")
    if column not in column_names(obs):
        there = ", ".join(column_names(obs))
        raise InputError(f"{file.filename}: obs has no column '{column}' (it has: {there})")
    if isinstance(obs, h5py.Dataset):
        return _encode(obs[column], file, column)
    stored = member(obs, column)
    if isinstance(stored, h5py.Group) and "codes" in stored:
        return stored["codes"][:], _strings(stored["categories"][:])
    if isinstance(stored, h5py.Group):  # nullable integers, booleans or strings
        codes, values = _encode(stored["values"][:], file, column)
        return np.where(stored["mask"][:], -1, codes), values
    if OLD_CATEGORIES in obs and column in obs[OLD_CATEGORIES]:
        return stored[:], _strings(obs[OLD_CATEGORIES][column][:])
    return _encode(stored[:], file, column)


def _encode(values, file, column):
    if values.dtype.kind == "f":
        raise InputError(f"{file.filename}: obs column '{column}' holds real numbers, not labels")
    unique, codes = np.unique(values, return_inverse=True)
    return codes, _strings(unique)


def _strings(values):
    if values.dtype.kind in "OS":
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], str)
    return values.astype(str)


def copy_table(source, target, name, rows=None):
    """Copy table `name` of an open h5ad into the open h5ad `target` as its obs or var.

    rows: (k,) sorted row numbers to keep, None for all.
    """
    table, short = member(source, name), name.split("/")[-1]
    if isinstance(table, h5py.Dataset):
        target.create_dataset(short, data=table[:] if rows is None else table[rows])
        return
    copied = target.create_group(short)
    copied.attrs.update({key: value for key, value in table.attrs.items() if key != "categories"})
    copied.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0"})
    old = table.get(OLD_CATEGORIES, {})
    for column in table:
        if column == OLD_CATEGORIES:
            continue
        stored = member(table, column)
        if column in old:
            group = copied.create_group(column)
            attributes = {"encoding-type": "categorical", "encoding-version": "0.2.0"}
            group.attrs.update(attributes | {"ordered": False})
            _copy_rows(old[column], group, "categories", None)
            _copy_rows(stored, group, "codes", rows)
        else:
            _copy_rows(stored, copied, column, rows)


def _copy_rows(stored, parent, name, rows):
    """Copy a column; of a categorical or nullable one the codes, values and mask are per row."""
    if isinstance(stored, h5py.Group):
        group = parent.create_group(name)
        group.attrs.update(stored.attrs)
        for part in stored:
            _copy_rows(stored[part], group, part, None if part == "categories" else rows)
        return
    values = stored[()] if rows is None or stored.ndim == 0 else stored[:][rows]
    copied = parent.create_dataset(name, data=values, dtype=stored.dtype)
    if stored.dtype.kind == "O":
        copied.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    copied.attrs.update({key: value for key, value in stored.attrs.items() if key != "categories"})
