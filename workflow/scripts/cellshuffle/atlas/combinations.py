"""Combinations of obs columns, each of which is trained on or tested on as a whole."""

import hashlib
import json
from collections import Counter

import numpy as np

from cellshuffle.atlas.names import whole_number
from cellshuffle.atlas.tables import column_codes


def divided_by_combination(file, split, counted):
    """The cells of one side of a split by combinations, and the `counted` cells of each combination.

    file: an open plate; split: {"columns", "side"} with {"held_out": combinations that are tested on} or
    {"fraction", "seed"}; counted: (n_cells,) bool. A cell without a value in one of the columns is on neither
    side.
    Returns ((n_cells,) bool, Counter {(name or None of each column): cells}).
    """
    columns = [column_codes(file, column) for column in split["columns"]]
    number = np.zeros(len(counted), np.int64)
    for codes, names in columns:  # numbered anew after each column, so that no number gets too large
        number = np.unique(number * (len(names) + 1) + codes + 1, return_inverse=True)[1]
    first = np.unique(number, return_index=True)[1]
    there = [[[*names.tolist(), None][code] for code in codes[first]] for codes, names in columns]
    combinations = list(zip(*there, strict=True))
    held_out = held_out_of(combinations, split)
    on_side = [None not in one and (one in held_out) == (split["side"] == "test") for one in combinations]
    cells = np.bincount(number[counted], minlength=len(combinations)).tolist()
    counts = Counter({one: n for one, n in zip(combinations, cells, strict=True) if n})
    return np.array(on_side, bool)[number], counts


def held_out_of(combinations, split):
    """The set of those of the combinations, tuples of names, that a split tests on; split: see above.

    At random each is drawn by itself, from the seed and its names alone, so that neither other cells nor the
    order of plates, files or cells matter.

    >>> held_out_of([("A549", "aspirin"), ("A549", "5")], {"held_out": [["A549", "5.0"]]})
    {('A549', '5')}
    """
    if "held_out" in split:
        listed = {spelling for one in split["held_out"] for spelling in spellings_of(one)}
        return listed.intersection(combinations)
    return {one for one in combinations if None not in one and _drawn(one, split)}


def spellings_of(combination):
    """A combination as a table has it, and with whole numbers as integers: text cannot say which is meant."""
    return tuple(combination), tuple(map(whole_number, combination))


def _drawn(combination, split):
    digest = hashlib.sha256(json.dumps([split["seed"], *combination]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < split["fraction"]
