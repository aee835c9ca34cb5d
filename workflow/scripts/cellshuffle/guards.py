"""Numbers that must not go on: labels beyond the classes, losses that are not finite."""

import numpy as np
import torch

from cellshuffle.errors import InputError
from cellshuffle.plates import REPEATS, has_repeats

BLOCK = 2**22  # cells looked at at a time


def check_labels(labels, n_cells, classes, split):
    """Raise InputError unless every one of `n_cells` has a code of a class for every task."""
    if labels.shape != (n_cells, len(classes)):
        raise InputError(
            f"labels/{split}.npy: {labels.shape[0]} cells and {labels.shape[1]} tasks, but the plates have "
            f"{n_cells} cells and the config {len(classes)} tasks; delete it to make it again"
        )
    limits = np.array([len(names) for names in classes.values()])
    for low in range(0, n_cells, BLOCK):
        wrong = (labels[low : low + BLOCK] >= limits) | (labels[low : low + BLOCK] < 0)
        if wrong.any():
            cell, task = np.argwhere(wrong)[0]
            raise InputError(
                f"labels/{split}.npy: cell {low + cell} has code {labels[low + cell, task]} for task "
                f"'{list(classes)[task]}', which has {limits[task]} classes; delete it to make it again"
            )


def check_rows(rows, transform, n_genes):
    """Raise InputError unless the genes of Rows are below n_genes and, under a logarithm, none comes twice.

    Packing has checked its plates; files read as they are may have either.
    """
    genes = rows.indices
    if len(genes) and not 0 <= int(genes.min()) <= int(genes.max()) < n_genes:
        raise InputError(
            f"the plates: a gene index lies outside 0 to {n_genes - 1}: a file is damaged; atlas: pack: true "
            "says which"
        )
    if transform != "none" and has_repeats(rows):
        raise InputError(f"the plates: {REPEATS}; atlas: pack: true says which file")


def check_finite(losses, step, settings):
    """Raise InputError when the losses summed so far are not finite."""
    if not torch.isfinite(losses).all():
        raise InputError(
            f"strategy {settings.strategy}, seed {settings.seed}: the loss is not finite at step {step} "
            f"(learning rate {settings.learning_rate:g}); lower training: learning_rate, or look for "
            "extreme values in X"
        )
