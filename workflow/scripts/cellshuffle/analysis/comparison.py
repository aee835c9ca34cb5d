"""The tables metrics.csv and comparison.csv, from the scores and predictions of every training."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from cellshuffle.analysis.intervals import (
    interval,
    mean_difference,
    resampled_scores,
    resamples,
    unseen_share,
)
from cellshuffle.analysis.scores import CLASS_SCORES, SCORES, class_counts, scores_from_counts
from cellshuffle.errors import InputError
from cellshuffle.files import load_npz, read_json, readable_as
from cellshuffle.labels.sample_size import cells_per_class, too_few_cells, too_few_per_class

METRICS = ["loss", *SCORES]
HIGHER, LOWER, SAME, UNKNOWN = "higher", "lower", "not distinguishable", "cannot tell"
TOLD = (HIGHER, LOWER, SAME)
SAME_PREDICTIONS = "the same predictions for every test cell"
COMMONEST_CLASS = "no strategy is better than always naming the commonest class"


METRICS_COLUMNS = ("strategy", "seed", "task", "metric", "value")
COMPARISON_COLUMNS = (
    "strategy",
    "task",
    "metric",
    "mean",
    "sd",
    "n",
    "rank",
    "difference",
    "low",
    "high",
    "verdict",
)
TEXT = ("strategy", "task", "metric", "class", "split", "verdict", "reason")
MAY_LACK = ("sd", "difference", "low", "high")


# Scored without looking at a cell, see analysis/chance.py; with blanks, so that no strategy is so named.
COMMONEST, FREQUENCIES = "commonest class", "train frequencies"
CHANCE = (COMMONEST, FREQUENCIES)


def gather(paths, fingerprints=(), held_out=None):
    """metrics.json files -> one tidy table: strategy, seed, task, metric, value.

    fingerprints: of the recipes that are to have made them, in the same order; none for files taken as they
    are; held_out: the part of the train cells that the scores are of, None for the test cells.
    Raises InputError where a file was made by another, or does not hold scores.
    """
    rows = []
    for path, wanted in itertools.zip_longest(paths, fingerprints):
        job = read_json(path)
        with readable_as("the scores of a training", path):
            if wanted not in (None, job.get("fingerprint")):
                raise ValueError("made by other settings or other code")
            for task, scores in (job["held_out"][held_out] if held_out else job["scores"]).items():
                rows += [(job["strategy"], job["seed"], task, m, float(scores[m])) for m in METRICS]
    return pd.DataFrame(rows, columns=list(METRICS_COLUMNS))


def read_table(path, columns, text=()):
    """A CSV table that the run has made, in which names such as `NA`, `null` or `True` stay text.

    columns: those that it is to have; all but TEXT hold numbers, and none but MAY_LACK lacks any. text: of
    numbers that are names. Rows of CHANCE may lack any number. Raises InputError where the file holds
    anything else.
    """
    with readable_as("a table of the run", path):
        table = pd.read_csv(
            path,
            keep_default_na=False,
            na_values={column: [""] for column in ("value", "mean", "n", "rank", "rescaled", *MAY_LACK)},
            dtype=dict.fromkeys((*TEXT, *text), str),
        )
        whole = ~table["strategy"].isin(CHANCE) if "strategy" in table else slice(None)
        for column in columns:
            if column not in table:
                raise ValueError(f"it has no column '{column}'")
            numbers = column not in (*TEXT, *text)
            if numbers and not pd.api.types.is_numeric_dtype(table[column]):
                raise ValueError(f"not only numbers in column '{column}'")
            if numbers and column not in MAY_LACK and not np.isfinite(table.loc[whole, column]).all():
                raise ValueError(f"numbers that are missing or not finite in column '{column}'")
        if table.empty:
            raise ValueError("it has no rows")
    return table


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

    Raises InputError where the file holds anything else.
    """
    file = load_npz(path)
    with readable_as("the predictions of a training", path):
        tasks = [str(task) for task in file["tasks"]]
        classes = {task: [str(name) for name in file[f"classes_{task}"]] for task in tasks}
        limits = [len(names) for names in classes.values()]
        for name in ("truth", "prediction"):
            codes = file[name]
            if codes.dtype.kind not in "iu" or codes.shape != (len(file["truth"]), len(tasks)):
                raise ValueError(f"{name} is {codes.dtype} of the shape {codes.shape}")
            if (codes < 0).any() or (codes >= limits).any():
                raise ValueError(f"{name} has codes of no class")
    return tasks, file["truth"], file["prediction"], classes


def job_of(path):
    """(strategy, seed) of a file in train/<strategy>/seed<k>/."""
    folder = Path(path).parent
    return folder.parent.name, int(folder.name.removeprefix("seed"))


