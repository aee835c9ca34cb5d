"""Copies of the obs and var tables of an h5ad, in whichever encoding, as anndata writes them today."""

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import in_obsm, member, unwrapped, var_name
from cellshuffle.atlas.tables import (
    check_length,
    column_names,
    gene_names,
    index_name,
    n_rows,
    parts_of,
    read_column,
    row_names,
    strings,
    var_rows,
)
from cellshuffle.atlas.tree import is_array

DATAFRAME = {"encoding-type": "dataframe", "encoding-version": "0.2.0"}
CATEGORICAL = {"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False}
TEXT = {"encoding-type": "string-array", "encoding-version": "0.2.0"}
NUMBERS = {"encoding-type": "array", "encoding-version": "0.2.0"}
ROWS = 2**18  # of a column held in memory while it is copied


def copy_table(source, target, name, rows=None):
    """Copy table `name` of an open h5ad into the open h5ad `target` as its obs or var.

    rows: (k,) row numbers to keep, in any order, None for all. Columns of an encoding that is not known are
    left out, as are matrices of several columns: anndata reads neither. Raises InputError for a column that
    has not a value a row.
    """
    table = member(source, name)
    copied = target.create_group(name[-3:])  # obs or var, also of raw/var and raw.var
    index = index_name(table)
    if isinstance(table, h5py.Dataset):
        columns = column_names(table)
        copied.attrs.update(DATAFRAME | {"_index": index})
        _copy_compound(table, copied, [index, *columns], rows)
    else:
        columns = [column for column in column_names(table) if _is_copied(table, column)]
        copied.attrs.update(_attributes(table))
        copied.attrs.update(DATAFRAME if "_index" in copied.attrs else DATAFRAME | {"_index": index})
        for column in sorted([index, *columns]):
            _copy_column(table, copied, column, rows)
    copied.attrs["column-order"] = np.array(columns, h5py.string_dtype() if columns else float)


def copy_genes(source, target, layer, select):
    """Copy var, of raw the raw one, of an open h5ad into the open h5ad `target`: the genes of a Selection.

    With names of the Selection, these are the index, and the names of the file stay as a column where they
    differ. Where the file lacks a gene there are names alone: nothing is known of that gene.
    """
    numbers, names = select.genes, select.names
    if in_obsm(layer):
        own, rows = gene_names(source, layer), var_rows(source, layer)
        numbers = np.arange(len(own)) if numbers is None else numbers
        names = own[numbers] if names is None else names
        numbers = np.full(len(names), -1) if rows is None else np.where(numbers < 0, -1, rows[numbers])
    if numbers is not None and (numbers < 0).any():
        table = target.create_group("var")
        table.attrs.update(DATAFRAME | {"_index": "_index", "column-order": np.array([], float)})
        _write(table, "_index", names)
        return
    copy_table(source, target, var_name(source, layer), numbers)
    table = target["var"]
    if names is None or np.array_equal(row_names(table), names):
        return
    old, columns = index_name(table), column_names(table)
    column = "index" if old == "_index" else old
    if column in columns:
        del table[old]
    else:
        table.move(old, column)
        columns.append(column)
    table.attrs.update({"_index": "_index", "column-order": np.array(columns, h5py.string_dtype())})
    _write(table, "_index", names)


def _is_copied(table, column):
    parts = parts_of(table, column)[0].values()
    return bool(parts) and all(part.ndim == 1 or part.shape[1:] == (1,) or not part.ndim for part in parts)


def _copy_column(table, copied, column, rows):
    """Copy the codes and categories, the values and mask, or the plain values of a column."""
    stored, (parts, categories) = member(table, column), parts_of(table, column)
    for part in parts.values():
        check_length(table, column, part, n_rows(table))
    if is_array(stored) and categories is None:
        _copy_rows(stored, copied, column, rows)
        return
    group = copied.require_group(column)
    group.attrs.update(CATEGORICAL if is_array(stored) else _attributes(stored))
    for name, part in parts.items():
        _copy_rows(part, group, name, rows)
    if categories is not None and not is_array(categories):
        nullable = group.create_group("categories")
        nullable.attrs.update(_attributes(categories))
        for name in ("values", "mask"):
            _copy_rows(member(categories, name), nullable, name, None)
    elif categories is not None:
        _write(group, "categories", np.atleast_1d(categories[()]))


def _copy_compound(table, copied, columns, rows):
    """Write a table of one compound dataset, as anndata kept it before 0.7, as a group of columns."""
    for column in columns:
        values, _, categories, _ = read_column(table, column)
        values = values if rows is None else values[rows]
        if categories is None:
            _write(copied, column, values)
            continue
        group = copied.create_group(column)
        group.attrs.update(CATEGORICAL)
        _write(group, "codes", values)
        _write(group, "categories", categories)


def _attributes(element):
    return {key: unwrapped(value) for key, value in element.attrs.items() if key != "categories"}


def _write(parent, name, values):
    text = values.dtype.kind in "OSU"
    written = parent.create_dataset(
        name, data=np.array(strings(values), h5py.string_dtype()) if text else values
    )
    written.attrs.update(TEXT if text else NUMBERS)


def _copy_rows(stored, parent, name, rows):
    """Copy an array with a value a row, ROWS at a time; text gets a length of its own for each value."""
    n = len(stored) if rows is None else len(rows)
    fixed = stored.dtype.kind == "S"
    copied = parent.create_dataset(name, (n,), h5py.string_dtype() if fixed else stored.dtype)
    for low in range(0, n, ROWS):
        values = _part(stored, rows, low).reshape(-1)
        copied[low : low + ROWS] = strings(values).astype(object) if fixed else values
    attributes = _attributes(stored)
    text = fixed or stored.dtype.kind == "O"
    copied.attrs.update(attributes | TEXT if text else NUMBERS | attributes)


def _part(stored, rows, low):
    """ROWS values of a column from the `low`-th on, of `rows` or (None) of all."""
    if rows is None:
        return stored[low : low + ROWS]
    place = np.argsort(rows[low : low + ROWS], kind="stable")
    wanted = rows[low : low + ROWS][place]
    found = np.concatenate(
        [
            stored[first : first + ROWS][chosen - first]
            for first in range(int(wanted[0]), int(wanted[-1]) + 1, ROWS)
            for chosen in [wanted[(wanted >= first) & (wanted < first + ROWS)]]
        ]
    )
    return found[np.argsort(place)]
