"""Every form in which a user's own atlas may come gives the same cells, labels and splits."""

import anndata
import numpy as np
import pandas as pd
import pytest
from atlases import (
    counts_of,
    dense,
    obs_of,
    write_anndata_06,
    write_anndata_07,
    write_atlas,
)
from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.selection import select_cells
from cellshuffle.errors import InputError
from cellshuffle.labels.codes import class_names, encode, plate_labels
from cellshuffle.packing.pack import pack_plate

N_CELLS, N_GENES = 40, 30
COUNTS = counts_of(N_CELLS, N_GENES)
KINDS = {"line": (["A", "B", "Ä"], "categorical"), "dose": ([1, 5, 10], "integer")}


def packed(source, tmp_path, layer=None, **selection):
    """Pack as the rule does; what anndata reads from the result."""
    target = tmp_path / "packed.h5ad"
    pack_plate(source, target, layer, select_cells(source, layer, **selection))
    return anndata.read_h5ad(target)


def labels(path, column):
    """The label of every cell."""
    found = plate_labels([path], {"task": {"column": column}})["task"]
    names = class_names(found)
    return [names[code] for code in next(encode(found, names))]


def read(path, layer=None):
    """The counts of every cell, as the model would get them."""
    plates = Plates([path], layer=layer)
    return dense(plates[np.arange(len(plates))], plates.n_genes)


@pytest.mark.parametrize("place", [None, "raw", "counts"])
@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_every_matrix_form_is_read_and_packed(tmp_path, form, compression, place):
    obs, source = obs_of(N_CELLS, **KINDS), tmp_path / "atlas.h5ad"
    write_atlas(source, COUNTS, obs, form, place, compression)
    data = packed(source, tmp_path, place)
    assert np.array_equal(data.X.toarray(), COUNTS)
    assert data.X.dtype == np.uint16
    assert list(data.obs["line"]) == list(obs["line"])
    assert list(data.var_names) == [f"gene{k}" for k in range(N_GENES)]
    if form == "csc":
        with pytest.raises(InputError, match="pack: true"):
            Plates([source], layer=place)
    else:
        assert np.array_equal(read(source, place), COUNTS)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.float64])
def test_every_number_type_is_read_and_packed(tmp_path, dtype):
    source = tmp_path / "atlas.h5ad"
    write_atlas(source, COUNTS, obs_of(N_CELLS, **KINDS), dtype=dtype)
    assert np.array_equal(packed(source, tmp_path).X.toarray(), COUNTS)
    assert np.array_equal(read(source), COUNTS)


def test_values_that_are_no_counts_stay_as_they_are(tmp_path):
    scaled = COUNTS / 3 - 0.5
    write_atlas(tmp_path / "a.h5ad", scaled, obs_of(N_CELLS, **KINDS), "dense")
    assert np.array_equal(packed(tmp_path / "a.h5ad", tmp_path).X.toarray(), scaled.astype("f4"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["B 1", "a,2", "Ä"], "categorical"),
        (["B 1", "a,2", "Ä"], "string"),
        ([3, 10, -2], "integer"),
        ([True, False], "boolean"),
        ([3, 10], "Int64"),
        ([True, False], "boolean[nullable]"),
        (["B 1", "a,2", "Ä"], "string[nullable]"),
        ([3, 10, 2], "categorical"),
    ],
)
def test_every_column_kind_gives_the_same_labels(tmp_path, values, kind):
    kind = {"boolean[nullable]": pd.BooleanDtype(), "string[nullable]": pd.StringDtype()}.get(kind, kind)
    obs, source = obs_of(N_CELLS, task=(values, kind)), tmp_path / "atlas.h5ad"
    write_atlas(source, COUNTS, obs)
    expected = [str(value) for value in obs["task"]]
    assert labels(source, "task") == expected
    packed(source, tmp_path)
    assert labels(tmp_path / "packed.h5ad", "task") == expected


def test_a_missing_value_is_an_error_that_counts_the_cells(tmp_path):
    for kind, missing in (("categorical", np.nan), ("Int64", pd.NA), ("string", pd.NA)):
        values = [1, 2] if kind == "Int64" else ["a", "b"]
        obs = obs_of(N_CELLS, task=(values, kind))
        if kind == "string":
            obs["task"] = obs["task"].astype(pd.StringDtype())
        obs.loc[obs.index[:3], "task"] = missing
        write_atlas(tmp_path / f"{kind}.h5ad", COUNTS, obs)
        with pytest.raises(InputError, match="3 cells have no value in obs column 'task'"):
            labels(tmp_path / f"{kind}.h5ad", "task")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("selected", [False, True])
