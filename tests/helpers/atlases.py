"""Small atlases in every form in which h5ad files come."""

import importlib.util
import shutil
import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import zarr
from hypothesis import strategies as st

STORES = ["2", "3", "sharded", "2.zip", "sharded.zip"]  # forms of zarr
CHUNK = 64  # values


def counts_of(n_cells, n_genes, seed=0):
    """(n_cells, n_genes) int64 counts, about a third of them non-zero."""
    return np.random.default_rng(seed).poisson(0.4, (n_cells, n_genes))


@st.composite
def drawn_obs(draw, columns, first, dtypes):
    """A table of 1 to 30 cells; columns: {name: its values}, first: {name: value} of the first cell."""
    n = draw(st.integers(1, 30))
    values = {
        name: draw(st.lists(st.sampled_from(each), min_size=n, max_size=n)) for name, each in columns.items()
    }
    obs = pd.DataFrame(values, index=[f"c{k}" for k in range(n)])
    obs.loc[obs.index[0], list(first)] = list(first.values())
    return obs.astype(dtypes)


def obs_of(n_cells, seed=0, **kinds):
    """A table of cells; kinds: {column: (values, kind)}, every value drawn at random.

    kind: categorical, string, integer, boolean, or a nullable pandas dtype.
    """
    generator = np.random.default_rng(seed + 1)
    obs = pd.DataFrame(index=[f"cell{seed}_{k}" for k in range(n_cells)])
    for column, (values, kind) in kinds.items():
        drawn = np.array(values, object)[generator.integers(0, len(values), n_cells)]
        dtype = {"categorical": "category", "string": str, "integer": int, "boolean": bool}
        obs[column] = pd.Series(drawn, obs.index).astype(dtype.get(kind, kind))
    return obs


def write_atlas(path, counts, obs, form="csr", place=None, compression=None, dtype=np.float32):
    """Write an h5ad. form: csr, csc or dense; place: None for X, "raw", or a layer's name."""
    make = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[form]
    matrix, other = make(counts.astype(dtype)), make(np.zeros(counts.shape, dtype))
    var = pd.DataFrame(index=[f"gene{k}" for k in range(counts.shape[1])])
    if place == "raw":
        data = anndata.AnnData(matrix, obs, var)
        data.raw = data
        data.X = other
    elif place:
        data = anndata.AnnData(other, obs, var, layers={place: matrix})
    else:
        data = anndata.AnnData(matrix, obs, var)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with anndata.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(path, compression=compression)


def write_anndata_07(path, counts, obs):
    """As anndata 0.7 wrote: categories of all columns under `__categories`, by reference."""
    with h5py.File(path, "w") as file:
        _csr(file.create_group("X"), counts, {"encoding-type": "csr_matrix"}, "shape")
        for name, table in (("obs", obs), ("var", pd.DataFrame(index=_genes(counts)))):
            group = file.create_group(name)
            group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0"})
            group.attrs["_index"] = "_index"
            group.attrs["column-order"] = np.array(list(table.columns), h5py.string_dtype())
            group["_index"] = np.array(table.index, object).astype("S")
            for column in table.columns:
                values = table[column].astype("category").cat
                group[f"__categories/{column}"] = _bytes(values.categories)
                group[column] = values.codes.to_numpy()
                group[column].attrs["categories"] = group[f"__categories/{column}"].ref


def write_anndata_06(path, counts, obs, raw=False):
    """As anndata 0.6 wrote: compound tables, categories in uns, `h5sparse_format`, `raw.X`."""
    with h5py.File(path, "w") as file:
        name, var = ("raw.X", "raw.var") if raw else ("X", "var")
        _csr(file.create_group(name), counts, {"h5sparse_format": "csr"}, "h5sparse_shape")
        genes = pd.DataFrame({"index": _genes(counts)})
        file[var] = genes.to_records(index=False, column_dtypes={"index": "S16"})
        if raw:
            file["X"], file["var"] = np.zeros(counts.shape, np.float32), file[var][:]
        table, kinds = {"index": obs.index.to_numpy()}, {"index": "S16"}
        for column in obs.columns:
            if obs[column].dtype.kind in "ib":
                table[column] = obs[column].to_numpy()
                continue
            values = obs[column].astype("category").cat
            table[column] = values.codes.to_numpy()
            file[f"uns/{column}_categories"] = _bytes(values.categories)
        file["obs"] = pd.DataFrame(table).to_records(index=False, column_dtypes=kinds)


