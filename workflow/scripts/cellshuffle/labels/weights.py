"""Sampling weights that balance label combinations, damped for rare ones."""

import math

import numpy as np

from cellshuffle.errors import InputError

BLOCK = 2**22  # cells held in memory at a time
MAX_COMBINATIONS = 2**27  # possible ones; counted in 8 bytes each


def combination_weights(codes, n_classes, baseline=1000, out=None, counted=slice(None)):
    """Sampling weight per cell that balances label combinations, damped for rare ones.

    codes: (n_cells, k) int codes, one column a balanced label; n_classes: k class counts; out:
    (n_cells,) float64 array to write to, such as a memory map; counted: the cells that are counted, all
    unless others are held out, which have the weight of their combination too, of a single cell if it is
    theirs alone.
    Returns (n_cells,) float64: n_cells / (n_combinations * (count + baseline)).
    """
    out = np.empty(len(codes)) if out is None else out
    count = count_combinations(codes[counted], n_classes)
    weight = weight_of_count(count, baseline)
    weight[count == 0] = count.sum() / (np.count_nonzero(count) * (1 + baseline))
    for low in range(0, len(codes), BLOCK):
        out[low : low + BLOCK] = weight[combine(codes[low : low + BLOCK], n_classes)]
    return out


def combination_rows(codes, balance, names, baseline=1000):
    """Every label combination that cells have: its labels, `count` of cells and `weight` of each cell.

    codes: (n_cells, k) int codes of the k labels named in `balance`; names: k lists of class names.
    Returns a list of dicts, in the order of the codes.
    """
    n_classes = tuple(map(len, names))
    count = count_combinations(codes, n_classes)
    present = np.flatnonzero(count)
    codes = np.unravel_index(present, n_classes)
    columns = [np.array(values)[k] for values, k in zip(names, codes, strict=True)]
    numbers = [count[present].tolist(), weight_of_count(count, baseline)[present].tolist()]
    header = [*balance, "count", "weight"]
    return [dict(zip(header, row, strict=True)) for row in zip(*columns, *numbers, strict=True)]


def class_rows(labels, classes):
    """How many cells each class of each task has: a list of dicts of `task`, `class`, `cells`.

    labels: (n_cells, n_tasks) codes; classes: {task: class names}.
    """
    counts = {task: np.zeros(len(names), np.int64) for task, names in classes.items()}
    for low in range(0, len(labels), BLOCK):
        for codes, (task, names) in zip(labels[low : low + BLOCK].T, classes.items(), strict=True):
            counts[task] += np.bincount(codes, minlength=len(names))
    return [
        {"task": task, "class": name, "cells": count}
        for task, names in classes.items()
        for name, count in zip(names, counts[task].tolist(), strict=True)
    ]


def combine(codes, n_classes):
    """(n_cells,) number of each cell's combination of (n_cells, k) codes."""
    return np.ravel_multi_index(codes.T.astype(np.int64), n_classes)


def possible_combinations(n_classes):
    """Number of combinations of so many classes; InputError when there are too many to count."""
    possible = math.prod(n_classes)
    if possible > MAX_COMBINATIONS:
        raise InputError(
            f"weights: balance: {' x '.join(map(str, n_classes))} classes make {possible:.2g} combinations, "
            f"more than {MAX_COMBINATIONS:,}; name fewer labels under weights: balance"
        )
    return possible


def count_combinations(codes, n_classes):
    """(prod(n_classes),) int64 cells of every possible combination of (n_cells, k) codes, by block.

    Raises InputError when there are too many combinations to count.
    """
    count = np.zeros(possible_combinations(n_classes), np.int64)
    for low in range(0, len(codes), BLOCK):
        count += np.bincount(combine(codes[low : low + BLOCK], n_classes), minlength=len(count))
    return count


def weight_of_count(count, baseline):
    """(n,) float64 weight of a cell of each combination of (n,) counts; 0 where it has no cells."""
    present = count > 0
    weight = np.zeros(len(count))
    weight[present] = count.sum() / (present.sum() * (count[present] + baseline))
    return weight
