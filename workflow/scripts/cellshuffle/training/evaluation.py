"""Scores on the test plates."""

from contextlib import closing

import numpy as np
import torch
from torch.nn.functional import log_softmax

from cellshuffle.analysis.scores import SCORES, class_counts, scores_from_counts
from cellshuffle.errors import InputError
from cellshuffle.loading.minibatches import Loading, epoch_batches
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.training.batches import batches_ahead
from cellshuffle.training.counts import counts_type, on_device

AHEAD = 2  # large batches prepared ahead
BATCH = 1024  # cells; part of the definition of the loss to the last bit, so not a setting


def evaluate(plates, labels, weight, bias, heads, transform, prefetch, tick=lambda n_cells: None):
    """Predict every test cell, in order, in large batches; `tick` is called after each.

    Returns ({task: {"loss": ..., each of SCORES}}, predictions (n_cells, n_tasks) int64).
    """
    loading = Loading(BATCH, fetch_factor=1, seed=0)
    batches = epoch_batches(plates, labels, sampler_of({"sampler": "Streaming"}), loading, 0)
    kind = counts_type(weight.device)
    prepared = (
        (b.cells, kind(b.rows, transform, plates.n_genes, gradient=False), b.labels)
        for b in batches
    )
    depth = min(prefetch, AHEAD)
    ready = batches_ahead(prepared, depth, kind, transform, plates.n_genes, weight.device)
    losses = torch.zeros(len(heads), dtype=torch.float64, device=weight.device)
    predictions = []
    with closing(ready):
        for _, counts, label in ready:
            logits = counts.times(weight) + bias
            label = on_device(label, weight.device)
            for position, head in enumerate(heads):
                block = log_softmax(logits[:, head.columns], dim=1)
                losses[position] -= block.gather(1, label[:, position, None]).double().sum()
            columns = [logits[:, head.columns].argmax(dim=1) for head in heads]
            predictions.append(torch.stack(columns, dim=1))
            tick(len(label))
    predictions = torch.cat(predictions).cpu().numpy()
    if len(predictions) != len(plates):
        raise InputError(f"{len(predictions)} test cells were read, not {len(plates)}")
    mean_loss = (losses.cpu().numpy() / len(plates)).tolist()
    scores = {}
    for position, head in enumerate(heads):
        truth = np.asarray(labels[: len(plates), position], np.int64)
        values = scores_from_counts(*class_counts(truth, predictions[:, position], head.n_classes))
        scores[head.task] = {"loss": mean_loss[position]} | dict(
            zip(SCORES, values.tolist(), strict=True)
        )
    return scores, predictions
