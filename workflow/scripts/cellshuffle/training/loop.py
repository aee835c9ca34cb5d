"""The training loop: batches in, a linear model, its scores and its history out."""

import hashlib
import itertools
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from cellshuffle.atlas.plates import Rows
from cellshuffle.console import say, silent
from cellshuffle.errors import InputError, Stopped
from cellshuffle.loading.minibatches import Batch, Loading, epoch_batches
from cellshuffle.training import distributed
from cellshuffle.training.batches import batches_ahead
from cellshuffle.training.checkpoint import State, load_checkpoint, save_checkpoint
from cellshuffle.training.counts import counts_type, on_device
from cellshuffle.training.devices import device_of
from cellshuffle.training.evaluation import evaluate
from cellshuffle.training.interruption import term_signal
from cellshuffle.training.model import (
    TasksAtOnce,
    heads,
    initial_parameters,
    losses_and_gradient,
    padded,
)

GPU_LOOKS = 1000  # steps between two looks at a GPU's loss: each look makes the host wait for it


@dataclass
class Result:
    """What a training leaves behind."""

    scores: dict  # {task: {metric: value}} after the last epoch
    predictions: np.ndarray  # (n_test, n_tasks) codes
    state: State  # weight, bias, history and the SHA-256 of every epoch's order


def train(train_data, test_data, classes, sampler, settings, checkpoint, fingerprint, progress):
    """Train the linear classifiers of all tasks, a pass over the sampler's cells an epoch.

    train_data, test_data : (Plates, labels (n_cells, n_tasks) codes)
    classes : {task: class names}
    sampler : an scDataset strategy
    checkpoint : path; written every `checkpoint_minutes` and at the end of every epoch
    fingerprint : of everything that decides the numbers; another one's checkpoint is discarded
    progress : callable (total, unit, label) -> object with update(n) and close()
    Returns a Result; None on the ranks after the first of several processes.
    Raises InputError when labels do not fit or the loss is not finite, Stopped after SIGTERM.
    """
    torch.set_num_threads(settings.threads)
    torch.set_float32_matmul_precision("highest")  # whatever the environment says of TF32
    tasks = heads(classes)
    for (plates, labels), split in ((train_data, "train"), (test_data, "test")):
        check_labels(labels, len(plates), classes, split)
    state = new_state(train_data[0].n_genes, tasks, settings)
    load_checkpoint(
        checkpoint, fingerprint, state, settings.epochs, first_rank=distributed.rank() == 0
    )
    distributed.check_agreement([state.epoch, state.step], "the checkpoint")

    def save():
        total = distributed.sum_over_ranks(state.losses.clone())
        if distributed.rank() == 0:
            save_checkpoint(checkpoint, fingerprint, state, total)
        distributed.wait_for_all()  # torchrun ends the others soon after the first of them has ended
        state.saved_at = time.monotonic()

    with torch.no_grad(), term_signal() as told_to_stop:
        while state.epoch < settings.epochs:
            seen, digest = train_epoch(
                state, train_data, sampler, tasks, settings, save, told_to_stop, progress
            )
            save()  # an epoch that is done is not lost while it is tested
            scores, predictions = test_epoch(state, test_data, tasks, settings, told_to_stop, seen)
            state.next_epoch(digest)
    return Result(scores, predictions, state) if distributed.rank() == 0 else None


def train_epoch(state, data, sampler, tasks, settings, save, told_to_stop, progress):
    """One pass over the sampler's cells, from `state.step` on.

    Returns (cells seen by all processes, SHA-256 of the order in which the model saw them).
    """
    plates, labels = data
    device = state.weight.device
    label = (
        f"{settings.strategy} seed {settings.seed}, epoch {state.epoch + 1} of {settings.epochs}"
    )
    promised, done_before = sampler.get_len(plates), state.step
    kind = counts_type(device)
    batches = prepared_batches(plates, labels, sampler, settings, state, kind)
    batches = batches_ahead(
        batches, settings.prefetch, kind, settings.transform, plates.n_genes, device
    )
    order, seen, step, previous = hashlib.sha256(), 0, 0, None
    state.weight.grad.zero_()  # within an epoch, a step clears what the one before has written
    bar = (progress if distributed.rank() == 0 else silent)(promised, "cells", label)

    with closing(batches):
        for cells, counts, codes in state.timed(batches):
            order.update(cells)
            step += 1
            n_cells, stop = len(cells), told_to_stop()
            save_now = stop or time.monotonic() - state.saved_at > 60 * settings.checkpoint_minutes
            # All processes stop at the same step, after the same global batch.
            n_cells, stop, save_now = distributed.sums(n_cells, stop, save_now)

            if step > done_before:  # else an earlier job took this step
                take_step(state, counts, codes, tasks, n_cells, previous)
                previous, state.step = counts, step
                if device.type == "cpu" or step % GPU_LOOKS == 0:
                    check_finite(state.losses, step, settings)
                if save_now:
                    save()
            if stop:
                raise Stopped(
                    f"{label}: told to stop; the checkpoint holds step {state.step}, start again to go on"
                )
            seen += n_cells
            bar.update(n_cells)

    bar.close()
    began = time.perf_counter()
    check_finite(state.losses, step, settings)  # waits for a GPU to have done what it was told
    state.epoch_seconds += time.perf_counter() - began
    if seen != promised:
        raise InputError(f"{label}: {seen} cells were read, but the strategy promised {promised}")
    return seen, distributed.combined_digest(order)


