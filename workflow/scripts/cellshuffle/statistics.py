"""Scores from counts, and paired bootstrap differences between strategies."""

from statistics import NormalDist

import numpy as np
from scipy import sparse

from cellshuffle.scores import SCORES, class_counts, scores_from_counts

MAX_GROUPS = 10_000


def scores_of_predictions(truth, prediction):
    """The scores of (n_cells,) codes, as a dict named by SCORES."""
    n_classes = int(max(truth.max(), prediction.max())) + 1
    values = scores_from_counts(*class_counts(truth, prediction, n_classes))
    return dict(zip(SCORES, values.tolist(), strict=True))


def resamples(n_cells, replicates, rng):
    """Bootstrap weights of the test cells: (group of every cell, (replicates, n_groups) float64).

    Up to MAX_GROUPS cells each cell is its own group: the ordinary bootstrap. Beyond, cells are
    dealt at random into MAX_GROUPS equal groups, which are then resampled whole. Groups of
    independent cells are themselves independent, so the spread is the same, at a cost that
    no longer grows with the number of cells.
    """
    n_groups = min(n_cells, MAX_GROUPS)
    group = np.arange(n_cells) if n_groups == n_cells else rng.permutation(n_cells) % n_groups
    share = np.full(n_groups, 1 / n_groups)
    return group, rng.multinomial(n_groups, share, size=replicates).astype(np.float64)


def _resampled_counts(weights, group, codes, n_classes):
    """(replicates, n_classes) weighted counts of `codes` (n,), each cell in group `group` (n,)."""
    cells = sparse.csr_matrix(
        (np.ones(len(codes)), (group, codes)), shape=(weights.shape[1], n_classes)
    )
    return weights @ cells


def resampled_scores(truth, prediction, n_classes, group, weights):
    """Scores of every bootstrap replicate of the test cells: (replicates, 5) in SCORES' order.

    truth, prediction: (n_cells,) int codes; group, weights: from `resamples`, the same for every
    strategy and seed, so that differences between them are paired.
    """
    hit = truth == prediction
    return scores_from_counts(
        _resampled_counts(weights, group[hit], truth[hit], n_classes),
        _resampled_counts(weights, group, prediction, n_classes),
        _resampled_counts(weights, group, truth, n_classes),
    )


def resampled_seeds(n_seeds, replicates, rng):
    """Weights of the seeds in every replicate: (replicates, n_seeds), rows sum to 1.

    Seeds are drawn with replacement; their deviation from equal weights is widened by
    sqrt(n / (n - 1)), because n values resampled spread too little by that factor, which
    matters for the usual handful of seeds. One seed has no spread to show.
    """
    drawn = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=replicates) / n_seeds
    widen = np.sqrt(n_seeds / (n_seeds - 1)) if n_seeds > 1 else 1.0
    return 1 / n_seeds + (drawn - 1 / n_seeds) * widen


def interval(difference, replicates, level=0.95):
    """Bootstrap interval of `difference`: (low, high).

    The replicates' quantiles, moved so that the replicates' mean lies on the observed difference:
    resampling cells biases macro scores of small classes a little, in every strategy alike.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(replicates - replicates.mean(), [tail, 1 - tail])
    return difference + low, difference + high


def stretch(comparisons, level=0.95):
    """Factor by which to widen so many intervals, each of `level`, so that at that level all hold at once.

    Bonferroni's correction, for intervals as wide as those of a normal distribution.
    """
    single, joint = (
        NormalDist().inv_cdf(1 - (1 - level) / (2 * n)) for n in (1, max(1, comparisons))
    )
    return joint / single