def differences(paths, baseline, replicates=1000, seed=0):
    """Difference of every strategy from `baseline`, with a 95% interval over cells and seeds.

    paths: predictions.npz of every training, or {(strategy, seed): path}; seed: of the resampling, so that
    tables repeat.
    Returns a table: strategy, task, metric, difference, low, high, reason, for the metrics in SCORES.
    `reason` is a phrase where no difference can be told; where cells are too few or all predictions
    agree, there is no interval.
    Raises InputError where trainings were tested on different cells.
    """
    rng = np.random.default_rng(seed)
    jobs = paths if isinstance(paths, dict) else {job_of(path): path for path in paths}
    first = next(iter(jobs.values()))
    tasks, truth, _, classes = read_predictions(first)
    group, weights = resamples(len(truth), replicates, rng)
    observed, replicated, digests = {}, {}, {}
    for job, path in jobs.items():
        _, own_truth, prediction, _ = read_predictions(path)
        if not np.array_equal(own_truth, truth):
            raise InputError(f"{path}: tested on other cells than {first}; train it again")
        for t, task in enumerate(tasks):
            pair = truth[:, t].astype(np.int64), prediction[:, t].astype(np.int64)
            counts = class_counts(*pair, len(classes[task]))
            observed[job, task] = scores_from_counts(*counts)
            replicated[job, task] = resampled_scores(*pair, len(classes[task]), group, weights)
            digests[job, task] = hashlib.sha256(pair[1].tobytes()).digest()
    counts, learnt = {}, {}
    for t, task in enumerate(tasks):
        true = truth[:, t].astype(np.int64)
        counts[task] = np.bincount(true, minlength=len(classes[task]))
        of_task = [{job: values[job, task] for job in jobs} for values in (observed, replicated)]
        learnt[task] = _is_learnt(*of_task, true, counts[task], group, weights)
    rows = []
    for strategy, own in _seeds_of(jobs).items():
        seeds = [k for k in own if (baseline, k) in jobs]
        for task in tasks if strategy != baseline and seeds else []:
            pairs = [(((strategy, k), task), ((baseline, k), task)) for k in seeds]
            by_seed = np.stack([observed[a] - observed[b] for a, b in pairs])
            resampled = np.stack([replicated[a] - replicated[b] for a, b in pairs])
            mean, replicates = by_seed.mean(axis=0), mean_difference(by_seed, resampled, rng)
            agree = all(digests[a] == digests[b] for a, b in pairs)
            told = _told(mean, replicates, counts[task], agree, learnt[task])
            rows += [(strategy, task, metric, *row) for metric, row in zip(SCORES, told, strict=True)]
    names = ["strategy", "task", "metric", "difference", "low", "high", "reason"]
    return pd.DataFrame(rows, columns=names)


def _seeds_of(jobs):
    """{strategy: its seeds} of (strategy, seed) pairs."""
    seeds = {}
    for strategy, seed in jobs:
        seeds.setdefault(strategy, []).append(seed)
    return seeds


def _is_learnt(observed, replicated, true, counts, group, weights):
    """Whether a strategy is better than one prediction for all cells, that of the commonest class.

    observed, replicated: {job: scores}, {job: resampled scores} of a task; true: (n_cells,) codes; counts:
    cells of each class; group, weights: from `resamples`.
    Better by more than chance in accuracy, or in balanced accuracy, where every prediction that does not
    look at the cell has 1 / n_classes on average.
    """
    constant = np.full_like(true, counts.argmax())
    of_constant = (
        scores_from_counts(*class_counts(true, constant, len(counts))),
        resampled_scores(true, constant, len(counts), group, weights),
    )
    rng = np.random.default_rng(0)
    chosen = [SCORES.index("accuracy"), SCORES.index("balanced_accuracy")]
    for strategy, seeds in _seeds_of(observed).items():
        jobs = [(strategy, seed) for seed in seeds]
        by_seed = np.stack([observed[job] - of_constant[0] for job in jobs])[:, chosen]
        resampled = np.stack([replicated[job] - of_constant[1] for job in jobs])[:, :, chosen]
        means = mean_difference(by_seed, resampled, rng)
        if any(interval(by_seed[:, k].mean(), means[:, k])[0] > 0 for k in range(len(chosen))):
            return True
    return False


def _told(mean, replicates, counts, agree, learnt):
    """(difference, low, high, reason) of each score of a strategy on a task.

    mean, replicates: (k,) and (replicates, k) differences; counts: test cells of each class; agree: whether
    all predictions are the baseline's; learnt: what `_is_learnt` returns.
    """
    n_classes = np.count_nonzero(counts)
    for m, metric in enumerate(SCORES):
        over_classes = metric in CLASS_SCORES
        n_cells = n_classes * cells_per_class(counts) if over_classes else counts.sum()
        reason = too_few_cells(counts) or (too_few_per_class(counts) if over_classes else None)
        reason = reason or (SAME_PREDICTIONS if agree else None)
        ends = interval(mean[m], replicates[:, m], unseen_share(n_cells))
        low, high = (np.nan, np.nan) if reason else ends
        yield mean[m], low, high, reason or ("" if learnt else COMMONEST_CLASS)


def compare(metrics, paths, baseline, replicates=1000):
    """The comparison table: `summarise` plus difference, low, high, verdict and reason.

    The verdict of a score is `higher` or `lower` than the baseline when the interval excludes 0, and
    `cannot tell` where there is a reason against any verdict.
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
    reason = table.pop("reason").fillna("")
    table["verdict"] = np.select(
        [is_baseline, reason != "", table["low"] > 0, table["high"] < 0, table["low"].notna()],
        ["baseline", UNKNOWN, HIGHER, LOWER, SAME],
        default="",
    )
    table["reason"] = reason
    # After the sixth decimal an interval is noise; + 0.0 turns negative zeros into zeros.
    table[["difference", "low", "high"]] = table[["difference", "low", "high"]].round(6) + 0.0
    return table