def take_step(state, counts, codes, tasks, n_cells, previous):
    """One step of Adam on a minibatch.

    counts: SparseCounts or DenseCounts; codes: (batch, n_tasks) int64; n_cells: of the global
    batch; previous: counts of the step before, whose rows of the gradient are cleared.
    """
    logits = counts.times(state.weight) + state.bias
    codes = on_device(codes, state.weight.device)
    if state.at_once:
        losses, gradient = state.at_once.losses_and_gradient(logits, codes, n_cells)
    else:
        losses, gradient = losses_and_gradient(logits, codes, tasks, n_cells)
    if distributed.world_size() > 1 and not state.at_once:
        state.weight.grad.zero_()  # the sum below has filled rows that this process does not know of
        previous = None
    counts.write_gradient(gradient, state.weight.grad, previous)
    torch.sum(gradient, dim=0, out=state.bias.grad)
    distributed.sum_over_ranks(state.weight.grad)
    distributed.sum_over_ranks(state.bias.grad)
    state.adam.step()
    state.losses += losses


def test_epoch(state, data, tasks, settings, told_to_stop, seen):
    """Scores and predictions on the test plates after an epoch; a row of history is added."""

    def tick(n_cells):
        if told_to_stop():
            raise Stopped(f"{settings.strategy}: told to stop while testing; start again to go on")

    began = time.perf_counter()
    scores, predictions = evaluate(
        *data, state.weight, state.bias, tasks, settings.transform, settings.prefetch, tick
    )
    for task, values in scores.items():
        if not np.isfinite(values["loss"]):
            raise InputError(
                f"strategy {settings.strategy}, seed {settings.seed}: the loss of {task} on the test plates "
                f"is not finite after epoch {state.epoch + 1} (learning rate {settings.learning_rate:g})"
            )
    losses = distributed.sum_over_ranks(state.losses.clone()).cpu().numpy() / seen
    state.add_history(seen, losses.tolist(), scores, time.perf_counter() - began)
    row = state.history[-1]
    scored = ", ".join(f"{task} {values['macro_f1']:.3f}" for task, values in scores.items())
    if distributed.rank() == 0:
        say(
            f"{settings.strategy} seed {settings.seed}, epoch {row['epoch']} of {settings.epochs}: "
            f"{row['cells_per_second']:,.0f} cells/s, macro F1 {scored}"
        )
    return scores, predictions


def prepared_batches(plates, labels, sampler, settings, state, counts_of):
    """Yield (cells, counts, codes (batch, n_tasks) int64) of the epoch; counts as the device takes them.

    Batches that an earlier job took come with counts None. With several processes the one with
    fewer batches ends with empty ones, so that all take the same number of steps.
    """
    rank, world_size = distributed.rank(), distributed.world_size()
    loading = Loading(settings.batch_size, settings.fetch_factor, settings.seed, rank, world_size)
    batches = epoch_batches(plates, labels, sampler, loading, state.epoch, state.step)
    if world_size > 1:
        nothing = Rows(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(1, np.int64))
        empty = Batch(np.zeros(0, np.int64), nothing, np.zeros((0, labels.shape[1]), np.int64))
        fetch = settings.batch_size * settings.fetch_factor
        mine = range(0, sampler.get_len(plates), fetch)[::world_size]  # fetches of rank 0, the most
        steps = sum(
            -(-min(fetch, sampler.get_len(plates) - f) // settings.batch_size) for f in mine
        )
        batches = itertools.islice(itertools.chain(batches, itertools.repeat(empty)), steps)
    for batch in batches:
        if batch.rows is None:
            yield batch.cells, None, None
        else:
            counts = counts_of(batch.rows, settings.transform, plates.n_genes)
            yield batch.cells, counts, batch.labels


def new_state(n_genes, tasks, settings):
    """The state before the first step, on the device."""
    device = device_of(settings.device)
    parameters = initial_parameters(n_genes, tasks, settings.seed)
    weight, bias = (padded(parameter).to(device) for parameter in parameters)
    weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
    adam = torch.optim.Adam([weight, bias], lr=settings.learning_rate, fused=True)
    losses = torch.zeros(len(tasks), dtype=torch.float64, device=device)
    at_once = TasksAtOnce(tasks, len(bias), device) if device != "cpu" else None
    return State(weight, bias, adam, losses, at_once)


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


def check_finite(losses, step, settings):
    """Raise InputError when the losses summed so far are not finite."""
    if not torch.isfinite(losses).all():
        raise InputError(
            f"strategy {settings.strategy}, seed {settings.seed}: the loss is not finite at step {step} "
            f"(learning rate {settings.learning_rate:g}); lower training: learning_rate, or look for "
            "extreme values in X"
        )


BLOCK = 2**22  # cells looked at at a time
