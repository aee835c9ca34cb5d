"""Whether scores were still rising when the trainings ended."""

import pandas as pd

from cellshuffle.analysis.comparison import job_of, read_table

LEAST = 0.001  # of a macro F1, whose third decimal is the last that is shown


def read_history(paths, tasks):
    """history.csv of every training in one table, with columns strategy and seed in front.

    Raises InputError where a file lacks the cost of an epoch, or its losses and macro F1s of these tasks.
    """
    columns = ("epoch", "cells_seen", "train_seconds", "wait_seconds", "epoch_seconds", "peak_memory_mib")
    columns += tuple(f"{task}/{name}" for task in tasks for name in ("loss", "macro_f1"))
    tables = {job_of(path): read_table(path, columns) for path in paths}
    table = pd.concat(tables, names=["strategy", "seed"]).reset_index(["strategy", "seed"])
    return table.reset_index(drop=True)


def last_rises(history, tasks):
    """How much macro F1 rose in the last epoch of every strategy.

    history: from `read_history`. Returns a table, a row a strategy and task: strategy, task, rise (mean over
    seeds of the last score less the one before; NaN after a single epoch), spread (sample standard deviation
    of the last scores over seeds; NaN for one seed), rising (whether the rise is above the spread, and at
    least LEAST).

    >>> epochs = {"strategy": "random", "seed": [0, 0, 1, 1], "drug/macro_f1": [0.1, 0.2, 0.1, 0.22]}
    >>> last_rises(pd.DataFrame(epochs), ["drug"]).round(3).values.tolist()
    [['random', 'drug', 0.11, 0.014, True]]
    """
    rows = []
    for strategy, own in history.groupby("strategy", sort=False):
        for task in tasks:
            scores = own.groupby("seed", sort=False)[f"{task}/macro_f1"]
            rise, spread = scores.agg(lambda score: score.diff().iloc[-1]).mean(), scores.last().std()
            rows.append((strategy, task, rise, spread, bool(rise > spread and rise >= LEAST)))
    return pd.DataFrame(rows, columns=["strategy", "task", "rise", "spread", "rising"])
