"""The obs and var tables of an h5ad, read in every encoding of anndata: lengths, names, categorical codes."""

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import (
    attribute,
    checked,
    find,
    in_obsm,
    matrix_format,
    matrix_of,
    member,
    var_name,
)
from cellshuffle.atlas.names import are_whole, names_of
from cellshuffle.atlas.tree import is_array
from cellshuffle.errors import InputError

OLD_CATEGORIES = "__categories"  # where anndata before 0.8 kept the values of categorical columns


def n_rows(table):
    """Rows of an obs or var table, by its index; in the group encoding and in the older compound one."""
    if isinstance(table, h5py.Dataset):
        return len(table)
    index = index_name(table)
    parts, _ = parts_of(table, index)
    if not parts:
        raise InputError(_unknown_line(table, index))
    return max(part.shape[0] if part.shape else 0 for part in parts.values())


def index_name(table):
    """Name of the column that names the rows."""
    return table.dtype.names[0] if isinstance(table, h5py.Dataset) else attribute(table, "_index", "_index")


def column_names(table):
    """Columns of a table, without its index: those that it lists, as anndata reads them, then any other.

    A name with a slash, such as `CD4+/CD8-`, is a path below the table.
    """
    index = index_name(table)
    if isinstance(table, h5py.Dataset):
        return [name for name in table.dtype.names if name != index]
    listed = [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in np.atleast_1d(table.attrs.get("column-order", []))
    ]
    there = [name for name in listed if (find(table, name) if "/" in name else name in table)]
    known = {name.split("/")[0] for name in [index, OLD_CATEGORIES, *there]}
    return there + [name for name in table if name not in known]


def parts_of(table, column):
    """({name: array with a value a row}, categories) of a column or the index of a table that is a group.

    The arrays are "values", with "mask" in a nullable column, or "codes", with categories: an array, or a
    nullable group. An encoding that is not known has no arrays.
    """
    stored = member(table, column)
    if is_array(stored):
        categories = _old_categories(table, column, stored)
        return {"values" if categories is None else "codes": stored}, categories
    if "codes" in stored:
        return {"codes": member(stored, "codes")}, member(stored, "categories")
    if "values" in stored and "mask" in stored:
        return {name: member(stored, name) for name in ("values", "mask")}, None
    return {}, None


def _old_categories(table, column, stored):
    """Categories of a column as anndata 0.7 wrote it, None of one that has none."""
    reference = stored.attrs.get("categories")
    if isinstance(reference, h5py.Reference) and reference:
        return checked(stored.file[reference])
    return find(table, f"{OLD_CATEGORIES}/{column}")


def length_problems(table, n):
    """Lines on columns and index of a table, obs or var, that have not `n` values; only shapes are read."""
    if isinstance(table, h5py.Dataset):
        return
    for column in [index_name(table), *column_names(table)]:
        for part in parts_of(table, column)[0].values():
            try:
                check_length(table, column, part, n)
            except InputError as error:
                yield str(error)


def _where(table, column):
    return f"{table.file.filename}: {table.name.strip('/')} column '{column}'"


def _unknown_line(table, column):
    encoding = attribute(member(table, column), "encoding-type") or "it has no encoding-type"
    return f"{_where(table, column)} is stored in a way that is not known ({encoding})"


def check_length(table, column, part, n):
    """Raise InputError when an array has not one value for each of the n rows of its table."""
    if part.shape in ((n,), (n, 1)):
        return
    if part.shape and len(part.shape) > 1:
        problem = f"is a matrix of shape {part.shape}, not one value for each of {n} rows"
    else:
        problem = f"has {part.size or 0} values for {n} rows; write the file anew"
    raise InputError(f"{_where(table, column)} {problem}")


def read_column(table, column, stop=None):
    """(values, mask, categories, absent) of a column or the index, of its first `stop` rows (None: all).

    values are codes where there are categories; absent: which categories are no value. Raises InputError
    where their number is not that of the rows, or a code has no category.
    """
    if isinstance(table, h5py.Dataset):
        rows, mask = {"values": table[column][:stop]}, False
        categories = _compound_categories(table, column)
    else:
        parts, categories = parts_of(table, column)
        for part in parts.values():
            check_length(table, column, part, n_rows(table))
        rows = {name: part[:stop].reshape(-1) for name, part in parts.items()}
        mask = rows.pop("mask", np.False_).astype(bool)
    if not rows:
        raise InputError(_unknown_line(table, column))
    (values,) = rows.values()
    if categories is None:
        return values, mask, None, None
    categories, absent = _categories(categories)
    if values.dtype.kind not in "iu" or (
        values.size and not -1 <= values.min() <= values.max() < len(absent)
    ):
        raise InputError(
            f"{_where(table, column)} has codes beyond its categories, of which there are {len(absent)}"
        )
    return values, mask, categories, absent


def _categories(stored):
    """(categories, which of them are missing values) from an array or a nullable group."""
    if not is_array(stored):
        return member(stored, "values")[:], member(stored, "mask")[:].astype(bool)
    values = np.atleast_1d(stored[()])
    return values, np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)


