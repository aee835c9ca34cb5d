"""Whether a task has enough test cells for scores to be compared on them."""

import numpy as np

# docs/method.md says how both were measured.
MIN_TEST_CELLS = 30
MIN_CELLS_PER_CLASS = 10


def cells_per_class(counts):
    """Harmonic mean of the cells a class; counts: (n_classes,) cells of each, those without any are left out.

    A macro score is a mean over classes, so its variance falls with this mean: one class of two cells
    makes it as uncertain as its share of the classes, however large the others are.

    >>> round(cells_per_class([98, 2]), 1)
    3.9
    """
    counts = np.asarray(counts, dtype=np.float64)
    counts = counts[counts > 0]
    return round(float(1 / np.mean(1 / counts)), 6) if len(counts) else 0.0


def too_few_cells(counts):
    """Why no score can be compared on test cells of these classes, as a phrase; None if it can."""
    n_cells = int(np.sum(counts))
    return f"{n_cells} test cells, fewer than {MIN_TEST_CELLS}" if n_cells < MIN_TEST_CELLS else None


def too_few_per_class(counts):
    """Why scores that average over classes cannot be compared, as a phrase; None if they can."""
    mean = cells_per_class(counts)
    if mean >= MIN_CELLS_PER_CLASS:
        return None
    mean = np.floor(10 * mean) / 10
    return f"{mean:g} test cells a class in the harmonic mean, fewer than {MIN_CELLS_PER_CLASS}"
