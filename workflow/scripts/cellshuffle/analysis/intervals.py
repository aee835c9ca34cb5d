"""Bootstrap of scores, intervals of paired differences between strategies, and their significance."""

import numpy as np
import scipy  # which imports scipy.stats, slow to import, where it is first used
from scipy import sparse

from cellshuffle.analysis.scores import scores_from_counts

MAX_GROUPS = 10_000


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
    cells = sparse.csr_matrix((np.ones(len(codes)), (group, codes)), shape=(weights.shape[1], n_classes))
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


def mean_difference(observed, replicated, rng):
    """Replicates of the mean difference over seeds, with other test cells and other seeds.

    observed: (n_seeds, k) differences of k scores, seed by seed; replicated: (n_seeds, replicates, k),
    the same with test cells resampled. Returns (replicates, k).

    The replicates of the cells' bootstrap are averaged over seeds. To each is added what other seeds
    would change: the standard error of the mean of `observed`, times a value of Student's t
    distribution with n_seeds - 1 degrees of freedom ("Student", Biometrika 6, 1908). Where cells add
    nothing, the interval is that of the paired t test. The values are the distribution's quantiles,
    evenly spaced and shuffled; drawn at random, those of two seeds would have no mean.
    One seed says nothing of others, and nothing is added.
    """
    cells = replicated.mean(axis=0)
    n_seeds, replicates = replicated.shape[:2]
    if n_seeds == 1:
        return cells
    error = observed.std(axis=0, ddof=1) / np.sqrt(n_seeds)
    quantiles = scipy.stats.t.ppf((np.arange(replicates) + 0.5) / replicates, n_seeds - 1)
    return cells + rng.permutation(quantiles)[:, None] * error


def unseen_share(n_cells):
    """Largest share of all cells that n_cells may happen to hold none of, at a level of 97.5%.

    The upper end of the exact interval of a share of which nothing was seen (Clopper and Pearson,
    Biometrika 26, 1934), about 3.7 / n_cells.
    """
    return 1 - 0.025 ** (1 / n_cells)


def interval(difference, replicates, unseen=0.0, level=0.95):
    """Percentile interval of a difference of two scores from 0 to 1: (low, high), within -1 to 1.

    The replicates' quantiles, moved so that the replicates' mean lies on the observed difference:
    resampling cells biases macro scores of small classes a little, in every strategy alike.
    Each side is at least `unseen` wide: what few cells do not hold, resampling them does not find.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(replicates - replicates.mean(), [tail, 1 - tail])
    return max(-1.0, difference + min(low, -unseen)), min(1.0, difference + max(high, unseen))


def p_values(difference, low, high, n_seeds):
    """p-values of differences, from their 95% intervals: (m,) arrays in, (m,) out.

    The distance from the difference to the limit nearer to 0 is taken to be as many standard errors as
    the 97.5% quantile of Student's t with n_seeds - 1 degrees of freedom (of the normal distribution
    with one seed). That holds where seeds dominate; where test cells do, the p-values are too large.
    """
    freedom = np.where(n_seeds > 1, n_seeds - 1, np.inf)
    side = np.where(difference > 0, difference - low, high - difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.abs(difference) / side * scipy.stats.t.ppf(0.975, freedom)
    return np.where(difference == 0, 1.0, 2 * scipy.stats.t.sf(errors, freedom))


def significant(p, level=0.05):
    """(m,) bool: differences that are significant at a false discovery rate of `level`; p: (m,) p-values.

    On average at most `level` of the significant differences are due to chance (Benjamini and Hochberg,
    J. R. Stat. Soc. B 57, 1995). Where there is no difference at all, any is found in `level` of the runs.
    """
    return scipy.stats.false_discovery_control(p) <= level
