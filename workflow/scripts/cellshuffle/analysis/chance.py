"""What is scored without looking at a cell: exact expectations, as rows of the comparison."""

import numpy as np
import pandas as pd
from scipy import stats

from cellshuffle.analysis.comparison import COMMONEST, FREQUENCIES, METRICS, read_predictions
from cellshuffle.analysis.scores import SCORES, scores_from_counts

CERTAIN = 0.0005  # the third decimal, the last that is shown, is right
NEGLIGIBLE = 1e-9  # probability that a class is never drawn
WINDOW = 12  # standard deviations of a count to either side; beyond lies less than 1e-30


def commonest_scores(train, test):
    """{metric: score} of always naming the class that most train cells have; of equals the first.

    train, test: (n_classes,) cells of each class. The loss of a certainty that may be wrong has no value.
    """
    named = np.zeros(len(test))
    named[np.argmax(train)] = test.sum()
    hits = np.where(named > 0, test, 0)
    return {"loss": np.nan} | dict(zip(SCORES, scores_from_counts(hits, named, test).tolist(), strict=True))


def frequency_scores(train, test):
    """{metric: expected score} of drawing a class for each test cell, by its share of the train cells.

    train, test: (n_classes,) cells of each class. The loss is that of predicting these shares for every cell;
    NaN where a class has test cells and no train cells. The others are expectations over the draws, exact:
    the cells drawn as a class are binomial, and of k of them k t / n are right on average, t of n test cells
    being of the class. `macro_f1`: see `_expected_macro_f1`; NaN where that is not certain.

    >>> scores = frequency_scores(np.array([3, 1]), np.array([1, 1]))
    >>> round(scores["accuracy"], 3), round(scores["macro_f1"], 3)
    (0.5, 0.396)
    """
    share, n_cells = train / train.sum(), test.sum()
    present = test > 0
    f1 = np.array([_expected_f1(p, t, n_cells) for p, t in zip(share, test, strict=True)])
    with np.errstate(divide="ignore"):
        loss = -(test[present] * np.log(share[present])).sum() / n_cells
    return {
        "loss": float(loss) if np.isfinite(loss) else np.nan,
        "accuracy": float((share * test).sum() / n_cells),
        "balanced_accuracy": float(share[present].mean()),
        "weighted_f1": float((f1 * test).sum() / n_cells),
        "macro_f1": _expected_macro_f1(share, test, f1),
        "macro_f1_present": float(f1[present].mean()),
    }


def _expected_macro_f1(share, test, f1):
    """Expected mean F1 over the classes that have test cells or are drawn; NaN where it is not certain.

    share: (n_classes,) probabilities; test: (n_classes,) test cells; f1: (n_classes,) expected F1s.
    With M classes if all are drawn, and the sum S of the F1s, E S / (M - missed) is the series

        S / M + sum_j P(j missed) E(S | j missed) (1 / (M - 1) - 1 / M) + ...

    over the classes j without test cells. The terms left out are below m L^2 / (M (M - 1) (M - 2)) together,
    times 2 at most, with L the expected number of missed ones and m that of classes with test cells.
    """
    present, n_cells = test > 0, test.sum()
    absent = np.flatnonzero(~present & (share > 0))
    n_present, most = int(present.sum()), int(present.sum()) + len(absent)
    if not len(absent):
        return float(f1[present].mean())
    if n_present == 0 or share[absent].max() == 1:
        return 0.0
    missed = np.exp(n_cells * np.log1p(-share[absent]))
    expected = missed.sum()
    beyond = 2 * n_present * expected**2 / max(most * (most - 1) * (most - 2), 1)
    if beyond > CERTAIN or expected > most / 4:
        return np.nan
    total = f1[present].sum() / most
    for j, probability in zip(absent, missed, strict=True):
        if probability > NEGLIGIBLE:
            others = share[present] / (1 - share[j])
            without = sum(_expected_f1(p, t, n_cells) for p, t in zip(others, test[present], strict=True))
            total += probability * without * (1 / (most - 1) - 1 / most)
    return float(total)


def _expected_f1(share, cells, n_cells):
    """Expected F1 of a class with so many of the test cells, drawn with a probability of `share` for each."""
    if share == 0 or cells == 0:
        return 0.0
    middle, width = n_cells * share, WINDOW * np.sqrt(n_cells * share * (1 - share)) + WINDOW
    k = np.arange(max(1, int(middle - width)), min(n_cells, int(middle + width) + 1) + 1)
    return float(stats.binom.pmf(k, n_cells, share) @ (2 * k * (cells / n_cells) / (k + cells)))


def chance_rows(counts, predictions):
    """The rows of `commonest_scores` and `frequency_scores`: strategy, task, metric, mean.

    counts: the table weights/classes.csv, of the cells trained on; predictions: a predictions.npz of the run.
    """
    tasks, truth, _, classes = read_predictions(predictions)
    rows = []
    for t, task in enumerate(tasks):
        test = np.bincount(truth[:, t], minlength=len(classes[task]))
        train = counts.loc[counts["task"] == task, "cells"].to_numpy()
        for name, score in ((COMMONEST, commonest_scores), (FREQUENCIES, frequency_scores)):
            scores = score(train, test)
            rows += [(name, task, metric, scores[metric]) for metric in METRICS]
    return pd.DataFrame(rows, columns=["strategy", "task", "metric", "mean"])


def with_chance(table, chance):
    """The comparison with a column `rescaled`, and the rows of chance below.

    `rescaled` is 0 for the better of the two kinds of chance and 1 for a perfect score: (mean - chance) /
    (1 - chance), of the loss 1 - mean / chance; empty where chance is unknown, or perfect itself.
    """
    scores = chance.groupby(["task", "metric"], sort=False)["mean"].max()
    both = pd.concat([table, chance], ignore_index=True)
    level = pd.Series([scores[pair] for pair in zip(both["task"], both["metric"], strict=True)])
    perfect = np.where(both["metric"] == "loss", 0.0, 1.0)
    room = pd.Series(perfect - level).where(lambda room: room != 0)
    both["rescaled"] = ((both["mean"] - level) / room).round(6) + 0.0
    return both.astype({"n": "Int64", "rank": "Int64"}).fillna({"verdict": "", "reason": ""})
