"""Write an h5ad file block by block, as `AnnData.write_h5ad(compression="gzip")` writes it whole.

anndata itself would need all of `X` in memory, and a second to be imported.
"""

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import open_hdf5

# The attribute by which a simulated plate is known, and the column by which its drug table is.
SIMULATED = "cellshuffle_simulated"
CHUNK = 16384  # values; near what h5py, asked by anndata, chooses for a plate


def write_h5ad(path, n_genes, obs_names, var_names, categoricals, columns, blocks, simulated):
    """Write CSR counts with their obs and var; memory holds one block of cells at a time.

    obs_names, var_names: (name of the index, names or () when the blocks bring them)
    categoricals: {column of obs: (codes (n_obs,), categories in code order)}
    columns: names of all columns of obs, in order; the integer ones are brought by the blocks
    blocks: iterable of {"X/data": float32, "X/indices": int32, "obs/<integer column>": int64,
        "obs/<index>": names, "lengths": stored values of each row}, consecutive cells
    simulated: text that says what was simulated, kept as an attribute of the file
    """
    with open_hdf5(path, "w") as file:
        _encode(file, "anndata", "0.1.0")
        file.attrs[SIMULATED] = simulated
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            _encode(file.create_group(name), "dict", "0.1.0")
        _frame(file.create_group("var"), *var_names, [])
        obs = file.create_group("obs")
        _frame(obs, *obs_names, columns)
        for name, (codes, categories) in categoricals.items():
            _categorical(obs.create_group(name), codes, categories)
        for name in columns:
            if name not in categoricals:
                _encode(_dataset(obs, name, np.zeros(0, np.int64)), "array", "0.2.0")
        _matrix(file, n_genes, blocks)


def _matrix(file, n_genes, blocks):
    x = file.create_group("X")
    _dataset(x, "data", np.zeros(0, np.float32))
    _dataset(x, "indices", np.zeros(0, np.int32))
    lengths = [np.zeros(1, np.int64)]
    for block in blocks:
        lengths.append(block.pop("lengths"))
        for name, values in block.items():
            old = len(file[name])
            file[name].resize((old + len(values),))
            file[name][old:] = values
    indptr = np.cumsum(np.concatenate(lengths))
    _dataset(x, "indptr", indptr.astype(np.int32 if indptr[-1] < 2**31 else np.int64))
    _encode(x, "csr_matrix", "0.1.0")
    x.attrs["shape"] = np.array([len(indptr) - 1, n_genes])


def _frame(group, index, names, columns):
    _strings(group, index, names)
    _encode(group, "dataframe", "0.2.0")
    group.attrs["_index"] = index
    group.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype() if columns else float)


def _categorical(group, codes, categories):
    n = len(categories)
    codes = codes.astype(np.int8 if n < 127 else np.int16 if n < 32767 else np.int32)
    _encode(_dataset(group, "codes", codes), "array", "0.2.0")
    _strings(group, "categories", categories)
    _encode(group, "categorical", "0.2.0")
    group.attrs["ordered"] = np.False_


def _strings(group, name, values):
    values = np.array(values, dtype=h5py.string_dtype())
    _encode(_dataset(group, name, values), "string-array", "0.2.0")


def _dataset(group, name, values):
    options = {"chunks": (CHUNK,), "maxshape": (None,), "compression": "gzip"}
    return group.create_dataset(name, data=values, dtype=values.dtype, **options)


def _encode(element, encoding, version):
    element.attrs["encoding-type"] = encoding
    element.attrs["encoding-version"] = version
