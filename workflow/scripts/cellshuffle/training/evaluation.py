"""Scores on the test plates."""

from contextlib import closing

import numpy as np
import torch
from torch.nn.functional import log_softmax

from cellshuffle.analysis.scores import SCORES, class_counts, scores_from_counts
from cellshuffle.errors import InputError, Stopped
from cellshuffle.loading.samplers import sampler
from cellshuffle.training.batches import LABELS, training_loader
from cellshuffle.training.model import logits_of

PREFETCH = 2  # large batches prepared ahead, at most
BATCH = 1024  # cells; part of the definition of the loss to the last bit, so not a setting


def evaluate(plates, labels, state, heads, transform, prefetch, stop_requested=lambda: False):
    """Predict every test cell, in order, in large batches, with the parameters of a State.

    Returns ({task: {"loss": ..., each of SCORES}}, predictions (n_cells, n_tasks) int64). Raises
    Stopped when `stop_requested()` says so after a batch.
    """
    loader = training_loader(
        plates, labels[: len(plates)], sampler("Streaming"), transform, state.weight.device, gradient=False,
        batch_size=BATCH, fetch_factor=1, prefetch=min(prefetch, PREFETCH), rank=0, world_size=1,
    )  # fmt: skip
    losses = torch.zeros(len(heads), dtype=torch.float64, device=state.weight.device)
    predictions = []
    with closing(loader.epoch(0)) as batches:
        for batch in batches:
            first, label = batch.X.times(state.weight) + state.bias, batch.obs[LABELS]
            logits = logits_of(first, state.layers)
            for position, head in enumerate(heads):
                block = log_softmax(logits[:, head.columns], dim=1)
                losses[position] -= block.gather(1, label[:, position, None]).double().sum()
            columns = [logits[:, head.columns].argmax(dim=1) for head in heads]
            predictions.append(torch.stack(columns, dim=1))
            if stop_requested():
                raise Stopped("told to stop while testing; start again to go on")
    predictions = torch.cat(predictions).cpu().numpy()
    if len(predictions) != len(plates):
        raise InputError(f"{len(predictions)} test cells were read, not {len(plates)}")
    mean_loss = (losses.cpu().numpy() / len(plates)).tolist()
    scores = {}
    for position, head in enumerate(heads):
        truth = np.asarray(labels[: len(plates), position], np.int64)
        values = scores_from_counts(*class_counts(truth, predictions[:, position], head.n_classes))
        scores[head.task] = {"loss": mean_loss[position]} | dict(zip(SCORES, values.tolist(), strict=True))
    return scores, predictions
