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
    """CSC, a named layer, string columns, ten tasks, balance over no task, plates of any name."""
    kinds = {f"task{k}": (["x", "y", "z"], "string") for k in range(8)} | {
        "cells": ([1, 2, 3], "integer"),
        "flag": ([True, False], "boolean"),
        "well": (["w1", "w2", "w3"], "categorical"),
        "site": (["Spleen/left", "{10X} v2", "Ü1 🧬"], "string"),
    }
    obs = obs_of(N_CELLS, **kinds)
    write_atlas(tmp_path / "atlas.h5ad", COUNTS, obs, "csc", "counts", "gzip")
    atlas = {"plate_column": "site", "train_plates": ["Ü1 🧬", "Spleen/left"], "test_plates": ["{10X} v2"]}
    tasks = [name for name in kinds if name not in ("well", "site")]
    config = own_config(
        tmp_path,
        atlas=atlas | {"layer": "counts"},
        tasks={name: {"column": name} for name in tasks},
        weights={"balance": ["well", "flag"], "min_count_baseline": 0},
    )
    scores = "results/own/train/weighted/seed0/metrics.json"
    shares = "results/own/diversity/streaming/plates.csv"
    done = snakemake(tmp_path, config, scores, "results/own/train/streaming/seed0/metrics.json", shares)
    assert "plate Spleen/left: " in done.stdout
    assert list(pd.read_csv(tmp_path / shares)) == ["position", *atlas["train_plates"]]
    metrics = read_json(tmp_path / scores)
    assert metrics["tasks"] == tasks
    assert metrics["n_test"] == (obs["site"] == "{10X} v2").sum()
    train = pd.concat([obs[obs["site"] == plate] for plate in atlas["train_plates"]])
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


def test_cells_without_a_label_and_plates_without_a_side(tmp_path):
    """The cells used are those that pandas would keep; the order, labels and scores are of them alone."""
    sides = {"p1": ["test"], "p2": ["train", "test", None], "p3": ["train", "later"], "p4": ["train"]}
    tables = {}
    for seed, (plate, values) in enumerate(sides.items()):
        obs = obs_of(N_CELLS, seed, line=(["A", "B", None], "object"), drug=(["a", "b", "c"], "object"),
                     fold=(values, "object"), dose=([1, 2], "integer"))  # fmt: skip
        if plate == "p4":
            obs["drug"] = "d"  # which the table lacks
        obs["dose"] = obs["dose"].astype(float if plate == "p2" else int)
        tables[plate] = obs
        write_atlas(tmp_path / f"{plate}.h5ad", counts_of(N_CELLS, N_GENES, seed), obs)
    (tmp_path / "moa.csv").write_text("drug,moa\na,x\nb,y\nc,\n")
    lookup = {"table": str(tmp_path / "moa.csv"), "key": "drug", "value": "moa", "extra": {"c": "z"}}
    atlas = {"plate_file": "{plate}.h5ad", "train_plates": list(sides), "max_train_cells": 20}
    split = {"column": "fold", "train": ["train"], "test": ["test"], "ignore": ["later", None]}
    tasks = {
        "dose": {"column": "dose"},
        "line": {"column": "line", "missing": "drop"},
        "moa": {"column": "drug", "lookup": lookup, "missing": "drop"},
    }
    config = own_config(tmp_path, atlas=atlas | {"split": split}, tasks=tasks)
    run = tmp_path / "results/own"
    done = snakemake(tmp_path, config, *(f"results/own/{name}" for name in (
        "train/weighted/seed0/metrics.json", "train/streaming/seed0/metrics.json",
        "diversity/streaming/plates.csv", "checked.json",
    )))  # fmt: skip
    cells = pd.concat(tables.values(), keys=tables, names=["plate"]).reset_index("plate")
    cells["moa"] = cells["drug"].map({"a": "x", "b": "y", "c": "z"})
    classes = read_json(run / "labels/classes.json")
    sizes = pd.read_csv(run / "labels/plates.csv").set_index(["split", "plate"])["n_cells"]
    for side in ("train", "test"):
        there = cells[cells["fold"] == side]
        kept = there.dropna(subset=["line", "moa"])
        counts = kept["plate"].value_counts()
        counts = counts.reindex(tables, fill_value=0).tolist()
        if side == "train":
            kept, counts = kept[:20], [0, counts[1], 20 - counts[1], 0]
            assert counts[1] < 20
        assert sizes[side].tolist() == counts and 0 in counts
        codes = load_npy(run / f"labels/{side}.npy")
        for position, task in enumerate(tasks):
            named = [classes[task][code] for code in codes[:, position]]
            expected = kept[task].astype(int) if task == "dose" else kept[task]
            assert named == expected.astype(str).tolist()
        for task in ("line", "moa"):
            n = there[task].isna().sum()
            line = f"warning: tasks: {task}: {n} {side} cells have no label and are left out"
            assert (line in done.stdout) == (n > 0)
    own = tables["p2"]
    kept_here = (own["fold"] == "train") & own["line"].notna()
    packed = anndata.read_h5ad(run / "packed/platep2-train.h5ad")
    assert list(packed.obs_names) == list(own.index[kept_here])
    assert np.array_equal(packed.X.toarray(), counts_of(N_CELLS, N_GENES, 1)[kept_here])
    metrics = read_json(run / "train/streaming/seed0/metrics.json")
    assert (metrics["n_train"], metrics["n_test"]) == (20, len(kept))
    assert "warning: atlas: 2 of 4 plates without train cells: p1 and p4" in done.stdout
    left_out = {row["plate"]: row["left_out"] for row in read_json(run / "checked.json")["plates"]}
    assert left_out["p4-train"]["moa"] == N_CELLS and left_out["p4-test"] == {"line": 0, "moa": 0}
    with open(tmp_path / "moa.csv", "a") as table:  # another table, other cells
        table.write("d,w\n")
    snakemake(tmp_path, config, "results/own/labels/train.npy")
    packed = anndata.read_h5ad(run / "packed/platep4-train.h5ad", backed="r")
    assert packed.n_obs == tables["p4"]["line"].notna().sum()


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
