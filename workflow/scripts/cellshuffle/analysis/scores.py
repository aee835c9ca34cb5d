"""Scores of a classification, from counts per class, as scikit-learn defines them."""

import numpy as np

SCORES = ["accuracy", "balanced_accuracy", "weighted_f1", "macro_f1", "macro_f1_present"]
CLASS_SCORES = {"balanced_accuracy", "macro_f1", "macro_f1_present"}  # in which every class counts the same


def scores_from_counts(hits, predicted, true):
    """Scores, as scikit-learn defines them, from counts per class.

    hits, predicted, true: (..., n_classes) cells per class that are right, predicted as it, truly it.
    Returns (..., 5), in the order of SCORES. `macro_f1` averages over classes in truth or prediction
    (zero_division=0), `macro_f1_present` and `balanced_accuracy` over classes in truth.
    """
    either, present = (predicted + true) > 0, true > 0
    f1 = 2 * hits / np.maximum(predicted + true, 1)
    recall = hits / np.maximum(true, 1)
    cells = true.sum(-1)
    return np.stack(
        [
            hits.sum(-1) / cells,
            recall.sum(-1) / present.sum(-1),
            (f1 * true).sum(-1) / cells,
            f1.sum(-1) / either.sum(-1),
            (f1 * present).sum(-1) / present.sum(-1),
        ],
        axis=-1,
    )


def class_counts(truth, prediction, n_classes):
    """Hits, predicted and true cells per class of (n_cells,) codes: three (n_classes,) int arrays."""
    hit = truth == prediction
    return tuple(np.bincount(codes, minlength=n_classes) for codes in (truth[hit], prediction, truth))
