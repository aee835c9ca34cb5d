"""Learning rates that are tuned, and cells that are held out for it, in a real run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import SMALL, merged, snakemake

RUN = "results/small"
RATES = [1e-3, 3e-2]
STRATEGIES = ("streaming", "random_sampling", "true_weighted")
TUNED = merged(
    SMALL,
    {
        "atlas": {"packed_dir": "packed"},
        "strategies": {name: ... for name in SMALL["strategies"] if name not in STRATEGIES},
        "training": {"seeds": [0], "epochs": 1},
        "compare": {"seen_fraction": 0.1, "bootstrap": 100},
        "figures": {"task": "drug"},
        "tune": {"learning_rate": RATES, "validation": {"fraction": 0.2, "seed": 3}},
    },
)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    targets = [
        "comparison.md",
        "figures/tuning.svg",
        "summary/answers.html",
        "diversity/streaming/plates.csv",
    ]
    snakemake(folder, TUNED, *(f"{RUN}/{target}" for target in targets))
    return folder


def scores_of(folder):
    table = pd.read_csv(folder / RUN / "tuning.csv")
    return {cells: own.reset_index(drop=True) for cells, own in table.groupby("cells")}


def chosen(folder):
    return pd.read_csv(folder / RUN / "tuned.csv").groupby("strategy")["learning_rate"].first().to_dict()


def test_every_strategy_is_trained_at_every_rate_once(tuned):
    names = {path.name for path in (tuned / RUN / "train").iterdir()}
    assert names == {*STRATEGIES, *(f"{s}@0.03" for s in STRATEGIES)}  # 0.001 is the common rate
    validation = scores_of(tuned)["validation"]
    assert len(validation) == len(STRATEGIES) * 2 * 3 * 6  # rates, tasks, metrics
    common = json.loads((tuned / RUN / "train/streaming/seed0/metrics.json").read_text())
    index = ["strategy", "learning_rate", "seed", "task", "metric"]
    value = validation.set_index(index)["value"]["streaming", 1e-3, 0, "drug", "macro_f1"]
    assert value == pytest.approx(common["held_out"]["validation"]["drug"]["macro_f1"])


def test_the_choice_is_the_best_on_validation_cells(tuned):
    table = scores_of(tuned)["validation"].query("task == 'drug' and metric == 'macro_f1'")
    mean = table.pivot_table(index="strategy", columns="learning_rate", values="value")
    assert chosen(tuned) == mean.idxmax(axis=1).to_dict()


def test_held_out_cells_are_trained_on_by_no_strategy(tuned):
    jobs = [json.loads(path.read_text()) for path in (tuned / RUN / "train").glob("*/seed*/metrics.json")]
    assert {tuple(job["held_out"]) for job in jobs} == {("validation", "seen")}
    (n_train,) = {job["n_train"] for job in jobs}
    assert 0.62 * 1200 < n_train < 0.82 * 1200
    weights = tuned / RUN / "weights"
    assert pd.read_csv(weights / "combinations.csv")["count"].sum() == n_train
    classes = pd.read_csv(weights / "classes.csv").groupby("task")["cells"].sum()
    assert set(classes) == {n_train} and len(np.load(weights / "cells.npy")) == 1200


def test_what_is_said(tuned):
    text = (tuned / RUN / "comparison.md").read_text()
    assert "## Each at its own learning rate" in text and "No test cell took part in it." in text
    assert "Tuned (" in text and "At the edge of the rates" in text
    page = (tuned / RUN / "summary/answers.html").read_text()
    assert "At the edge of the rates" in page
    assert (tuned / RUN / "figures/tuning.svg").exists()


def test_a_broken_test_plate_changes_no_choice(tuned, tmp_path):
    folder = shutil.copytree(tuned, tmp_path / "broken")
    path = folder / RUN / "labels/test.npy"
    labels = np.load(path)
    np.save(path, labels[np.random.default_rng(0).permutation(len(labels))])
    shutil.rmtree(folder / RUN / "train")
    snakemake(folder, TUNED, f"{RUN}/tuned.csv")
    before, after = scores_of(tuned), scores_of(folder)
    assert not before["test"].equals(after["test"])
    pd.testing.assert_frame_equal(before["validation"], after["validation"])
    assert chosen(folder) == chosen(tuned)


def test_a_rate_and_epochs_of_a_strategys_own(tuned, tmp_path):
    """They are the recipe of its training, and no key of its sampler."""
    own = {"sampler": "Streaming", "shuffle": False, "learning_rate": 3e-2, "epochs": 2}
    config = merged(TUNED, {"strategies": {"own": own}, "tune": None})
    folder = shutil.copytree(tuned, tmp_path / "own")
    snakemake(folder, config, f"{RUN}/train/own/seed0/history.csv")
    assert len(pd.read_csv(folder / RUN / "train/own/seed0/history.csv")) == 2


def test_without_tuning_nothing_is_held_out(small_run):
    job = json.loads(next(Path(small_run, RUN, "train").glob("*/seed*/metrics.json")).read_text())
    assert job["n_train"] == 1200 and "held_out" not in job
