"""The results of a run, as figures and the pages of the report use them."""

from functools import cached_property

import numpy as np
import pandas as pd

from cellshuffle.analysis.comparison import (
    CHANCE,
    COMPARISON_COLUMNS,
    METRICS_COLUMNS,
    baseline_of,
    job_of,
    read_predictions,
    read_table,
)
from cellshuffle.analysis.convergence import read_history
from cellshuffle.files import read_json, readable_as
from cellshuffle.loading.samplers import is_rewritten
from cellshuffle.report.tuning import read_tuning


def macro_f1(table, task=None):
    """The macro F1 rows of the comparison table, of one task or all."""
    rows = table[table["metric"] == "macro_f1"]
    return rows if task is None else rows[rows["task"] == task]


class Results:
    """The files of a run, each read when it is first used.

    files: an object whose attributes are paths, such as a rule's `input`. `metrics`, `comparison`,
    `classes` and `combinations` are one path; `published` is a list of one path or none; `history` and
    `predictions` are lists with a path for every training; `plates`, `entropy`, `draws` and `order` (of
    diversity/) `checked` is a list of the check's file, or of none; `history` and `predictions`
    are lists with a path for every strategy. A result whose path is missing cannot be used.
    config: the configuration's keys that rules/outputs.smk selects for the report.
    """

    def __init__(self, files, config):
        self.files, self.config = files, config
        self.strategies, self.tasks = list(config["strategies"]), list(config["tasks"])
        self.baseline = baseline_of(config)

    @cached_property
    def warnings(self):
        """Lines on what the check of the input noticed, such as cells that are left out."""
        lines = []
        for path in getattr(self.files, "checked", []):
            checked = read_json(path)
            with readable_as("what the check of the input noticed", path):
                lines += map(str, checked["warnings"])
        return lines

    @cached_property
    def n_test(self):
        """Test cells of every training; `scores` has one metrics.json in a list."""
        path = self.files.scores[0]
        scores = read_json(path)
        with readable_as("the scores of a training", path):
            return int(scores["n_test"])

    @cached_property
    def loading(self):
        """{strategy: cells/s of every pass by loading alone}; empty where `make plan` has not measured it."""
        rates = {
            s: group["cells_per_second"] for t in self._loading_tables for s, group in t.groupby("strategy")
        }
        return (
            {s: rates[s].to_numpy() for s in self.strategies} if set(self.strategies) <= rates.keys() else {}
        )

    @property
    def loading_source(self):
        """Where `loading` has read from: "memory", or "the disk" where the packed atlas is larger."""
        return "the disk" if any("read_from" in table for table in self._loading_tables) else "memory"

    @cached_property
    def _loading_tables(self):
        return [pd.read_csv(path) for path in getattr(self.files, "loading", [])]

    @cached_property
    def metrics(self):
        return read_table(self.files.metrics, METRICS_COLUMNS)

    @cached_property
    def comparison(self):
        """The rows of the strategies."""
        return self.every_score[~self.every_score["strategy"].isin(CHANCE)]

    @cached_property
    def every_score(self):
        """All rows of the comparison: of the strategies, and of chance."""
        return read_table(self.files.comparison, COMPARISON_COLUMNS)

    def chance(self, task):
        """The macro F1 that is scored on a task by chance, the better of its two kinds; NaN if unknown."""
        rows = self.every_score[self.every_score["strategy"].isin(CHANCE)]
        return macro_f1(rows, task)["mean"].max()

    @cached_property
    def seen(self):
        """Scores on cells held out from the train plates, None without them."""
        paths = getattr(self.files, "seen", [])
        return read_table(paths[0], METRICS_COLUMNS) if paths else None

    @cached_property
    def tuning(self):
        """The Tuning, None where no learning rates were tuned."""
        return read_tuning(getattr(self.files, "tuning", []), getattr(self.files, "tuned", []))

    @cached_property
    def linear(self):
        """The comparison of the linear model, where the run has trained it beside one with hidden layers."""
        tables = [read_table(path, COMPARISON_COLUMNS) for path in getattr(self.files, "linear", [])]
        return tables[0] if tables else None

    @cached_property
    def classes(self):
        return read_table(
            self.files.classes, ("task", "class", "cells", "strategy", "precision", "recall", "f1")
        )

    @cached_property
    def combinations(self):
        return read_table(self.files.combinations, ("count", "weight"))

    @cached_property
    def published(self):
        """Published scores (strategy, task, metric, value), or None."""
        return pd.read_csv(self.files.published[0], comment="#") if self.files.published else None

    @cached_property
    def history(self):
        """history.csv of every training in one table, with columns strategy and seed in front."""
        return read_history(self.files.history, self.tasks)

    @cached_property
    def totals(self):
        """One row per training: cells/s, share of time waiting, peak memory, total training time."""
        jobs = self.history.groupby(["strategy", "seed"], sort=False)
        last = jobs.last()
        return pd.DataFrame(
            {
                "cells_per_second": last["cells_seen"] / last["train_seconds"],
                "waiting": jobs["wait_seconds"].sum() / jobs["epoch_seconds"].sum(),
                "peak_memory_mib": jobs["peak_memory_mib"].max(),
                "train_seconds": last["train_seconds"],
            }
        ).reset_index()

    @cached_property
    def entropy(self):
        """{strategy: entropy.csv}."""
        return self._by_strategy(self.files.entropy, ("position", "plate"))

    @cached_property
    def draws(self):
        """{strategy: draws.csv}."""
        return self._by_strategy(self.files.draws, ("count", "drawn"))

    @cached_property
    def order(self):
        """{strategy: order.csv}; empty for cached results that were made without."""
        paths = list(getattr(self.files, "order", []))
        columns, text = ("measure", "label", "window", "value"), ("measure", "label")
        tables = [read_table(path, columns, text) for path in paths]
        return dict(zip(self.strategies, tables, strict=True)) if tables else {}

    @cached_property
    def plates(self):
        """{strategy: plates.csv}, with the plates' names of the configuration.

        Where `atlas: split` divides the plates, the files call the training side of plate 3 `3-train`.
        """
        tables = self._by_strategy(self.files.plates, ("position",))
        if self.config["atlas"].get("split"):
            for table in tables.values():
                table.columns = table.columns.str.removesuffix("-train")
        return tables

    def _by_strategy(self, paths, columns):
        return {s: read_table(path, columns) for s, path in zip(self.strategies, paths, strict=True)}

    @cached_property
    def headline_task(self):
        """`figures: task:`, else the task where strategies differ most, as a share of the best score."""
        spread = (
            macro_f1(self.comparison)
            .groupby("task", sort=False)["mean"]
            .agg(lambda mean: 1 - mean.min() / max(mean.max(), 1e-9))
        )
        return self.config["figures"].get("task") or spread.idxmax()

    def macro_f1(self, task):
        """The comparison's rows on macro F1 of a task, by strategy."""
        return macro_f1(self.comparison, task).set_index("strategy")

    @cached_property
    def target_score(self):
        """The macro F1 on the headline task to be reached: a share of the best strategy's mean."""
        best = self.macro_f1(self.headline_task)["mean"].max()
        return self.config["figures"]["target_share"] * best

    @cached_property
    def rewriting(self):
        """{strategy: seconds that writing the atlas once more takes} of those that suppose it was."""
        tables = [read_table(path, ("cells", "seconds")) for path in getattr(self.files, "rewrite", [])]
        seconds = [table["seconds"].iloc[0] for table in tables]
        entries = self.config["strategies"]
        return {s: seconds[0] for s in self.strategies if seconds and is_rewritten(entries[s])}

    @cached_property
    def time_to_target(self):
        """Training seconds until `target_score` is first reached, per training; NaN where it never is."""
        rows = []
        for job, table in self.history.groupby(["strategy", "seed"], sort=False):
            reached = table[f"{self.headline_task}/macro_f1"].to_numpy() >= self.target_score
            seconds = table["train_seconds"].iloc[reached.argmax()] if reached.any() else np.nan
            rows.append((*job, seconds))
        return pd.DataFrame(rows, columns=["strategy", "seed", "seconds"])

    def confusion(self, task):
        """Confusion counts summed over seeds: ({strategy: (n, n) truth x prediction}, class names)."""
        counts, names = {}, []
        for path in self.files.predictions:
            tasks, truth, prediction, classes = read_predictions(path)
            t, names = tasks.index(task), classes[task]
            n = len(names)
            flat = truth[:, t].astype(np.int64) * n + prediction[:, t]
            strategy, _ = job_of(path)
            matrix = np.bincount(flat, minlength=n * n).reshape(n, n)
            counts[strategy] = counts.get(strategy, 0) + matrix
        return counts, names
