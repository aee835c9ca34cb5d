"""What the figures read: histories, scores and confusion counts of every training of a run."""

import numpy as np
import pandas as pd

from cellshuffle.analysis.comparison import job_of, read_predictions


def histories(paths):
    """history.csv of every training -> one table with columns strategy and seed in front."""
    tables = []
    for path in paths:
        strategy, seed = job_of(path)
        table = pd.read_csv(path)
        table.insert(0, "seed", seed)
        table.insert(0, "strategy", strategy)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def totals(history):
    """One row per training: cells/s, share of time waiting, peak memory, whole training time."""
    jobs = history.groupby(["strategy", "seed"], sort=False)
    last = jobs.last()
    return pd.DataFrame(
        {
            "cells_per_second": last["cells_seen"] / last["train_seconds"],
            "waiting": jobs["wait_seconds"].sum() / jobs["epoch_seconds"].sum(),
            "peak_memory_mib": jobs["peak_memory_mib"].max(),
            "train_seconds": last["train_seconds"],
        }
    ).reset_index()


def headline_task(comparison, config):
    """The task of headline figures: `figures: task:`, else the one where strategies differ most, as a
    share of the best score."""
    chosen = (config.get("figures") or {}).get("task")
    if chosen:
        return chosen
    scores = comparison[comparison["metric"] == "macro_f1"]
    spread = scores.groupby("task", sort=False)["mean"].agg(
        lambda m: 1 - m.min() / max(m.max(), 1e-9)
    )
    return spread.idxmax()


def target_score(comparison, config, task):
    """The macro F1 that `time to a score` means: a share of the best strategy's mean."""
    scores = comparison[(comparison["metric"] == "macro_f1") & (comparison["task"] == task)]
    return config["figures"]["target_share"] * scores["mean"].max()


def time_to(history, column, target):
    """Training seconds until `column` first reaches `target`, per training; NaN where it never does."""

    def first(job):
        reached = job[column].to_numpy() >= target
        return job["train_seconds"].iloc[reached.argmax()] if reached.any() else np.nan

    jobs = [(*key, first(job)) for key, job in history.groupby(["strategy", "seed"], sort=False)]
    return pd.DataFrame(jobs, columns=["strategy", "seed", "seconds"])


def confusion(paths, task):
    """Confusion counts summed over seeds: ({strategy: (n, n) truth x prediction}, class names)."""
    counts, names = {}, []
    for path in paths:
        tasks, truth, prediction, classes = read_predictions(path)
        t, names = tasks.index(task), classes[task]
        n = len(names)
        flat = truth[:, t].astype(np.int64) * n + prediction[:, t]
        strategy, _ = job_of(path)
        counts[strategy] = counts.get(strategy, 0) + np.bincount(flat, minlength=n * n).reshape(
            n, n
        )
    return counts, names


def plate_strips(paths, config):
    """plates.csv of every strategy, by strategy, with the plates' names of the configuration.

    Where `atlas: split` divides the plates, the files call the training side of plate 3 `3-train`.
    """
    tables = per_strategy(paths, config)
    if not config["atlas"].get("split"):
        return tables
    return {
        s: table.rename(columns=lambda name: name.removesuffix("-train"))
        for s, table in tables.items()
    }


def per_strategy(paths, config):
    """Tables of diversity/<strategy>/, given in the order of the config's strategies, by strategy."""
    return {s: pd.read_csv(path) for s, path in zip(config["strategies"], paths, strict=True)}
