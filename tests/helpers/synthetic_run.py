"""A made-up run folder (scores, histories, predictions, diversity) of any size, to test what draws it.

The numbers imitate the real experiment: the first strategies stream and fail on the larger tasks.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from cellshuffle.analysis.chance import chance_rows, with_chance
from cellshuffle.analysis.classes import class_scores
from cellshuffle.analysis.comparison import METRICS, baseline_of, compare, gather
from cellshuffle.analysis.order_measures import WINDOWS
from cellshuffle.analysis.scores import SCORES, class_counts, scores_from_counts
from cellshuffle.report.results import Results

SAMPLERS = [
    ("streaming", {"sampler": "Streaming", "shuffle": False}),
    ("random_sampling", {"sampler": "BlockShuffling", "block_size": 1}),
    ("streaming_buffer", {"sampler": "Streaming", "shuffle": True}),
    ("block_shuffling", {"sampler": "BlockShuffling", "block_size": 4}),
    ("block_weighted", {"sampler": "BlockWeightedSampling", "block_size": 4}),
    ("true_weighted", {"sampler": "BlockWeightedSampling", "block_size": 1}),
]


def make_config(
    n_strategies=2,
    n_seeds=1,
    tasks=("cell_line", "drug"),
    plates=13,
    run="synthetic",
    suffix="",
    epochs=5,
):
    """A complete config (as after validation) for a synthetic run; suffix: of the strategies' names."""
    strategies = dict(SAMPLERS[:n_strategies])
    for k in range(n_strategies - len(SAMPLERS)):
        strategies[f"block_shuffling_of_{2**k}_cells"] = {
            "sampler": "BlockShuffling",
            "block_size": 2**k,
        }
    return {
        "run": run,
        "atlas": {
            "train_plates": list(range(1, plates + 1)),
            "test_plates": [plates + 1],
        },
        "tasks": {task: {"column": task} for task in tasks},
        "weights": {"balance": list(tasks[:2]), "min_count_baseline": 1000},
        "strategies": {name + suffix: entry for name, entry in strategies.items()},
        "training": {
            "seeds": list(range(n_seeds)),
            "epochs": epochs,
            "batch_size": 64,
            "fetch_factor": 16,
            "model": {"hidden": []},
        },
        "reading": {
            "plates": [f"packed/plate{k}.h5ad" for k in range(1, plates + 1)],
            "max_cells": None,
            "layer": None,
            "where": None,
            "transform": "none",
        },
        "figures": {"published": False, "target_share": 0.9, "task": None},
        "compare": {"baseline": None, "bootstrap": 200},
    }


def class_names(task, n):
    """Readable class names; drugs have long, awkward names like the real ones."""
    if n > 60:
        return [f"Trametinib (DMSO_TF solvate) {k:03d}" if k % 40 == 7 else f"drug {k:03d}" for k in range(n)]
    return [f"{task} {k:02d}" for k in range(n)]


def write_run(root, config, n_classes=(12, 95), n_test=800, n_train=26000, seed=0):
    """Write results/<run> under `root` for `config`; n_classes: classes of each task. Returns its path."""
    rng = np.random.default_rng(seed)
    run = Path(root) / "results" / config["run"]
    names = list(config["strategies"])
    for s, strategy in enumerate(names):
        strength = 0.25 if strategy.startswith("streaming") else 0.8 + 0.004 * s
        for k in config["training"]["seeds"]:
            folder = run / "train" / strategy / f"seed{k}"
            folder.mkdir(parents=True, exist_ok=True)
            truth, prediction, classes = _predictions(rng, config, n_classes, n_test, strength)
            scores = {
                task: {
                    "loss": 4.0 - 3 * strength,
                    **scores_of_predictions(truth[:, t], prediction[:, t]),
                }
                for t, task in enumerate(config["tasks"])
            }
            metrics = {
                "strategy": strategy,
                "seed": k,
                "epochs": config["training"]["epochs"],
                "n_train": n_train,
                "n_test": n_test,
                "tasks": list(config["tasks"]),
                "scores": scores,
                "order_sha256": ["0" * 64] * config["training"]["epochs"],
            }
            (folder / "metrics.json").write_text(json.dumps(metrics))
            np.savez_compressed(
                folder / "predictions.npz",
                tasks=np.array(list(config["tasks"])),
                truth=truth,
                prediction=prediction,
                **classes,
            )
            _history(rng, config, scores, n_train, s).to_csv(folder / "history.csv", index=False)
        _diversity(rng, config, run / "diversity" / strategy, strategy, n_classes, n_train)
    _combinations(rng, config, run, n_classes, n_train)
    names = {task: classes[f"classes_{task}"] for task in config["tasks"]}
    counts = pd.DataFrame([(t, c, 100) for t in names for c in names[t]], columns=["task", "class", "cells"])
    counts.to_csv(run / "weights" / "classes.csv", index=False)
    return run


