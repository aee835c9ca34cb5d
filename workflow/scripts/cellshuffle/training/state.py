"""All that changes while a model trains."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cellshuffle.training.adam import Adam
from cellshuffle.training.devices import device_of
from cellshuffle.training.model import initial_parameters, padded


@dataclass
class State:
    """Parameters, optimiser and history of one training, and where in the epoch it stands."""

    weight: torch.Tensor  # (n_genes, n_columns) float32 of the first layer; .grad holds its gradient
    bias: torch.Tensor  # (n_columns,) float32 of the first layer
    layers: list  # (weight (inputs, outputs), bias (outputs,)) of those after it; empty for a linear model
    adam: Adam
    losses: torch.Tensor  # (n_tasks,) float64, summed over the cells of this epoch
    epoch: int = 0
    step: int = 0  # batches of this epoch that the model has taken
    history: list = field(default_factory=list)  # a dict an epoch
    orders: list = field(default_factory=list)  # SHA-256 of the cells seen, an entry an epoch
    epoch_seconds: float = 0.0
    wait_seconds: float = 0.0  # of which the loop waited for data
    saved_at: float = field(default_factory=time.monotonic)  # when this process last saved it

    @property
    def parameters(self):
        """All tensors that Adam changes, from the genes to the heads."""
        return [self.weight, self.bias, *(parameter for layer in self.layers for parameter in layer)]

    def timed(self, items):
        """Yield `items` and count the time that passes between and inside requests for them."""
        items, before = iter(items), time.perf_counter()
        while True:
            item = next(items, None)
            now = time.perf_counter()
            self.wait_seconds += now - before
            self.epoch_seconds += now - before
            if item is None:
                return
            yield item
            before = time.perf_counter()
            self.epoch_seconds += before - now

    def checkpoint_is_due(self, minutes):
        """Whether the last checkpoint of this process is older than so many minutes."""
        return time.monotonic() - self.saved_at > 60 * minutes

    def end_epoch(self, n_cells, order, losses, scores, test_seconds):
        """Add the epoch's row of history and go on to the next.

        n_cells: trained on; order: SHA-256 of it; losses: means a task; scores: on the test plates.
        """
        earlier = self.history[-1]["train_seconds"] if self.history else 0.0
        row = {
            "epoch": self.epoch + 1,
            "cells_seen": n_cells * (self.epoch + 1),
            "train_seconds": earlier + self.epoch_seconds,
            "cells_per_second": n_cells / self.epoch_seconds,
            "wait_seconds": self.wait_seconds,
            "epoch_seconds": self.epoch_seconds,
            "test_seconds": test_seconds,
            "peak_memory_mib": peak_memory_mib(),
            "train_loss": sum(losses),
        }
        for (task, values), loss in zip(scores.items(), losses, strict=True):
            row[f"{task}/train_loss"] = loss
            row |= {f"{task}/{metric}": value for metric, value in values.items()}
        self.history.append(row)
        self.orders.append(order)
        self.losses.zero_()
        self.epoch, self.step, self.epoch_seconds, self.wait_seconds = self.epoch + 1, 0, 0.0, 0.0


def new_state(n_genes, heads, recipe):
    """The state before the first step, on the device."""
    device = device_of(recipe.device)
    first, *layers = initial_parameters(n_genes, heads, recipe.seed, recipe.hidden)
    weight, bias = (padded(parameter).to(device) for parameter in first)
    weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
    layers = [tuple(parameter.to(device).requires_grad_() for parameter in layer) for layer in layers]
    losses = torch.zeros(len(heads), dtype=torch.float64, device=device)
    state = State(weight, bias, layers, None, losses)
    state.adam = Adam(state.parameters, recipe.learning_rate)
    return state


def peak_memory_mib():
    """Largest resident memory of this process so far, in MiB (VmHWM of Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")
