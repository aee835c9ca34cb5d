"""The training loop: batches in, a model, its scores and its history out."""

import hashlib
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from cellshuffle.console import progress, say, silent
from cellshuffle.errors import InputError, Stopped
from cellshuffle.training import distributed
from cellshuffle.training.batches import LABELS, training_loader
from cellshuffle.training.checkpoint import load_checkpoint, save_checkpoint
from cellshuffle.training.evaluation import evaluate
from cellshuffle.training.interruption import stop_signal
from cellshuffle.training.model import criterion_of, heads_of, losses_and_gradients
from cellshuffle.training.state import State, new_state

GPU_CHECKS = 1000  # steps between two checks of a GPU's loss: each makes the host wait for it


@dataclass
class Result:
    """What a training leaves behind."""

    scores: dict  # {task: {metric: value}} after the last epoch
    predictions: np.ndarray  # (n_test, n_tasks) codes
    held_out: dict  # {part of the train cells that was held out: scores, as above}
    state: State  # parameters, history and the SHA-256 of every epoch's order


class Trainer:
    """Trains the classifiers of all tasks, a pass over the sampler's cells an epoch.

    train_data, test_data: (Plates, labels (n_cells, n_tasks) codes); classes: {task: class names};
    sampler: an scDataset strategy; recipe, execution: see training/settings.py; checkpoint: path,
    written every `checkpoint_minutes` and at the end of every epoch; fingerprint: of everything that
    decides the numbers, a checkpoint with another one is discarded; held_out: {part: data}, to be tested on
    as well when all is done.
    Raises InputError when the loss is not finite, Stopped after SIGTERM.
    """

    def __init__(
        self,
        train_data,
        test_data,
        classes,
        sampler,
        recipe,
        execution,
        checkpoint,
        fingerprint,
        held_out=None,
    ):
        torch.set_num_threads(execution.threads)
        torch.set_float32_matmul_precision("highest")  # whatever the environment says of TF32
        self.test_data, self.recipe, self.execution = test_data, recipe, execution
        self.checkpoint, self.fingerprint, self.held_out = checkpoint, fingerprint, held_out or {}
        self.heads = heads_of(classes)
        self.state = new_state(train_data[0].n_genes, self.heads, recipe)
        self.criterion = criterion_of(self.heads, self.state.parameters[-1])
        self.loader = training_loader(
            *train_data, sampler, recipe.transform, self.state.weight.device, batch_size=recipe.batch_size,
            fetch_factor=recipe.fetch_factor, seed=recipe.seed, prefetch=execution.prefetch,
        )  # fmt: skip
        load_checkpoint(checkpoint, fingerprint, self.state, recipe.epochs)
        distributed.check_agreement([self.state.epoch, self.state.step], "the checkpoint")

    def train(self):
        """Train to the last epoch. Returns a Result; None on the ranks after the first of several."""
        with torch.no_grad(), stop_signal() as stop_requested:
            while self.state.epoch < self.recipe.epochs:
                n_cells, order = self.train_epoch(stop_requested)
                self.save()  # an epoch that is done is not lost while it is tested
                scores, predictions = self.test_epoch(n_cells, order, stop_requested)
            held_out = {part: self.test(*data, stop_requested)[0] for part, data in self.held_out.items()}
        return Result(scores, predictions, held_out, self.state) if distributed.rank() == 0 else None

    def train_epoch(self, stop_requested):
        """Fetch, step, save, stop: the rest of an epoch, from `state.step` on.

        Returns (cells seen by all processes, SHA-256 of the order in which the model saw them).
        """
        state, recipe = self.state, self.recipe
        label = f"{recipe.strategy} seed {recipe.seed}, epoch {state.epoch + 1} of {recipe.epochs}"
        expected, done_before = self.loader.n_cells, state.step
        batches = self.loader.epoch(state.epoch, done_before)
        order, n_seen, step, previous = hashlib.sha256(), 0, 0, None
        state.weight.grad.zero_()  # within an epoch, a step clears what the one before has written
        bar = (progress if distributed.rank() == 0 else silent)(expected, "cells", label)

        with closing(batches):
            for step, batch in enumerate(state.timed(batches), start=1):
                order.update(batch.cells)
                # All processes save and stop at the same step, after the same global batch.
                due = state.checkpoint_is_due(self.execution.checkpoint_minutes)
                n_cells, stop, due = distributed.sums(len(batch), stop_requested(), due)

                if step > done_before:  # else an earlier job took this step
                    take_step(state, batch.X, batch.obs[LABELS], self.criterion, n_cells, previous)
                    previous, state.step = batch.X, step
                    if state.weight.device.type == "cpu" or step % GPU_CHECKS == 0:
                        check_finite(state.losses, step, recipe)
                    if stop or due:
                        self.save()
                if stop:
                    raise Stopped(
                        f"{label}: told to stop; the checkpoint holds step {state.step}, start again to go on"
                    )
                n_seen += n_cells
                bar.update(n_cells)

        bar.close()
        began = time.perf_counter()
        check_finite(state.losses, step, recipe)  # waits until a GPU has done its work
        state.epoch_seconds += time.perf_counter() - began
        if n_seen != expected:
            raise InputError(f"{label}: {n_seen} cells were read, but the strategy has {expected}")
        return n_seen, distributed.combined_digest(order)

    def test_epoch(self, n_cells, order, stop_requested):
        """Scores and predictions on the test plates after an epoch; a row of history is added."""
        state, recipe = self.state, self.recipe
        began = time.perf_counter()
        scores, predictions = self.test(*self.test_data, stop_requested)
        for task, values in scores.items():
            if not np.isfinite(values["loss"]):
                raise InputError(
                    f"strategy {recipe.strategy}, seed {recipe.seed}: the loss of {task} on the test plates "
                    f"is not finite after epoch {state.epoch + 1} (learning rate {recipe.learning_rate:g})"
                )
        losses = distributed.sum_over_ranks(state.losses.clone()).cpu().numpy() / n_cells
        state.end_epoch(n_cells, order, losses.tolist(), scores, time.perf_counter() - began)
        row = state.history[-1]
        macro_f1 = ", ".join(f"{task} {values['macro_f1']:.3f}" for task, values in scores.items())
        if distributed.rank() == 0:
            say(
                f"{recipe.strategy} seed {recipe.seed}, epoch {row['epoch']} of {recipe.epochs}: "
                f"{row['cells_per_second']:,.0f} cells/s, macro F1 {macro_f1}"
            )
        return scores, predictions

    def test(self, plates, labels, stop_requested):
        """Scores and predictions on the cells of `plates`, see evaluation.evaluate."""
        transform, prefetch = self.recipe.transform, self.execution.prefetch
        return evaluate(plates, labels, self.state, self.heads, transform, prefetch, stop_requested)

    def save(self):
        """Write the checkpoint, with the losses of all processes."""
        losses = distributed.sum_over_ranks(self.state.losses.clone())
        if distributed.rank() == 0:
            save_checkpoint(self.checkpoint, self.fingerprint, self.state, losses)
        distributed.wait_for_all()  # torchrun ends the others soon after the first of them has ended
        self.state.saved_at = time.monotonic()


