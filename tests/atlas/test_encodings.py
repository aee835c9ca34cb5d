"""What other writers of h5ad put where: read as anndata reads it, packed, or refused in words."""

import itertools
import re

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.selection import Selection
from cellshuffle.atlas.tables import column_codes, gene_names, n_rows
from cellshuffle.errors import InputError
from cellshuffle.inspection.atlas import check_atlas
from cellshuffle.labels.codes import plate_labels
from cellshuffle.labels.lookup import read_lookup
from cellshuffle.packing.pack import pack_plate
from cellshuffle.planning.draft import draft
from scipy import sparse

N_CELLS, N_GENES = 40, 9


@pytest.fixture
def plate(tmp_path):
    """(path, AnnData) of a plate with a string, a categorical and an integer column."""
    generator = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "line": pd.Categorical(generator.choice(["a", "b", "c"], N_CELLS)),
            "batch": generator.integers(0, 3, N_CELLS),
        },
        index=[f"cell {k}" for k in range(N_CELLS)],
    )
    var = pd.DataFrame(index=[f"gene {k}" for k in range(N_GENES)])
    counts = sparse.random(N_CELLS, N_GENES, 0.5, "csr", np.float32, 0)
    counts.data = np.ceil(9 * counts.data)
    adata = anndata.AnnData(counts, obs, var)
    path = tmp_path / "plate1.h5ad"
    adata.write_h5ad(path)
    return path, adata


def make_nullable(file, name):
    """Store strings as newer anndata does with those of pandas: a group of values and mask."""
    values = file[name].asstr()[:]
    del file[name]
    group = file.create_group(name)
    group.attrs.update({"encoding-type": "nullable-string-array", "encoding-version": "0.1.0"})
    group.create_dataset("values", data=values.astype(object), dtype=h5py.string_dtype())
    group.create_dataset("mask", data=np.zeros(len(values), bool))


def request(path, **more):
    entry = {"plate": "1", "source": str(path), "packed": None, "select": {}}
    plates = [entry | {"split": split} for split in ("train", "test")]
    return {
        "plates": plates[:1], "layer": None, "transform": "none", "columns": [], "balance": ["line"],
        "tasks": {"line": {"column": "line"}}, "max_cells": {"train": None, "test": None},
    } | more  # fmt: skip


def errors(path, **more):
    """What the check says of the plate, beside that there is nothing to test on."""
    found = check_atlas(request(path, **more))[0]
    return [line for line in found if "the test split has no cells" not in line]


@pytest.mark.parametrize("name", ["obs/_index", "var/_index", "obs/line/categories"])
def test_nullable_strings(plate, tmp_path, name):
    path, adata = plate
    with h5py.File(path, "r+") as file:
        make_nullable(file, name)
    assert errors(path) == []
    with h5py.File(path) as file:
        assert n_rows(file["obs"]) == N_CELLS
        assert gene_names(file).tolist() == adata.var_names.tolist()
        codes, values = column_codes(file, "line")
    assert values[codes].tolist() == adata.obs["line"].tolist()
    pack_plate(path, tmp_path / "packed.h5ad")
    packed = anndata.read_h5ad(tmp_path / "packed.h5ad")
    assert packed.obs["line"].astype(str).tolist() == adata.obs["line"].tolist()
    assert packed.obs_names.tolist() == adata.obs_names.tolist()
    assert packed.var_names.tolist() == adata.var_names.tolist()


def test_attributes_of_fixed_length(plate):
    path, adata = plate
    with h5py.File(path, "r+") as file:
        for element, name in ((file["X"], "encoding-type"), (file["obs"], "_index")):
            element.attrs[name] = np.bytes_(element.attrs[name])
        assert column_codes(file, "line")[0].shape == (N_CELLS,)
    assert errors(path) == []
    assert Plates([path]).genes.tolist() == adata.var_names.tolist()


@pytest.mark.parametrize("rows", [None, [0, 3, 4, 17, 39]])
def test_columns_are_copied_in_parts(plate, tmp_path, monkeypatch, rows):
    path, adata = plate
    monkeypatch.setattr("cellshuffle.atlas.copying.ROWS", 7)
    select = Selection(None if rows is None else np.array(rows))
    pack_plate(path, tmp_path / "packed.h5ad", select=select)
    packed = anndata.read_h5ad(tmp_path / "packed.h5ad")
    expected = adata if rows is None else adata[rows]
    pd.testing.assert_frame_equal(packed.obs, expected.obs.copy(), check_categorical=False)
    assert (packed.X != expected.X).nnz == 0


