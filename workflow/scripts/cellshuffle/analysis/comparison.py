"""The tables metrics.csv and comparison.csv, from the scores and predictions of every training."""

from pathlib import Path

import numpy as np
import pandas as pd

from cellshuffle.analysis.intervals import interval, mean_difference, resampled_scores, resamples
from cellshuffle.analysis.scores import SCORES, class_counts, scores_from_counts
from cellshuffle.errors import InputError
from cellshuffle.files import load_npz, read_json

METRICS = ["loss", *SCORES]
HIGHER, LOWER, SAME = "higher", "lower", "not distinguishable"


def gather(paths):
    """metrics.json files -> one tidy table: strategy, seed, task, metric, value."""
    rows = []
    for path in paths:
        job = read_json(path)
        for task, scores in job["scores"].items():
            rows += [(job["strategy"], job["seed"], task, m, scores[m]) for m in METRICS]
    return pd.DataFrame(rows, columns=["strategy", "seed", "task", "metric", "value"])


def read_table(path):
    """A CSV table of a run, in which names such as `NA`, `null` or `True` stay text."""
    numbers = ("value", "mean", "sd", "difference", "low", "high")
    return pd.read_csv(
        path,
        keep_default_na=False,
        na_values={column: [""] for column in numbers},
        dtype={"strategy": str, "task": str},
    )


def baseline_of(config):
    """The strategy that others are compared with: `compare: baseline:`, else random_sampling, else the first.

    Raises InputError where the configuration names a strategy that it does not have.
    """
    strategies = list(config["strategies"])
    chosen = (config.get("compare") or {}).get("baseline")
    if chosen is None:
        return "random_sampling" if "random_sampling" in strategies else strategies[0]
    if chosen not in strategies:
        raise InputError(
            f"compare: baseline: '{chosen}' is not a strategy; the strategies are {', '.join(strategies)}"
        )
    return chosen


def summarise(metrics):
    """Tidy metrics -> strategy, task, metric, mean, sd (sample; empty for one seed), n, rank (1 is best).

    Strategies, tasks and metrics keep the order in which `metrics` has them.
    """
    grouped = metrics.groupby(["strategy", "task", "metric"], sort=False)["value"]
    table = grouped.agg(mean="mean", sd="std", n="count").reset_index()
    goodness = table["mean"].where(table["metric"] != "loss", -table["mean"])
    ranks = goodness.groupby([table["task"], table["metric"]]).rank("min", ascending=False)
    table["rank"] = ranks.astype(int)
    return table


def read_predictions(path):
    """predictions.npz -> (task names, truth (n, tasks), prediction (n, tasks), {task: class names}).

    Raises InputError where the file lacks one of its arrays.
    """
    file = load_npz(path)
    try:
        tasks = [str(task) for task in file["tasks"]]
        classes = {task: [str(name) for name in file[f"classes_{task}"]] for task in tasks}
        return tasks, file["truth"], file["prediction"], classes
    except KeyError as error:
        raise InputError(f"{path}: has no array {error}; delete it to train again") from None


def job_of(path):
    """(strategy, seed) of a file in train/<strategy>/seed<k>/."""
    folder = Path(path).parent
    return folder.parent.name, int(folder.name.removeprefix("seed"))


def differences(paths, baseline, replicates=1000, seed=0):
    """Difference of every strategy from `baseline`, with a 95% interval over cells and seeds.

    paths: predictions.npz of every training; seed: of the resampling, so that tables repeat.
    Returns a table: strategy, task, metric, difference, low, high, for the metrics in SCORES.
    Raises InputError where trainings were tested on different cells.
    """
    rng = np.random.default_rng(seed)
    jobs = {job_of(path): path for path in paths}
    tasks, truth, _, classes = read_predictions(paths[0])
    group, weights = resamples(len(truth), replicates, rng)
    observed, replicated = {}, {}
    for job, path in jobs.items():
        _, own_truth, prediction, _ = read_predictions(path)
        if not np.array_equal(own_truth, truth):
            raise InputError(f"{path}: tested on other cells than {paths[0]}; train it again")
        for t, task in enumerate(tasks):
            pair = truth[:, t].astype(np.int64), prediction[:, t].astype(np.int64)
            counts = class_counts(*pair, len(classes[task]))
            observed[job, task] = scores_from_counts(*counts)
            replicated[job, task] = resampled_scores(*pair, len(classes[task]), group, weights)
    return _paired(jobs, tasks, baseline, observed, replicated, rng)


def _paired(jobs, tasks, baseline, observed, replicated, rng):
    """The rows of `differences`, from scores per (job, task)."""
    strategies = list(dict.fromkeys(strategy for strategy, _ in jobs))
    rows = []
    for strategy in strategies:
        seeds = [k for s, k in jobs if s == strategy and (baseline, k) in jobs]
        if strategy == baseline or not seeds:
            continue
        for task in tasks:
            pairs = [(((strategy, k), task), ((baseline, k), task)) for k in seeds]
            by_seed = np.stack([observed[a] - observed[b] for a, b in pairs])
            resampled = np.stack([replicated[a] - replicated[b] for a, b in pairs])
            mean, replicates = by_seed.mean(axis=0), mean_difference(by_seed, resampled, rng)
            for m, metric in enumerate(SCORES):
                low, high = interval(mean[m], replicates[:, m])
                rows.append((strategy, task, metric, mean[m], low, high))
    names = ["strategy", "task", "metric", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def compare(metrics, paths, baseline, replicates=1000):
    """The comparison table: `summarise` plus difference, low, high and verdict.

    The verdict of a score is `higher` or `lower` than the baseline when the interval excludes 0.
    The loss, which saved predictions do not hold cell by cell, has a difference and no interval.
    """
    table = summarise(metrics)
    paired = differences(paths, baseline, replicates)
    table = table.merge(paired, how="left", on=["strategy", "task", "metric"])
    loss = table["metric"] == "loss"
    mean = table.set_index(["strategy", "task", "metric"])["mean"]
    reference = [mean[baseline, t, "loss"] for t in table.loc[loss, "task"]]
    table.loc[loss, "difference"] = table.loc[loss, "mean"] - reference
    is_baseline = table["strategy"] == baseline
    table.loc[is_baseline, ["difference", "low", "high"]] = np.nan
    table["verdict"] = np.select(
        [is_baseline, table["low"] > 0, table["high"] < 0, table["low"].notna()],
        ["baseline", HIGHER, LOWER, SAME],
        default="",
    )
    # After the sixth decimal an interval is noise; + 0.0 turns negative zeros into zeros.
    table[["difference", "low", "high"]] = table[["difference", "low", "high"]].round(6) + 0.0
    return table
