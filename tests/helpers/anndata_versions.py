"""h5ad files by h5py alone, as each version of anndata encodes them.

Their specification: https://anndata.readthedocs.io/en/stable/fileformat-prose.html, and its history.
"""

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

VERSIONS = ("0.7", "0.8", "0.11", "0.12")
TEXT = h5py.string_dtype()


def write_encoded(path, version, obs, var, x=None, layers=None, raw=None, kind="csr"):
    """An h5ad as `version` of anndata writes it.

    obs, var: tables; x, raw, layers: dense arrays (of layers a dict of them), stored as `kind`: csr, csc or
    dense. An x of None is absent before 0.12, and an empty dataset in it.
    """
    with h5py.File(path, "w") as file:
        if version != "0.7":
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_table(file, "obs", obs, version)
        write_table(file, "var", var, version)
        if x is not None:
            write_matrix(file, "X", x, kind, version)
        elif version == "0.12":
            file["X"] = h5py.Empty("f")
            file["X"].attrs.update({"encoding-type": "null", "encoding-version": "0.1.0"})
        for name, layer in (layers or {}).items():
            write_matrix(file, f"layers/{name}", layer, kind, version)
        if raw is not None:
            write_matrix(file, "raw/X", raw, kind, version)
            write_table(file, "raw/var", var, version)
            if version != "0.7":
                file["raw"].attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
        if layers and version != "0.7":
            file["layers"].attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})


def write_matrix(file, name, matrix, kind, version):
    if kind == "dense":
        write_array(file, name, matrix, version)
        return
    stored = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[kind](matrix.astype(np.float64))
    group = file.create_group(name)
    group.attrs.update({"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = np.array(stored.shape)
    write_array(group, "data", stored.data.astype(matrix.dtype), version)
    for part in ("indices", "indptr"):
        write_array(group, part, getattr(stored, part), version)


def write_table(file, name, table, version):
    group = file.create_group(name)
    group.attrs.update({"encoding-type": "dataframe"})
    group.attrs["encoding-version"] = "0.1.0" if version == "0.7" else "0.2.0"
    columns = list(table.columns)
    group.attrs["column-order"] = np.array(columns, TEXT if columns else float)
    group.attrs["_index"] = table.index.name or "_index"
    write_column(group, group.attrs["_index"], table.index.array, version)
    for column in columns:
        write_column(group, column, table[column].array, version)


def write_column(group, name, values, version):
    """values: a pandas array of the kinds that `version` can write."""
    if isinstance(values, pd.Categorical):
        _write_categorical(group, name, values, version)
    elif isinstance(values, pd.arrays.IntegerArray):
        _write_nullable(group, name, values, "nullable-integer", values.fillna(1).to_numpy(int))
    elif isinstance(values, pd.arrays.BooleanArray):
        _write_nullable(group, name, values, "nullable-boolean", values.fillna(False).to_numpy(bool))
    elif isinstance(values.dtype, pd.StringDtype):
        _write_nullable(group, name, values, "nullable-string-array", values.fillna("").to_numpy(object))
    else:
        write_array(group, name, np.asarray(values), version)


def _write_categorical(group, name, values, version):
    categories = np.asarray(values.categories)
    if version == "0.7":
        write_array(group, f"__categories/{name}", categories, version)
        write_array(group, name, values.codes, version)
        group[name].attrs["categories"] = group[f"__categories/{name}"].ref
        group[f"__categories/{name}"].attrs["ordered"] = bool(values.ordered)
        return
    stored = group.create_group(name)
    stored.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0"})
    stored.attrs["ordered"] = bool(values.ordered)
    write_array(stored, "codes", values.codes, version)
    write_array(stored, "categories", categories, version)


def _write_nullable(group, name, values, encoding, filled):
    stored = group.create_group(name)
    stored.attrs.update({"encoding-type": encoding, "encoding-version": "0.1.0"})
    write_array(stored, "values", filled, "0.8")
    write_array(stored, "mask", np.asarray(pd.isna(values)), "0.8")


def write_array(group, name, values, version):
    text = values.dtype.kind in "OU"
    group.create_dataset(name, data=values.astype(object) if text else values, dtype=TEXT if text else None)
    if version != "0.7":
        encoding = "string-array" if text else "array"
        group[name].attrs.update({"encoding-type": encoding, "encoding-version": "0.2.0"})
