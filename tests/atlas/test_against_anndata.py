"""Whatever anndata reads of obs, var and X is read alike, in the encodings of its versions 0.7 to 0.12."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata_versions import VERSIONS, write_encoded
from atlases import dense
from cellshuffle.atlas.h5ad import matrix_layers, member, open_h5ad
from cellshuffle.atlas.names import name_of
from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.selection import Selection
from cellshuffle.atlas.tables import column_codes, column_names, gene_names, row_names
from cellshuffle.errors import InputError
from cellshuffle.inspection.matrix import check_links, inspect_matrix
from cellshuffle.packing.pack import pack_plate

N = 12  # cells
GENES = 5
COUNTS = np.random.default_rng(0).poisson(0.8, (N, GENES))
pytestmark = pytest.mark.filterwarnings("ignore")  # anndata's, about old files and indices


def table(index, version, n=N):
    """A table with a column of every kind that `version` of anndata can write."""
    turn = np.arange(n)
    text = np.array(["a", "B cell", "ä/β"], object)
    columns = {
        "text": text[turn % 3],
        "integer": turn % 4 - 1,
        "boolean": turn % 2 == 0,
        "whole": np.where(turn == 1, np.nan, turn % 3),
        "real": turn / 3,
        "half": (turn / 4).astype(np.float16),
        "category": pd.Categorical(text[turn % 3]).set_categories(["unused", *text]),
        "ordered": pd.Categorical(turn % 3, ordered=True),
        "gaps": pd.Categorical(np.where(turn == 2, None, text[turn % 3])),
        "real category": pd.Categorical(turn % 3 / 2),
        "truth": pd.Categorical(turn % 2 == 0),
        "CD4+/CD8-": pd.Categorical(text[turn % 2]),
        "G2/M/score": turn % 5,
        "category/inside": turn % 2,
        "many": pd.Categorical([f"v{k}" for k in range(n)]),
    }
    if version == "0.7":  # `category` is no group there, in which another column could lie
        del columns["category/inside"]
    else:
        columns["Int64"] = pd.array(np.where(turn == 3, None, turn % 2), "Int64")
        columns["nullable boolean"] = pd.array(np.where(turn == 3, None, turn % 2 == 0), "boolean")
    if version not in ("0.7", "0.8"):
        columns["nullable text"] = pd.array(np.where(turn == 3, None, text[turn % 3]), "string")
    return pd.DataFrame(columns, index=index)


def indices(n):
    """{kind: an index of n rows}."""
    numbers = np.arange(n)
    return {
        "text": pd.Index([f"row {k} é" for k in numbers], dtype=object),
        "named": pd.Index([f"row {k}" for k in numbers], dtype=object, name="cell/barcode"),
        "integer": pd.Index(numbers + 3),
        "real": pd.Index(numbers / 4),
        "boolean": pd.Index(numbers == 0),
        "categorical": pd.CategoricalIndex([f"row {k}" for k in numbers]),
        "categorical integer": pd.CategoricalIndex(numbers[::-1].copy()),
        "nullable integer": pd.Index(pd.array(numbers, "Int64")),
        "nullable boolean": pd.Index(pd.array(numbers == 0, "boolean")),
        "nullable text": pd.Index(pd.array([f"row {k}" for k in numbers], "string")),
    }


def written_by(version):
    """Kinds of index that `version` can write."""
    for kind in indices(1):
        newer = {"0.7": "nullable", "0.8": "nullable text"}.get(version)
        if newer is None or not kind.startswith(newer):
            yield version, kind


CASES = [case for version in VERSIONS for case in written_by(version)]


def labels(file, column):
    """The label of every cell, None of one without; of real numbers, what is said."""
    try:
        codes, values = column_codes(file, column)
    except InputError as error:
        assert str(error).endswith("holds real numbers, not labels")
        return "real numbers"
    return [None if code < 0 else values[code] for code in codes]


def expected(values):
    """What `labels` should give for a column that anndata has read."""
    present = values[~pd.isna(values)]
    if pd.api.types.is_float_dtype(values.dtype) and (present != np.floor(present)).any():
        return "real numbers"
    return [None if pd.isna(value) else name_of(value) for value in values]


def check_tables(path, adata):
    with open_h5ad(path) as file:
        assert row_names(member(file, "obs")).tolist() == list(map(str, adata.obs_names))
        assert gene_names(file).tolist() == list(map(str, adata.var_names))
        assert column_names(member(file, "obs")) == list(adata.obs)
        for column in adata.obs:
            assert labels(file, column) == expected(adata.obs[column]), column


@pytest.mark.parametrize(("version", "kind"), CASES)
def test_tables(tmp_path, version, kind):
    path, packed = tmp_path / "plate.h5ad", tmp_path / "packed.h5ad"
    obs, var = (table(indices(n)[kind], version, n) for n in (N, GENES))
    var = var[["text", "category", "CD4+/CD8-"]]
    write_encoded(path, version, obs, var, COUNTS.astype("f4"))
    adata = anndata.read_h5ad(path)
    check_tables(path, adata)
    with open_h5ad(path) as file:
        check_links(file, None)
        inspect_matrix(file, None, needs_counts=True)
    rows = np.array([1, 2, 7, 11]) if version == "0.7" or kind == "text" else None
    pack_plate(path, packed, select=Selection(rows))
    chosen = adata if rows is None else adata[rows]
    read = anndata.read_h5ad(packed)
    check_tables(packed, read)
    assert np.array_equal(read.X.toarray(), chosen.X.toarray())
    assert read.obs_names.tolist() == chosen.obs_names.tolist()
    for name, one, other in (("obs", read.obs, chosen.obs), ("var", read.var, chosen.var)):
        for column in other:
            assert one[column].dtype.kind == other[column].dtype.kind, (name, column)
            assert one[column].astype(str).tolist() == other[column].astype(str).tolist(), (name, column)


@pytest.mark.parametrize("kind", indices(1))
def test_tables_that_anndata_writes(tmp_path, kind):
    path = tmp_path / "plate.h5ad"
    anndata.AnnData(COUNTS.astype("f4")).write_h5ad(path)
    with h5py.File(path, "r+") as file, anndata.settings.override(allow_write_nullable_strings=True):
        for name, n in (("obs", N), ("var", GENES)):
            anndata.io.write_elem(file, name, table(indices(n)[kind], "0.12", n))
    check_tables(path, anndata.read_h5ad(path))


@pytest.mark.parametrize("place", [None, "raw", "counts"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("version", VERSIONS)
def test_matrices(tmp_path, version, kind, place):
    """Also with an X that is None, where the counts are elsewhere."""
    path, packed = tmp_path / "plate.h5ad", tmp_path / "packed.h5ad"
    obs, var = (pd.DataFrame(index=indices(n)["text"]) for n in (N, GENES))
    for dtype in ("f4", "f8", "f2", "u1", "i4", "i8", "?", ">f4", ">i2"):
        matrix = (COUNTS % 2 if dtype == "?" else COUNTS).astype(dtype)
        where = {None: {"x": matrix}, "raw": {"raw": matrix}}.get(place, {"layers": {place: matrix}})
        write_encoded(path, version, obs, var, **where, kind=kind)
        with open_h5ad(path) as file:
            assert matrix_layers(file) == [place]
            inspect_matrix(file, place, needs_counts=True)
        if kind == "csc":
            with pytest.raises(InputError, match="pack: true"):
                Plates([path], layer=place)
        else:
            rows = Plates([path], layer=place)[np.arange(N)]
            assert rows.data.dtype == {"f2": "f4", ">f4": "f4", ">i2": "i2"}.get(dtype, dtype)
            assert np.array_equal(dense(rows, GENES), matrix)
        pack_plate(path, packed, place)
        assert np.array_equal(Plates([packed])[np.arange(N)].data, matrix[matrix != 0])
        if dtype in ("f4", "i8"):
            read = anndata.read_h5ad(path)
            found = {None: read.X, "raw": read.raw and read.raw.X}.get(place, read.layers.get(place))
            assert np.array_equal(found if kind == "dense" else found.toarray(), matrix)
            assert np.array_equal(anndata.read_h5ad(packed).X.toarray(), matrix)
        if place is not None:
            with pytest.raises(InputError, match=f"X.* set atlas: layer to {place}"):
                Plates([path])


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_fractions(tmp_path, kind, dtype):
    """Values that are no counts are packed in a type that SciPy and anndata have."""
    path, packed = tmp_path / "plate.h5ad", tmp_path / "packed.h5ad"
    matrix = (COUNTS / 4 - 0.5).astype(dtype)
    obs, var = (pd.DataFrame(index=indices(n)["text"]) for n in (N, GENES))
    write_encoded(path, "0.12", obs, var, matrix, kind=kind)
    with open_h5ad(path) as file:
        sizes = inspect_matrix(file, None, needs_counts=False)
    pack_plate(path, packed)
    read = anndata.read_h5ad(packed).X
    assert read.dtype == {"f2": "f4", ">f8": "f8"}.get(dtype, dtype)
    assert (sizes.stored_bytes, sizes.value_bytes) == (matrix.dtype.itemsize, read.dtype.itemsize)
    assert np.array_equal(read.toarray(), matrix.astype("f8"))
