"""Sampling weights that balance label combinations, damped for rare ones."""

import math

import numpy as np

from cellshuffle.errors import InputError

BLOCK = 2**22  # cells held in memory at a time
MOST_COMBINATIONS = 2**27  # possible ones; counted in 8 bytes each


def combination_weights(codes, n_classes, baseline=1000):
    """Sampling weight per cell that balances label combinations, damped for rare ones.

    codes: (n_cells, k) int codes, one column a balanced label; n_classes: k class counts.
    Returns (n_cells,) float64: n_cells / (n_combinations * (count + baseline)).
    """
    count = count_combinations(codes, n_classes)
    return weight_of_count(count, baseline)[combine(codes, n_classes)]


def combine(codes, n_classes):
    """(n_cells,) number of each cell's combination of (n_cells, k) codes."""
    return np.ravel_multi_index(codes.T.astype(np.int64), n_classes)


def possible_combinations(n_classes):
    """Their number; InputError when there are too many to count."""
    possible = math.prod(n_classes)
    if possible > MOST_COMBINATIONS:
        raise InputError(
            f"weights: balance: {' x '.join(map(str, n_classes))} classes make {possible:.2g} combinations, "
            f"more than {MOST_COMBINATIONS:,}; name fewer labels under weights: balance"
        )
    return possible


def count_combinations(codes, n_classes):
    """(prod(n_classes),) cells of every possible combination; reads a block of cells at a time."""
    count = np.zeros(possible_combinations(n_classes), np.int64)
    for low in range(0, len(codes), BLOCK):
        count += np.bincount(combine(codes[low : low + BLOCK], n_classes), minlength=len(count))
    return count


def weight_of_count(count, baseline):
    """Weight of a cell of each combination; combinations without cells have weight 0."""
    present = count > 0
    weight = np.zeros(len(count))
    weight[present] = count.sum() / (present.sum() * (count[present] + baseline))
    return weight