def _compound_categories(table, column):
    """Categories of a column of whole numbers in a compound table, None of another: they were kept in uns."""
    is_codes = table.dtype[column].kind in "iu" and column != index_name(table)
    return find(table.file, f"uns/{column}_categories") if is_codes else None


def column_codes(file, column):
    """Codes (n_cells,) and their values (n_values,) str of an obs column.

    Categorical columns are read as they are stored, without building a string a cell; strings,
    integers and booleans are encoded. A missing value has code -1. Integers become their decimal
    digits, whole real numbers those of the integer. Raises InputError when the column is not there,
    has another number of values than obs has cells, codes without a category, or real numbers that are
    not whole.
    """
    obs = member(file, "obs")
    if column not in column_names(obs):
        there = ", ".join(column_names(obs))
        raise InputError(f"{file.filename}: obs has no column '{column}' (it has: {there})")
    values, mask, categories, absent = read_column(obs, column)
    try:
        if categories is None:
            return _encode(values, file, column, mask)
        codes, names = _named(values, categories, absent)
    except UnicodeDecodeError as error:
        raise InputError(f"{_where(obs, column)} is not text in UTF-8 ({error})") from None
    if len(set(names.tolist())) < len(names):
        raise InputError(f"{_where(obs, column)} has a category twice; write it anew as a categorical column")
    return codes, names


def row_names(table, stop=None):
    """(n,) str: the index of obs or var, of the first `stop` rows (None: all), as anndata names them."""
    return _texts(table, index_name(table), stop)[0]


def _texts(table, column, stop=None):
    """((n,) str, (n,) bool) of a column or the index: its values, and which of them are missing."""
    values, mask, categories, absent = read_column(table, column, stop)
    if categories is not None:
        names = np.append(np.where(absent, "nan", strings(categories)), "nan")
        return names[values], np.append(absent, True)[values]
    names = strings(values)
    missing = names == "nan" if values.dtype.kind == "f" else np.full(len(names), mask)
    return np.where(mask, "<NA>", names) if np.any(mask) else names, missing


def gene_names(file, layer=None, column=None):
    """(n_genes,) str array: the index of var (of raw/var for the raw matrix), or another column of it.

    Of a matrix of obsm they are those of var_rows. Where these are not known, they are uns/hvg_names if there
    are as many, else numbered: `X_hvg_0`, `X_hvg_1`, ... of `obsm/X_hvg`.
    Raises InputError when the column is not there, or a gene has no value in it.
    """
    if in_obsm(layer):
        rows = var_rows(file, layer)
        return _numbered(file, layer, column) if rows is None else gene_names(file, None, column)[rows]
    table = member(file, var_name(file, layer))
    if column is None:
        return row_names(table)
    if column not in (index_name(table), *column_names(table)):
        there = ", ".join(column_names(table)) or "no column at all"
        raise InputError(
            f"{file.filename}: {table.name.strip('/')} has no column '{column}' (it has: {there})"
        )
    names, missing = _texts(table, column)
    missing = missing | (names == "")
    if missing.any():
        raise InputError(f"{_where(table, column)} names no gene in {missing.sum():,} of {len(names):,} rows")
    return names


def var_rows(file, layer):
    """(n_genes,) int64: which rows of var the columns of a matrix of obsm are; None where that is not known.

    All of them where there are as many; else those that are flagged as highly_variable, as STATE makes
    `obsm["X_hvg"] = adata[:, adata.var.highly_variable].X.toarray()`.
    """
    var, n_genes = member(file, "var"), matrix_format(matrix_of(file, layer))[1][1]
    if n_rows(var) == n_genes:
        return np.arange(n_genes)
    if "highly_variable" not in column_names(var):
        return None
    texts, missing = _texts(var, "highly_variable")
    rows = np.flatnonzero((np.char.lower(texts) == "true") & ~missing)
    return rows if len(rows) == n_genes else None


def _numbered(file, layer, column):
    if column is not None:
        raise InputError(
            f"{file.filename}: which genes the columns of {layer} are is not known, so atlas: gene_column "
            "cannot name them; flag them in var as highly_variable"
        )
    name, n_genes = layer.removeprefix("obsm/"), matrix_format(matrix_of(file, layer))[1][1]
    listed = find(file, "uns/hvg_names")
    if listed is not None and listed.shape == (n_genes,):
        return strings(listed[:])
    return np.array([f"{name}_{k}" for k in range(n_genes)], str)


def strings(values):
    """An array of text or numbers as a str array."""
    if values.dtype.kind in "OS":
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], str)
    return values.astype(str)


def _named(codes, categories, absent):
    """Codes and names of a categorical column; a category that is missing, or NaN, is no value."""
    if absent.any():
        gone = np.append(absent, True)  # of code -1, too
        codes = np.where(gone[codes], -1, (np.cumsum(~gone) - 1)[codes])
        categories = categories[~absent]
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
