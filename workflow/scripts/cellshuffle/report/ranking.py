"""Whether a model with hidden layers ranks the strategies as the linear model does."""

import numpy as np

from cellshuffle.phrasing import join_words, signed
from cellshuffle.report.answers import compared, significant_differences
from cellshuffle.report.results import macro_f1

QUESTION = "Does the linear model rank them the same?"
FEWEST_RANKS = 3  # two strategies rank the same or the other way round


def answer(table, linear, baseline):
    """(headline, sentences) on whether two models agree on the strategies.

    table, linear: the comparison tables of the model with hidden layers and of the linear one, which is None
    where it has not been trained. The outcome of a comparison with the baseline is higher, lower or neither,
    as `significant_differences` counts them; those that either model cannot tell are left out.
    """
    if linear is None:
        return "Not known.", [
            "This run trained no linear model beside this one; compare: linear: true does, and keeps what "
            "has been trained."
        ]
    own, other = _outcomes(table), _outcomes(linear)
    shared = [pair for pair in own if pair in other]
    told = [pair for pair in shared if own[pair] or other[pair]]
    reversed_ = [pair for pair in told if own[pair] == -other[pair]]
    alone = [pair for pair in told if own[pair] and not other[pair]]
    other_alone = [pair for pair in told if other[pair] and not own[pair]]
    different = len(reversed_ + alone + other_alone)
    if not told:
        headline = "This run cannot tell." if not shared else f"Neither tells any strategy from {baseline}."
    elif not different:
        headline = "Yes."
    else:
        headline = "No." if reversed_ else "Nowhere the other way round, but not everywhere."
    sentences = [
        "The linear model was trained with the same strategies, seeds and cells. Of "
        f"{len(shared)} comparisons with {baseline} in macro F1, {len(shared) - different} come out the same "
        "with both models: higher, lower or not told apart."
    ]
    groups = {"The other way round": reversed_, "Told apart with hidden layers alone": alone}
    for words, pairs in (groups | {"Told apart by the linear model alone": other_alone}).items():
        if pairs:
            sentences.append(f"{words}: {join_words(_differences(pairs, table, linear))}.")
    return headline, sentences + _correlations(table, linear)


def _outcomes(table):
    """{(strategy, task): 1 (higher than the baseline), -1 (lower) or 0} of all that can be compared."""
    outcomes = {(row.strategy, row.task): 0 for row in compared(table).itertuples()}
    for strategy, (higher, lower) in significant_differences(table).items():
        outcomes |= {(strategy, task): 1 for task in higher} | {(strategy, task): -1 for task in lower}
    return outcomes


def _differences(pairs, table, linear):
    """`streaming on drug (-0.012, linear +0.020)` of each pair."""
    own, other = (macro_f1(t).set_index(["strategy", "task"])["difference"] for t in (table, linear))
    for strategy, task in pairs:
        values = [signed(differences[strategy, task]) for differences in (own, other)]
        yield f"{strategy} on {task} ({values[0]}, linear {values[1]})"


def _correlations(table, linear):
    """[a sentence on how the ranks by mean macro F1 agree]; empty where strategies are too few."""
    found = []
    for task, rows in macro_f1(table).groupby("task", sort=False):
        ranks = rows.set_index("strategy")["mean"].rank()
        others = macro_f1(linear, task).set_index("strategy")["mean"].rank()[ranks.index]
        if len(ranks) >= FEWEST_RANKS and ranks.nunique() > 1 and others.nunique() > 1:
            found.append(f"{task} {np.corrcoef(ranks, others)[0, 1]:.2f}")
    if not found:
        return []
    return [
        "Spearman's correlation of the strategies' ranks by mean macro F1 with the linear model's (1: the "
        f"same ranking): {join_words(found)}; the order of strategies that are not told apart is chance."
    ]


def rows(table, linear, strategies, tasks):
    """Rows of a table: a strategy, then macro F1 and rank on each task, the linear model's in brackets."""
    own, other = (macro_f1(t).set_index(["strategy", "task"]) for t in (table, linear))
    return [
        [strategy, *(f"{_ranked(own.loc[strategy, t])} ({_ranked(other.loc[strategy, t])})" for t in tasks)]
        for strategy in strategies
    ]


def _ranked(row):
    return f"{row['mean']:.3f}, rank {row['rank']}"