def scores_of_predictions(truth, prediction):
    """The scores of (n_cells,) codes, as a dict named by SCORES."""
    n_classes = int(max(truth.max(), prediction.max())) + 1
    values = scores_from_counts(*class_counts(truth, prediction, n_classes))
    return dict(zip(SCORES, values.tolist(), strict=True))


def results_of(run, config, published=()):
    """The Results of a run that `write_run` wrote, with its tables."""
    jobs = [
        run / "train" / strategy / f"seed{k}"
        for strategy in config["strategies"]
        for k in config["training"]["seeds"]
    ]
    files = {
        name: [job / file for job in jobs]
        for name, file in (
            ("history", "history.csv"),
            ("predictions", "predictions.npz"),
            ("scores", "metrics.json"),
        )
    }
    for name in ("plates", "entropy", "draws", "order"):
        files[name] = [run / "diversity" / s / f"{name}.csv" for s in config["strategies"]]
    metrics = gather(files["scores"])
    table = compare(metrics, files["predictions"], baseline_of(config), 100)
    counts = pd.read_csv(run / "weights" / "classes.csv")
    table = with_chance(table, chance_rows(counts, files["predictions"][0]))
    classes = class_scores(files["predictions"])
    for name, content in (("metrics", metrics), ("comparison", table), ("classes", classes)):
        files[name] = run / f"{name}.csv"
        content.to_csv(files[name], index=False)
    combinations = run / "weights" / "combinations.csv"
    files |= {"combinations": combinations, "published": published}
    return Results(SimpleNamespace(**files), config)


def rises_of(table, **rising):
    """The rises of a comparison's scores in the last epoch, of strategies on all tasks: none unless given.

    rising: {strategy: rise}; the seeds' spread is 0.01.
    """
    pairs = table[["strategy", "task"]].drop_duplicates()
    rise = [rising.get(strategy, 0.0) for strategy in pairs["strategy"]]
    return pairs.assign(rise=rise, spread=0.01, rising=[r > 0.01 for r in rise])


def results_with(config, **tables):
    """Results of no files, with the given tables."""
    results = Results(None, config)
    vars(results).update(tables)
    return results