def write_plate(path, matrix, form, layout, index_type):
    """An h5ad of a dense (n_cells, n_genes) array, by h5py alone; zeros are not stored.

    form: csr, csc or dense; layout: how h5py stores the arrays; index_type: of the gene indices.
    """
    with h5py.File(path, "w") as file:
        if form == "dense":
            chunked = layout | {"chunks": (3, 4), "maxshape": (None, None)} if layout else {}
            file.create_dataset("X", data=matrix, **chunked)
        else:
            sparse = {"csr": sp.csr_array, "csc": sp.csc_array}[form](matrix)
            group = file.create_group("X")
            group.attrs.update({"encoding-type": f"{form}_matrix", "encoding-version": "0.1.0"})
            group.attrs["shape"] = np.array(matrix.shape)
            for name in ("data", "indices", "indptr"):
                values = getattr(sparse, name)
                values = values if name == "data" else values.astype(index_type)
                room = {"maxshape": (None,)} if layout else {}
                group.create_dataset(name, data=values, **layout, **room)
        for name, size in zip(("obs", "var"), matrix.shape, strict=True):
            table = file.create_group(name)
            table.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0"})
            table.attrs.update({"_index": "_index", "column-order": np.array([], float)})
            names = np.array([f"{name}{k}" for k in range(size)], h5py.string_dtype())
            index = table.create_dataset("_index", data=names, dtype=h5py.string_dtype())
            index.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def dense(rows, n_genes):
    """Rows of the library's reader as a (n_cells, n_genes) array; scipy checks the pointers."""
    shape = (len(rows.indptr) - 1, n_genes)
    return sp.csr_array((rows.data, rows.indices.astype(np.int64), rows.indptr), shape).toarray()


def write_store(data, path, form):
    """Write a zarr store, its matrix in many chunks (shards); give the path of its folder or archive."""
    kind, _, is_zip = form.partition(".")
    size = {"chunks": (CHUNK,)} if kind != "sharded" else {"chunks": (CHUNK // 4,), "shards": (CHUNK,)}
    size = size if sp.issparse(data.X) else {name: sides * 2 for name, sides in size.items()}
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=2 if kind == "2" else 3):
        warnings.simplefilter("ignore")  # of zarr about text in format 3

        def write(write_element, store, key, element, *, dataset_kwargs, iospec):
            dataset_kwargs = dict(size) if key.lstrip("/").startswith("X") else {}
            write_element(store, key, element, dataset_kwargs=dataset_kwargs)

        group = zarr.open_group(path, mode="w", zarr_format=2 if kind == "2" else 3)
        anndata.experimental.write_dispatched(group, "/", data, write)
    return shutil.make_archive(str(path), "zip", path) if is_zip else str(path)


def sound_plate(number, n_cells=60, n_genes=30):
    """A plate without fault, as an AnnData, with other cells for every number."""
    generator = np.random.default_rng(number)
    obs = pd.DataFrame(
        {
            "drug": pd.Categorical([f"d{k % 4}" for k in range(n_cells)]),
            "line": pd.Categorical([f"l{k % 3}" for k in range(n_cells)]),
            "size": generator.random(n_cells),
        },
        index=[f"cell{number}_{k}" for k in range(n_cells)],
    )
    counts = sp.csr_matrix(generator.poisson(0.5, (n_cells, n_genes)).astype(np.float32))
    return anndata.AnnData(counts, obs, pd.DataFrame(index=[f"g{k}" for k in range(n_genes)]))


def write_sound_atlas(folder):
    """Three sound plates and a lookup table."""
    for number in (1, 2, 3):
        sound_plate(number).write_h5ad(folder / f"plate{number}.h5ad")
    rows = [{"drug": f"d{k}", "moa": f"m{k % 2}"} for k in range(4)]
    pd.DataFrame(rows).to_csv(folder / "moa.csv", index=False)


def blood_cells():
    """Path of the 700 real cells inside the scanpy package, which is not imported."""
    found = importlib.util.find_spec("scanpy")
    assert found, "scanpy is not installed: `make test` does that, see requirements-test.txt"
    return Path(found.origin).parent / "datasets/10x_pbmc68k_reduced.h5ad"


def _genes(counts):
    return [f"gene{k}" for k in range(counts.shape[1])]


def _bytes(values):
    return np.array([str(value).encode() for value in values])


def _csr(group, counts, attributes, shape_name):
    matrix = sp.csr_matrix(counts.astype(np.float32))
    group.attrs.update(attributes)
    group.attrs[shape_name] = np.array(matrix.shape)
    for name in ("data", "indices", "indptr"):
        group[name] = getattr(matrix, name)