@pytest.mark.parametrize("write", [write_anndata_06, write_anndata_07])
def test_old_encodings_are_read_and_packed(tmp_path, write, selected):
    obs, source = obs_of(N_CELLS, **KINDS), tmp_path / "old.h5ad"
    write(source, COUNTS, obs)
    assert np.array_equal(read(source), COUNTS)
    keep = np.ones(N_CELLS, bool)
    selection = {}
    if selected:
        keep = (obs["line"] == "B").to_numpy()
        selection = {"plate": {"column": "line", "value": "B"}}
    data = packed(source, tmp_path, **selection)
    assert np.array_equal(data.X.toarray(), COUNTS[keep])
    assert list(data.obs_names) == list(obs.index[keep])
    for path, expected in ((source, obs), (tmp_path / "packed.h5ad", obs[keep])):
        assert labels(path, "line") == list(expected["line"])
        assert labels(path, "dose") == list(expected["dose"].astype(str))


def test_raw_counts_of_the_oldest_encoding(tmp_path):
    source = tmp_path / "old.h5ad"
    write_anndata_06(source, COUNTS, obs_of(N_CELLS, **KINDS), raw=True)
    assert np.array_equal(read(source, "raw"), COUNTS)
    assert np.array_equal(packed(source, tmp_path, "raw").X.toarray(), COUNTS)


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_gene_subset_keeps_the_order_of_the_atlas(tmp_path, form):
    write_atlas(tmp_path / "a.h5ad", COUNTS, obs_of(N_CELLS, **KINDS), form)
    (tmp_path / "genes.txt").write_text("gene20\ngene3\n\ngene7\n")
    data = packed(tmp_path / "a.h5ad", tmp_path, genes=tmp_path / "genes.txt")
    assert list(data.var_names) == ["gene3", "gene7", "gene20"]
    assert np.array_equal(data.X.toarray(), COUNTS[:, [3, 7, 20]])
    (tmp_path / "genes.txt").write_text("gene20\nTP53\n")
    with pytest.raises(InputError, match=r"1 of 2 genes of .* are not among its genes .*TP53"):
        packed(tmp_path / "a.h5ad", tmp_path, genes=tmp_path / "genes.txt")


@pytest.mark.parametrize(
    "split",
    [
        {"fraction": 0.25, "seed": 3},
        {"column": "fold", "test": ["held out"], "train": ["kept"]},
        {"column": "dose", "test": [1, 10.0], "train": [5]},
        {"column": "old", "test": [True], "train": [False]},
    ],
)
def test_a_split_puts_every_cell_on_one_side(tmp_path, split):
    kinds = KINDS | {
        "fold": (["kept", "held out"], "string"),
        "old": ([True, False], "boolean"),
    }
    obs, source = obs_of(N_CELLS, **kinds), tmp_path / "atlas.h5ad"
    write_atlas(source, COUNTS, obs)
    names = {}
    for side in ("train", "test"):
        data = packed(source, tmp_path, split=split | {"side": side})
        names[side] = list(data.obs_names)
        assert np.array_equal(data.X.toarray(), COUNTS[obs.index.isin(names[side])])
    assert sorted(names["train"] + names["test"]) == sorted(obs.index)
    if "column" in split:
        assert names["test"] == list(obs.index[obs[split["column"]].isin(split["test"])])
    else:
        again = packed(source, tmp_path, split=split | {"side": "test"})
        assert list(again.obs_names) == names["test"] and 3 <= len(names["test"]) <= 20
        other = packed(source, tmp_path, split=split | {"seed": 4, "side": "test"})
        assert list(other.obs_names) != names["test"]


def test_raw_has_genes_of_its_own(tmp_path):
    """Usual after a choice of variable genes: raw holds all, X a few."""
    source = tmp_path / "atlas.h5ad"
    write_atlas(source, COUNTS, obs_of(N_CELLS, **KINDS), place="raw")
    data = anndata.read_h5ad(source)
    data[:, ::3].copy().write_h5ad(source)
    assert Plates([source]).n_genes == 10
    assert np.array_equal(read(source, "raw"), COUNTS)
    taken = packed(source, tmp_path, "raw")
    assert np.array_equal(taken.X.toarray(), COUNTS)
    assert list(taken.var_names) == [f"gene{k}" for k in range(N_GENES)]
