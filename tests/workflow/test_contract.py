"""The workflow as a whole: the same numbers however it is run, and files that keep their contract."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from runs import SMALL, merged, on_existing_atlas, snakemake, start, training_files

METRICS = ["loss", "accuracy", "balanced_accuracy", "weighted_f1", "macro_f1", "macro_f1_present"]
SAME = ["metrics.json", "predictions.npz", "model.pt"]


def test_a_second_run_on_one_core_is_byte_identical(small_run, tmp_path):
    """Another folder, simulation of the atlas, and order of Python's sets; one core: the same bytes."""
    config = merged(
        SMALL,
        {"strategies": {name: ... for name in SMALL["strategies"] if name != "true_weighted"}},
    )
    files = training_files(["true_weighted"], [1])
    output, _ = (run := start(tmp_path, config, *files, cores=1)).communicate()
    assert run.returncode == 0, output
    for name in SAME:
        path = files[0].replace("metrics.json", name)
        assert (tmp_path / path).read_bytes() == (small_run / path).read_bytes(), name
    for path in (
        "labels/train.npy",
        "labels/classes.json",
        "weights/combinations.csv",
        "weights/cells.npy",
    ):
        path = f"results/small/{path}"
        assert (tmp_path / path).read_bytes() == (small_run / path).read_bytes(), path


@pytest.mark.parametrize("settings", [{"prefetch": 0}, {"threads": 2, "workers": 3}])
def test_original_plates_give_the_same_numbers(small_run, tmp_path, settings):
    """Unpacked plates, without a thread ahead or with several threads: the same metrics and model."""
    config = on_existing_atlas(small_run, atlas={"pack": False}, training=settings)
    files = training_files(["block_weighted"], [0])
    snakemake(tmp_path, config, *files)
    for name in SAME:
        path = files[0].replace("metrics.json", name)
        assert (tmp_path / path).read_bytes() == (small_run / path).read_bytes(), name
    assert not (tmp_path / "results/small/packed").exists()


def test_packed_plates_hold_the_published_ones(small_run):
    import anndata

    for packed in sorted((small_run / "results/small/packed").glob("*.h5ad")):
        plate = packed.stem.removeprefix("plate")
        original = anndata.read_h5ad(next((small_run / "data/small").glob(f"plate{plate}_*")))
        copy = anndata.read_h5ad(packed)
        assert (copy.X != original.X).nnz == 0 and copy.X.nnz == original.X.nnz
        pd.testing.assert_frame_equal(copy.obs, original.obs)
        pd.testing.assert_frame_equal(copy.var, original.var)


def test_metrics_table(small_run):
    table = pd.read_csv(small_run / "results/small/metrics.csv")
    assert list(table) == ["strategy", "seed", "task", "metric", "value"]
    assert set(table["metric"]) == set(METRICS)
    assert len(table) == 6 * 2 * 3 * len(METRICS)
    for path in training_files(SMALL["strategies"], [0, 1]):
        result = json.loads((small_run / path).read_text())
        mine = table[(table["strategy"] == result["strategy"]) & (table["seed"] == result["seed"])]
        for row in mine.itertuples():
            assert row.value == pytest.approx(result["scores"][row.task][row.metric], rel=1e-12)


def test_history(small_run):
    history = pd.read_csv(small_run / "results/small/train/streaming/seed0/history.csv")
    columns = ["epoch", "cells_seen", "train_seconds", "cells_per_second", "wait_seconds"]
    columns += ["epoch_seconds", "test_seconds", "peak_memory_mib", "train_loss"]
    for task in SMALL["tasks"]:
        columns += [f"{task}/train_loss", *(f"{task}/{metric}" for metric in METRICS)]
    assert list(history) == columns
    assert history["epoch"].tolist() == [1, 2] and history["cells_seen"].tolist() == [1200, 2400]
    assert (history.drop(columns=[c for c in columns if "accuracy" in c or "f1" in c]) > 0).all(None)
    seconds = history["epoch_seconds"]
    np.testing.assert_allclose(history["train_seconds"], seconds.cumsum())
    np.testing.assert_allclose(history["cells_per_second"], 1200 / seconds)
    losses = history[[f"{task}/train_loss" for task in SMALL["tasks"]]]
    np.testing.assert_allclose(history["train_loss"], losses.sum(axis=1))
    result = json.loads((small_run / training_files(["streaming"], [0])[0]).read_text())
    for task, scores in result["scores"].items():
        for metric, value in scores.items():
            assert history[f"{task}/{metric}"].iloc[-1] == pytest.approx(value, rel=1e-12)


def test_labels(small_run):
    labels = np.load(small_run / "results/small/labels/train.npy", allow_pickle=False)
    assert labels.shape == (1200, 3) and labels.dtype == np.uint16
    classes = json.loads((small_run / "results/small/labels/classes.json").read_text())
    assert list(classes) == ["cell_line", "drug", "moa_fine"]
    assert all(names == sorted(set(names)) for names in classes.values())
    assert "vehicle control" in classes["moa_fine"] and "DMSO_TF" in classes["drug"]


def test_pilot_uses_the_first_cells(small_run, tmp_path):
    config = on_existing_atlas(small_run, atlas={"max_train_cells": 451, "max_test_cells": 77})
    snakemake(tmp_path, config, *training_files(["streaming"], [0]))
    result = json.loads((tmp_path / training_files(["streaming"], [0])[0]).read_text())
    assert (result["n_train"], result["n_test"]) == (451, 77)
    labels = np.load(tmp_path / "results/small/labels/train.npy")
    full = np.load(small_run / "results/small/labels/train.npy")
    names = [
        json.loads((folder / "results/small/labels/classes.json").read_text())["drug"]
        for folder in (tmp_path, small_run)
    ]
    assert [names[0][k] for k in labels[:, 1]] == [names[1][k] for k in full[:451, 1]]


def test_nothing_is_left_to_do(small_run):
    done = snakemake(small_run, SMALL, "results/small/metrics.csv", "--dry-run")
    assert "Nothing to be done" in done.stdout


def test_a_changed_plate_is_encoded_again(small_run, tmp_path):
    """Another file under a plate's name, even an older one, is packed and learnt from again."""
    shutil.copytree(small_run / "data", tmp_path / "data")
    config = merged(SMALL, {"atlas": {"simulate": ...}})
    snakemake(tmp_path, config, "results/small/labels/train.npy")
    plates = sorted((tmp_path / "data/small").glob("plate[15]_*"))
    shutil.copy2(plates[1], plates[0])
    done = snakemake(tmp_path, config, "results/small/labels/train.npy", "--dry-run")
    assert "pack_plate" in done.stdout and "encode_labels" in done.stdout
