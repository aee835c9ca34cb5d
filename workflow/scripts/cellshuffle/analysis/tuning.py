"""Every strategy at its own best learning rate, chosen on validation cells of the train plates."""

import pandas as pd

from cellshuffle.analysis.comparison import compare, gather, job_of

COLUMNS = ["strategy", "learning_rate", "seed", "cells", "task", "metric", "value"]
VALIDATION, TEST = "validation", "test"  # values of the column `cells`


def tuning_scores(paths, tuned, fingerprints=()):
    """Every score of every strategy at every rate, as a table with COLUMNS.

    paths: metrics.json of the trainings; tuned: {strategy: {learning rate: name of its trainings}};
    fingerprints: see comparison.gather, which has the errors raised.
    """
    parts = {
        VALIDATION: gather(paths, fingerprints, held_out=VALIDATION),
        TEST: gather(paths, fingerprints),
    }
    tables = [
        part[part["strategy"] == name].assign(strategy=strategy, learning_rate=rate, cells=cells)
        for strategy, names in tuned.items()
        for rate, name in names.items()
        for cells, part in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def mean_scores(scores, cells, task):
    """Mean macro F1 over seeds on validation or test cells: a table, a row a rate and a column a strategy."""
    chosen = scores[(scores["cells"] == cells) & (scores["task"] == task) & (scores["metric"] == "macro_f1")]
    return chosen.pivot_table(index="learning_rate", columns="strategy", values="value", sort=False)


def tuning_task(scores):
    """The task by whose macro F1 rates are chosen: where strategies differ most on the validation cells.

    Of the best score of every strategy over the rates, the largest difference as a share of the best.
    """
    spread = {}
    for task in scores["task"].unique():
        best = mean_scores(scores, VALIDATION, task).max()
        spread[task] = 1 - best.min() / max(best.max(), 1e-9)
    return max(spread, key=spread.get)


def best_rates(scores, task):
    """{strategy: the rate of the highest mean macro F1 on validation cells}; of equals the lowest rate.

    The scores on test cells are not looked at.
    """
    means = mean_scores(scores, VALIDATION, task).sort_index()
    return {strategy: float(means[strategy].idxmax()) for strategy in scores["strategy"].unique()}


def tuned_comparison(scores, rates, predictions, tuned, baseline, replicates):
    """The comparison table of every strategy at its own rate, with a column `learning_rate` of it.

    scores: from `tuning_scores`; rates: {strategy: rate}; predictions: predictions.npz of the trainings;
    tuned: as above; baseline, replicates: see comparison.compare.
    """
    chosen = scores["learning_rate"] == scores["strategy"].map(rates)
    metrics = scores[chosen & (scores["cells"] == TEST)].drop(columns=["learning_rate", "cells"])
    strategy_of = {tuned[strategy][rate]: strategy for strategy, rate in rates.items()}
    jobs = {}
    for path in predictions:
        name, seed = job_of(path)
        if name in strategy_of:
            jobs[strategy_of[name], seed] = path
    table = compare(metrics, jobs, baseline, replicates)
    return table.assign(learning_rate=table["strategy"].map(rates))
