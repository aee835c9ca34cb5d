"""The whole pipeline on real cells from a file that was published by others, by configuration alone."""

import math

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from atlases import blood_cells
from cellshuffle.files import load_npy, read_json
from runs import REPOSITORY, merged, snakemake

# The file is of an anndata older than 0.7, which anndata has much to say about.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """(folder in which config/own_atlas.yaml has run, with that config and the cells)."""
    folder = tmp_path_factory.mktemp("real")
    config = yaml.safe_load((REPOSITORY / "config/own_atlas.yaml").read_text())
    own = {"atlas": {"dir": str(blood_cells().parent)}, "training": {"epochs": 2, "seeds": [0]}}
    config = merged(config, own)
    snakemake(folder, config)
    return folder, config, anndata.read_h5ad(blood_cells())


def test_cells_are_split_and_labelled_as_in_the_file(own_run):
    folder, config, cells = own_run
    run = folder / "results/own_atlas"
    classes = read_json(run / "labels/classes.json")
    assert classes["cell_type"] == sorted(cells.obs["bulk_labels"].unique())
    for split in ("train", "test"):
        plates = config["atlas"][f"{split}_plates"]
        obs = pd.concat([cells.obs[cells.obs["phase"] == plate] for plate in plates])
        codes = load_npy(run / f"labels/{split}.npy")
        for position, (task, column) in enumerate({"cell_type": "bulk_labels", "cluster": "louvain"}.items()):
            assert [classes[task][code] for code in codes[:, position]] == list(obs[column])


def test_negative_values_are_packed_unchanged(own_run):
    folder, _, cells = own_run
    packed = anndata.read_h5ad(folder / "results/own_atlas/packed/plateG2M.h5ad")
    original = cells[cells.obs["phase"] == "G2M"]
    assert np.asarray(original.X).min() < 0
    assert np.array_equal(packed.X.toarray(), original.X)
    assert list(packed.obs["bulk_labels"]) == list(original.obs["bulk_labels"])


def test_every_score_is_there_and_real_cells_can_be_told_apart(own_run):
    folder, config, cells = own_run
    run = folder / "results/own_atlas"
    table = pd.read_csv(run / "comparison.csv")
    table = table[table["strategy"].isin(config["strategies"])]
    assert len(table) == len(config["strategies"]) * len(config["tasks"]) * 6
    assert (run / "comparison.md").stat().st_size and list((run / "figures").glob("*.svg"))
    assert (table["n"] == 1).all()
    accuracy = table[(table["metric"] == "accuracy") & (table["task"] == "cell_type")]
    commonest = cells.obs["bulk_labels"].value_counts(normalize=True).max()
    assert accuracy["mean"].max() > 1.5 * commonest
    assert all(map(math.isfinite, table["mean"]))
