"""A user's own atlas, in one file, through the workflow by configuration alone."""

import anndata
import numpy as np
import pandas as pd
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.files import load_npy, read_json
from runs import snakemake

N_CELLS, N_GENES = 40, 30
COUNTS = counts_of(N_CELLS, N_GENES)


def own_config(tmp_path, **changes):
    """A configuration for one small file; `changes` replace sections, atlas is merged."""
    atlas = {"dir": str(tmp_path), "plate_file": "atlas.h5ad", "train_plates": ["all"]}
    config = {
        "run": "own",
        "atlas": atlas | changes.pop("atlas", {}),
        "tasks": {"line": {"column": "line"}},
        "strategies": {
            "streaming": {"sampler": "Streaming"},
            "weighted": {"sampler": "BlockWeightedSampling", "block_size": 2},
        },
        "training": {"seeds": [0], "epochs": 1, "batch_size": 8, "fetch_factor": 2},
    }
    return config | changes


def test_one_file_divided_by_an_obs_column(tmp_path):
    """CSC, a named layer, string columns, ten tasks; balance over a column that is no task."""
    kinds = {f"task{k}": (["x", "y", "z"], "string") for k in range(8)} | {
        "cells": ([1, 2, 3], "integer"),
        "flag": ([True, False], "boolean"),
        "well": (["w1", "w2", "w3"], "categorical"),
        "site": (["p1", "p2", "p3"], "string"),
    }
    obs = obs_of(N_CELLS, **kinds)
    write_atlas(tmp_path / "atlas.h5ad", COUNTS, obs, "csc", "counts", "gzip")
    atlas = {"plate_column": "site", "train_plates": ["p3", "p1"], "test_plates": ["p2"]}
    tasks = [name for name in kinds if name not in ("well", "site")]
    config = own_config(
        tmp_path,
        atlas=atlas | {"layer": "counts"},
        tasks={name: {"column": name} for name in tasks},
        weights={"balance": ["well", "flag"], "min_count_baseline": 0},
    )
    scores = "results/own/train/weighted/seed0/metrics.json"
    snakemake(tmp_path, config, scores, "results/own/train/streaming/seed0/metrics.json")
    metrics = read_json(tmp_path / scores)
    assert metrics["tasks"] == tasks
    assert metrics["n_test"] == (obs["site"] == "p2").sum()
    train = pd.concat([obs[obs["site"] == "p3"], obs[obs["site"] == "p1"]])
    classes = read_json(tmp_path / "results/own/labels/classes.json")
    codes = load_npy(tmp_path / "results/own/labels/train.npy")
    for position, task in enumerate(tasks):
        named = [classes[task][code] for code in codes[:, position]]
        assert named == list(train[task].astype(str))
    size = train.groupby(["well", "flag"], observed=True)["site"].transform("size")
    weights = load_npy(tmp_path / "results/own/weights/cells.npy")
    n_combinations = len(train.groupby(["well", "flag"], observed=True))
    assert np.allclose(weights, len(train) / (n_combinations * size))


def test_one_file_divided_at_random_with_one_task(tmp_path):
    obs = obs_of(N_CELLS, line=(["A", "B", "Ä"], "categorical"))
    write_atlas(tmp_path / "atlas.h5ad", COUNTS, obs, "dense", "raw", "lzf")
    (tmp_path / "genes.txt").write_text("\n".join(f"gene{k}" for k in range(5, 20)))
    atlas = {"split": {"fraction": 0.3, "seed": 0}, "layer": "raw"}
    config = own_config(tmp_path, atlas=atlas | {"genes": str(tmp_path / "genes.txt")})
    scores = "results/own/train/weighted/seed0/metrics.json"
    snakemake(tmp_path, config, scores)
    metrics = read_json(tmp_path / scores)
    assert metrics["n_train"] + metrics["n_test"] == N_CELLS and metrics["n_test"] > 3
    packed_test = anndata.read_h5ad(tmp_path / "results/own/packed/plateall-test.h5ad")
    assert packed_test.shape == (metrics["n_test"], 15)


def test_lookup_tables_of_every_kind(tmp_path):
    """CSV, TSV and Parquet give the same classes; one value stands under `extra` instead."""
    obs = obs_of(N_CELLS, line=(["A", "B", "Ä 1"], "categorical"))
    write_atlas(tmp_path / "atlas.h5ad", COUNTS, obs)
    table = pd.DataFrame({"name": ["Ä 1", "A"], "class, of": ["ü, x", "y"], "more": [1, 2]})
    table.to_csv(tmp_path / "table.csv", index=False)
    table.to_csv(tmp_path / "table.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "table.parquet")
    lookup = {"key": "name", "value": "class, of", "extra": {"B": "none"}}
    tasks = {
        kind: {"column": "line", "lookup": lookup | {"table": str(tmp_path / f"table.{kind}")}}
        for kind in ("csv", "tsv", "parquet")
    }
    atlas = {"split": {"fraction": 0.3, "seed": 0}}
    snakemake(tmp_path, own_config(tmp_path, atlas=atlas, tasks=tasks), "results/own/labels/train.npy")
    labels = tmp_path / "results/own/labels"
    train = anndata.read_h5ad(tmp_path / "results/own/packed/plateall-train.h5ad").obs["line"]
    expected = train.astype(str).map({"A": "y", "B": "none", "Ä 1": "ü, x"}).tolist()
    codes = load_npy(labels / "train.npy")
    for position, (kind, names) in enumerate(read_json(labels / "classes.json").items()):
        assert names == ["none", "y", "ü, x"]
        assert [names[code] for code in codes[:, position]] == expected, kind