def take_step(state, counts, codes, criterion, n_cells, previous):
    """One step of Adam on a minibatch.

    counts: SparseCounts or DenseCounts; codes: (batch, n_tasks) int64 tensor on the device; criterion:
    see model.criterion_of; n_cells: of the global batch; previous: counts of the step before, whose
    rows of the gradient are cleared.
    """
    first = counts.times(state.weight) + state.bias
    losses, gradient = losses_and_gradients(
        first, state.layers, lambda logits: criterion(logits, codes, n_cells)
    )
    if distributed.world_size() > 1 and state.weight.device.type == "cpu":
        state.weight.grad.zero_()  # the sum below has filled rows that this process does not know of
        previous = None
    counts.write_gradient(gradient, state.weight.grad, previous)
    torch.sum(gradient, dim=0, out=state.bias.grad)
    for parameter in state.parameters:
        distributed.sum_over_ranks(parameter.grad)
    state.adam.step()
    state.losses += losses


def check_finite(losses, step, recipe):
    """Raise InputError when the losses summed so far are not finite."""
    if not torch.isfinite(losses).all():
        raise InputError(
            f"strategy {recipe.strategy}, seed {recipe.seed}: the loss is not finite at step {step} "
            f"(learning rate {recipe.learning_rate:g}); lower training: learning_rate, or look for "
            "extreme values in X"
        )