def _predictions(rng, config, n_classes, n_test, strength):
    truth, prediction, classes = [], [], {}
    for task, n in zip(config["tasks"], n_classes, strict=False):
        present = np.arange(n)[: max(2, n // 2)] if n > 50 else np.arange(n)
        true = np.random.default_rng(1).choice(present, n_test)  # the same test cells everywhere
        hit = rng.random(n_test) < (strength if n > 50 else 0.5 + strength / 2)
        wrong = rng.integers(n // 2, n, n_test) if strength < 0.5 else rng.integers(0, n, n_test)
        truth.append(true)
        prediction.append(np.where(hit, true, wrong))
        classes[f"classes_{task}"] = np.array(class_names(task, n))
    return np.array(truth, np.uint16).T, np.array(prediction, np.uint16).T, classes


def _history(rng, config, scores, n_train, s):
    epochs = np.arange(1, config["training"]["epochs"] + 1)
    rise = 1 - np.exp(-epochs / 2)
    seconds = 1.5 + 0.4 * (s % 7) + 0.05 * rng.random()
    table = {
        "epoch": epochs,
        "cells_seen": epochs * n_train,
        "train_seconds": epochs * seconds,
        "cells_per_second": n_train / seconds * (1 + 0.02 * rng.standard_normal(len(epochs))),
        "wait_seconds": 0.1 * (1 + s % 5) * seconds * np.ones(len(epochs)),
        "epoch_seconds": seconds,
        "test_seconds": 0.3,
        "peak_memory_mib": 700.0 + 20 * s,
        "train_loss": 8 - 4 * rise,
    }
    for task, score in scores.items():
        table[f"{task}/train_loss"] = 4 - 2 * rise
        table[f"{task}/loss"] = 4 - (4 - score["loss"]) * rise
        for metric in METRICS[1:]:
            table[f"{task}/{metric}"] = score[metric] * rise / rise[-1]
    return pd.DataFrame(table)


def _diversity(rng, config, folder, strategy, n_classes, n_train):
    folder.mkdir(parents=True, exist_ok=True)
    plates = [str(p) for p in config["atlas"]["train_plates"]]
    streams = strategy.startswith("streaming")
    batches = 400
    level = 0.1 if streams else np.log2(len(plates)) - 0.2
    entropy = pd.DataFrame({"position": (np.arange(batches) + 0.5) / batches})
    entropy["plate"] = np.abs(level + 0.08 * rng.standard_normal(batches)).clip(0, 6)
    for task, n in zip(config["weights"]["balance"], n_classes, strict=False):
        entropy[task] = np.log2(n) - (1.0 if streams else 0.4) + 0.1 * rng.standard_normal(batches)
    entropy.to_csv(folder / "entropy.csv", index=False)
    labels = ["plate", *config["weights"]["balance"]]
    rows = [("entropy", label, w, level * w**0.1 + rng.random()) for w in WINDOWS for label in labels]
    rows.append(("differences", "", 0, 10 - 5 * streams + rng.random()))
    rows += [("drift", label, 0, 0.7 * streams + 0.1 * rng.random()) for label in labels]
    order = pd.DataFrame(rows, columns=["measure", "label", "window", "value"])
    order.to_csv(folder / "order.csv", index=False)
    bins = 100
    share = np.zeros((bins, len(plates)))
    if streams:
        share[np.arange(bins), np.arange(bins) * len(plates) // bins] = 1
    else:
        share = rng.dirichlet(np.full(len(plates), 60.0), bins)
    strip = pd.DataFrame(share, columns=plates)
    strip.insert(0, "position", (np.arange(bins) + 0.5) / bins)
    strip.to_csv(folder / "plates.csv", index=False)
    combos = np.prod(n_classes[: len(config["weights"]["balance"])])
    count = _counts(combos, n_train)
    mean = count
    if "Weighted" in config["strategies"][strategy]["sampler"]:
        weight = count / (count + config["weights"]["min_count_baseline"])
        mean = n_train * weight / weight.sum()
    pd.DataFrame({"count": count, "drawn": rng.poisson(mean)}).to_csv(folder / "draws.csv", index=False)


def _counts(combos, n_train):
    shape = np.random.default_rng(2).lognormal(0, 1.5, combos)
    return np.maximum(1, n_train * shape / shape.sum()).astype(int)


def _combinations(rng, config, run, n_classes, n_train):
    balance = config["weights"]["balance"]
    grid = np.unravel_index(np.arange(np.prod(n_classes[: len(balance)])), n_classes[: len(balance)])
    table = pd.DataFrame(
        {t: np.array(class_names(t, n))[g] for t, n, g in zip(balance, n_classes, grid, strict=False)}
    )
    table["count"] = _counts(len(table), n_train)
    baseline = config["weights"]["min_count_baseline"]
    table["weight"] = table["count"].sum() / (len(table) * (table["count"] + baseline))
    (run / "weights").mkdir(parents=True, exist_ok=True)
    table.to_csv(run / "weights" / "combinations.csv", index=False)