def test_two_values_of_a_gene_in_a_cell_are_refused(plate, tmp_path):
    path, _ = plate
    with h5py.File(path, "r+") as file:
        indices = file["X/indices"]
        indices[1] = indices[0]
    with pytest.raises(InputError, match="two values for the same gene; add them up"):
        pack_plate(path, tmp_path / "packed.h5ad")
    assert not (tmp_path / "packed.h5ad").exists()


def test_genes_in_any_order_within_a_cell(plate, tmp_path):
    path, adata = plate
    with h5py.File(path, "r+") as file:
        first = slice(0, int(file["X/indptr"][1]))
        for name in ("X/indices", "X/data"):
            file[name][first] = file[name][first][::-1]
    pack_plate(path, tmp_path / "packed.h5ad")
    assert (anndata.read_h5ad(tmp_path / "packed.h5ad").X != adata.X).nnz == 0


def test_cells_beyond_a_pilot_need_no_label(plate, tmp_path):
    path, adata = plate
    last = adata.obs["line"].iloc[-1]
    before = int(np.flatnonzero(adata.obs["line"] == last)[0])
    others = sorted(set(adata.obs["line"][:before]))
    table = tmp_path / "table.csv"
    table.write_text("key,value\n" + "".join(f"{name},class {name}\n" for name in others))
    lookup = {"table": str(table), "key": "key", "value": "value"}
    tasks = {"line": {"column": "line", "lookup": lookup}}
    assert errors(path, tasks=tasks, max_cells={"train": before, "test": None}) == []
    ((codes, _),) = plate_labels([path], tasks, before)["line"]
    assert len(codes) == before
    with pytest.raises(InputError, match=f"no value for '{last}'"):
        plate_labels([path], tasks)


def test_extra_mends_the_table(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("drug,moa\nA,x\nDMSO,\nB,y\nB,z\n")
    lookup = {"table": str(table), "key": "drug", "value": "moa"}
    found = read_lookup(lookup | {"extra": {"DMSO": "control", "B": "both"}})
    assert found == {"A": "x", "DMSO": "control", "B": "both"}
    with pytest.raises(InputError, match="'B' has two values"):
        read_lookup(lookup)


def test_too_many_combinations_are_told_before_packing(plate, monkeypatch):
    path, _ = plate
    monkeypatch.setattr("cellshuffle.labels.weights.MAX_COMBINATIONS", 5)
    (line,) = errors(path, balance=["line", "batch"], columns=["batch"])
    assert line.startswith("weights: balance: 3 x 3 classes make 9 combinations, more than 5")


def test_drafts_have_unlike_keys_and_are_yaml(tmp_path):
    folder = tmp_path / "2024"
    folder.mkdir()
    names = ("cell type", "cell_type", "größe", "名前")
    values = {name: (["x\ny"] * (k + 1) + ["z"] * (k + 1)) * 10 for k, name in enumerate(names)}
    obs = pd.DataFrame({name: drawn[:20] for name, drawn in values.items()})
    obs.index = [f"c{k}" for k in range(20)]
    anndata.AnnData(np.ones((20, 3), np.float32), obs).write_h5ad(folder / "a.h5ad")
    import yaml

    text = draft(folder)
    _, _, listed = text.partition("\ntasks:\n")
    listed = "\n".join(itertools.takewhile(lambda line: line.startswith("  "), listed.splitlines()))
    # All of them, in comments or not.
    config = yaml.safe_load(text) | {"tasks": yaml.safe_load(re.sub("^  # ", "  ", listed, flags=re.M))}
    assert config["run"] == "2024" and len(config["tasks"]) == 4
    assert {task["column"] for task in config["tasks"].values()} == set(obs.columns)


def test_drafts_refuse_files_that_cannot_be_plates(tmp_path):
    for name in ("Donor {é}", "Donor {ü}"):
        obs = pd.DataFrame({"kind": ["x", "z"] * 10}, index=[f"c{k}" for k in range(20)])
        anndata.AnnData(np.ones((20, 3), np.float32), obs).write_h5ad(tmp_path / f"{name}.h5ad")
    with pytest.raises(InputError, match="rename the file"):
        draft(tmp_path)
