"""A matrix of obsm as the layer: the genes that its columns are, values of any kind, through the workflow."""

import anndata
import cellshuffle
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from atlases import counts_of, obs_of
from cellshuffle.errors import InputError
from runs import fails, merged, snakemake

N_CELLS, N_GENES, N_CHOSEN = 40, 30, 8
LAYER = "obsm/X_hvg"
FORMS = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}


def write_hvg(path, form="dense", seed=0, flagged=True, **changes):
    """As STATE prepares a plate: X_hvg has the log-normalised values of the genes that var flags."""
    x = counts_of(N_CELLS, N_GENES, seed).astype(np.float32)
    names = [f"gene{k}" for k in range(N_GENES)]
    chosen = np.isin(np.arange(N_GENES), np.random.default_rng(0).permutation(N_GENES)[:N_CHOSEN])
    var = pd.DataFrame({"highly_variable": chosen, "length": np.arange(N_GENES)}, index=names)
    obs = obs_of(N_CELLS, seed, drug=(["a", "b"], "categorical"), fold=(["train", "test"], "string"))
    data = anndata.AnnData(sp.csr_matrix(x), obs, var if flagged else var[["length"]])
    values = np.log1p(x[:, chosen] / x.sum(axis=1, keepdims=True) * 1e4) - (x[:, chosen] > 1)
    data.obsm["X_hvg"] = FORMS[form](changes.get("values", values).astype(np.float32))
    data.uns |= changes.get("uns", {})
    data.write_h5ad(path)
    return data.obsm["X_hvg"], np.array(names)[chosen].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_flagged_genes_are_its_columns(tmp_path, form):
    """Fractions and negative values are packed as they are; var keeps the rows of the flagged genes."""
    values, names = write_hvg(tmp_path / "plate.h5ad", form)
    values = values.toarray() if sp.issparse(values) else values
    (packed,) = cellshuffle.pack(tmp_path / "plate.h5ad", tmp_path / "packed", LAYER)
    read = anndata.read_h5ad(packed)
    assert read.var_names.tolist() == names and read.var["highly_variable"].all()
    assert read.var["length"].tolist() == [int(name.removeprefix("gene")) for name in names]
    assert read.X.dtype == np.float32 and np.array_equal(read.X.toarray(), values)
    assert np.array_equal(cellshuffle.Plates(packed)[np.arange(N_CELLS)].dense(), values)
    if form != "csc":
        unpacked = cellshuffle.Plates(tmp_path / "plate.h5ad", layer=LAYER)
        assert unpacked.genes.tolist() == names
        assert np.array_equal(unpacked[np.arange(N_CELLS)].dense(), values)
    kept = [names[3], names[1]]
    (few,) = cellshuffle.pack(tmp_path / "plate.h5ad", tmp_path / "few", LAYER, genes=kept)
    few = anndata.read_h5ad(few)
    assert few.var_names.tolist() == kept and np.array_equal(few.X.toarray(), values[:, [3, 1]])


def test_columns_that_are_not_flagged_have_listed_names_or_numbers(tmp_path):
    numbered = [f"X_hvg_{k}" for k in range(N_CHOSEN)]
    uns = {"hvg_names": np.array([f"hvg{k}" for k in range(N_CHOSEN)])}
    for name, options, expected in (
        ("numbered", {}, numbered),
        ("listed", {"uns": uns}, uns["hvg_names"].tolist()),
        ("of other length", {"uns": {"hvg_names": uns["hvg_names"][1:]}}, numbered),
        ("as X", {"values": np.ones((N_CELLS, N_GENES))}, [f"gene{k}" for k in range(N_GENES)]),
    ):
        values, _ = write_hvg(tmp_path / f"{name}.h5ad", flagged=False, **options)
        (packed,) = cellshuffle.pack(tmp_path / f"{name}.h5ad", tmp_path / "packed", LAYER)
        read = anndata.read_h5ad(packed)
        assert read.var_names.tolist() == expected and np.array_equal(read.X.toarray(), values), name


def test_other_genes_of_another_plate_are_aligned(tmp_path):
    values, names = write_hvg(tmp_path / "a.h5ad")
    data = anndata.read_h5ad(tmp_path / "a.h5ad")
    data.var["highly_variable"] = np.roll(data.var["highly_variable"], 1)
    data.write_h5ad(tmp_path / "b.h5ad")
    plates = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    packed = cellshuffle.pack(plates, tmp_path / "packed", LAYER, align="union")
    flagged = [data.var_names[data.var["highly_variable"]].tolist(), names]
    union = names + [name for name in flagged[0] if name not in names]
    for path, own in zip(packed, flagged[::-1], strict=True):
        read = anndata.read_h5ad(path)
        expected = pd.DataFrame(values, columns=own).reindex(columns=union, fill_value=0)
        assert read.var_names.tolist() == union and np.array_equal(read.X.toarray(), expected.to_numpy())


def test_a_run_over_it(tmp_path):
    write_hvg(tmp_path / "atlas.h5ad")
    config = {
        "run": "hvg",
        "atlas": {
            "dir": str(tmp_path),
            "plate_file": "atlas.h5ad",
            "train_plates": ["all"],
            "split": {"column": "fold"},
            "layer": LAYER,
        },
        "tasks": {"drug": {"column": "drug"}},
        "strategies": {"streaming": {"sampler": "Streaming"}},
        "training": {"seeds": [0], "epochs": 1, "batch_size": 8},
    }
    snakemake(tmp_path, config, "results/hvg/train/streaming/seed0/metrics.json")
    for changes, words in (
        ({"training": {"transform": "log1p"}}, ["obsm/X_hvg: holds values that are no counts"]),
        (
            {"atlas": {"layer": "obsm/X_pca"}},
            ["has no obsm/X_pca; set atlas: layer to obsm/X_hvg or"],
        ),
    ):
        fails(words, tmp_path, merged(config, changes | {"run": "other"}), "results/other/checked.json")


def test_what_is_no_matrix_is_refused(tmp_path):
    write_hvg(tmp_path / "plate.h5ad")
    data = anndata.read_h5ad(tmp_path / "plate.h5ad")
    data.obsm["X_hvg"] = pd.DataFrame(data.obsm["X_hvg"], data.obs_names, [f"g{k}" for k in range(N_CHOSEN)])
    data.write_h5ad(tmp_path / "plate.h5ad")
    with pytest.raises(InputError, match="/obsm/X_hvg is neither CSR, CSC nor dense"):
        cellshuffle.pack(tmp_path / "plate.h5ad", tmp_path / "packed", LAYER)
