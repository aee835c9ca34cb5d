"""Scores on the test plates."""

import numpy as np
import torch
from torch.nn.functional import log_softmax

from cellshuffle.loading import Loading, ahead, epoch_batches
from cellshuffle.model import counts_type
from cellshuffle.strategies import make_sampler

BATCH = 1024  # cells; part of the definition of the loss to the last bit, so not a setting
SCORES = ["accuracy", "balanced_accuracy", "weighted_f1", "macro_f1", "macro_f1_present"]


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
    return tuple(
        np.bincount(codes, minlength=n_classes) for codes in (truth[hit], prediction, truth)
    )


def evaluate(plates, labels, weight, bias, heads, transform, prefetch, tick=lambda n_cells: None):
    """Predict every test cell, in order, in large batches; `tick` is called after each.

    Returns ({task: {"loss": ..., each of SCORES}}, predictions (n_cells, n_tasks) int64).
    """
    loading = Loading(BATCH, fetch_factor=1, seed=0)
    batches = epoch_batches(plates, labels, make_sampler({"sampler": "Streaming"}), loading, 0)
    counts_of = counts_type(weight.device)
    ready = (
        (counts_of(b.rows, transform, plates.n_genes, gradient=False), torch.from_numpy(b.labels))
        for b in batches
    )
    losses = torch.zeros(len(heads), dtype=torch.float64, device=weight.device)
    predictions = []
    for counts, label in ahead(ready, prefetch):
        logits = counts.times(weight) + bias
        label = label.to(weight.device, non_blocking=True)
        for position, head in enumerate(heads):
            block = log_softmax(logits[:, head.columns], dim=1)
            losses[position] -= block.gather(1, label[:, position, None]).double().sum()
        columns = [logits[:, head.columns].argmax(dim=1) for head in heads]
        predictions.append(torch.stack(columns, dim=1))
        tick(len(label))
    predictions = torch.cat(predictions).cpu().numpy()
    mean_loss = (losses.cpu().numpy() / len(plates)).tolist()
    scores = {}
    for position, head in enumerate(heads):
        n_classes = head.columns.stop - head.columns.start
        truth = np.asarray(labels[: len(plates), position], np.int64)
        values = scores_from_counts(*class_counts(truth, predictions[:, position], n_classes))
        scores[head.task] = {"loss": mean_loss[position]} | dict(
            zip(SCORES, values.tolist(), strict=True)
        )
    return scores, predictions
