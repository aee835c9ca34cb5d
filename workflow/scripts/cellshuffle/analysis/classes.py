"""The table classes.csv: how well each strategy tells each class."""

import numpy as np
import pandas as pd

from cellshuffle.analysis.comparison import job_of, read_predictions
from cellshuffle.analysis.scores import class_counts

COLUMNS = ["task", "class", "cells", "strategy", "precision", "recall", "f1"]


def class_scores(paths):
    """Precision, recall and F1 of every class of every task, by strategy: means over the seeds.

    paths: predictions.npz of every training. Returns a table with COLUMNS, a row a class and strategy,
    classes in the order of their codes; `cells` are test cells. A score without a cell to count is 0,
    as in scikit-learn with zero_division=0, so that the mean of f1 over the classes with test cells is
    the strategy's macro_f1_present.
    """
    sums, seeds = {}, {}
    for path in paths:
        strategy, _ = job_of(path)
        seeds[strategy] = seeds.get(strategy, 0) + 1
        tasks, truth, prediction, classes = read_predictions(path)
        for t, task in enumerate(tasks):
            pair = truth[:, t].astype(np.int64), prediction[:, t].astype(np.int64)
            hits, predicted, true = class_counts(*pair, len(classes[task]))
            parts = (predicted, true, (predicted + true) / 2)  # precision, recall, F1 are hits over these
            scores = np.stack([hits / np.maximum(part, 0.5) for part in parts])
            sums[task, strategy] = sums.get((task, strategy), 0) + scores
            sums[task] = true, classes[task]
    tables = []
    for task in tasks:
        true, names = sums[task]
        of_task = [
            pd.DataFrame(
                dict(zip(["precision", "recall", "f1"], sums[task, strategy] / n_seeds, strict=True))
            ).assign(task=task, cells=true, strategy=strategy, code=range(len(names)), **{"class": names})
            for strategy, n_seeds in seeds.items()
        ]
        tables.append(pd.concat(of_task).sort_values("code", kind="stable"))
    # After the sixth decimal there is nothing to read.
    return pd.concat(tables)[COLUMNS].round(6).reset_index(drop=True)
