"""A training job's state on disk, and what it must have in common with the job that reads it."""

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scdataset
import torch

import cellshuffle
from cellshuffle.console import say
from cellshuffle.files import sha256, whole

# Rooms whose code decides numbers: a checkpoint made by other code is not continued.
DECIDING = ("atlas", "labels", "loading", "analysis", "training")


def fingerprint(settings, files):
    """SHA-256 of everything that decides a training's numbers.

    settings: JSON values (strategy, seed, learning rate, classes ...). files: those read by the job;
    labels and weights (.npy) count by content, plates by name, size and modification time.
    """
    library = Path(cellshuffle.__file__).parent
    modules = {
        str(path.relative_to(library)): sha256(path)
        for room in DECIDING
        for path in sorted((library / room).glob("*.py"))
    }
    versions = modules | {
        "cellshuffle": cellshuffle.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scdataset": scdataset.__version__,
    }
    stamps = [_stamp(Path(path)) for path in files]
    text = json.dumps([settings, versions, stamps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(path):
    if path.suffix == ".npy":
        return sha256(path)
    status = os.stat(path)
    return [path.name, status.st_size, status.st_mtime_ns]


@dataclass
class State:
    """All that changes while a model trains."""

    weight: torch.Tensor  # (n_genes, n_columns) float32; .grad holds its gradient
    bias: torch.Tensor  # (n_columns,) float32
    adam: torch.optim.Optimizer
    losses: torch.Tensor  # (n_tasks,) float64, summed over the cells of this epoch
    at_once: object | None = None  # on a GPU, the model.TasksAtOnce
    epoch: int = 0
    step: int = 0  # batches of this epoch that the model has taken
    history: list = field(default_factory=list)  # a dict an epoch
    orders: list = field(default_factory=list)  # SHA-256 of the cells seen, an entry an epoch
    epoch_seconds: float = 0.0
    wait_seconds: float = 0.0  # of which the loop waited for data
    saved_at: float = field(default_factory=time.monotonic)  # when this process last saved it

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

    def add_history(self, seen, losses, scores, test_seconds):
        """Add the epoch's row: cells, times, mean training losses and test scores."""
        earlier = self.history[-1]["train_seconds"] if self.history else 0.0
        row = {
            "epoch": self.epoch + 1,
            "cells_seen": seen * (self.epoch + 1),
            "train_seconds": earlier + self.epoch_seconds,
            "cells_per_second": seen / self.epoch_seconds,
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

    def next_epoch(self, digest):
        self.orders.append(digest)
        self.losses.zero_()
        self.epoch, self.step, self.epoch_seconds, self.wait_seconds = self.epoch + 1, 0, 0.0, 0.0


KEPT = ("epoch", "step", "history", "orders", "epoch_seconds", "wait_seconds")


def save_checkpoint(path, fingerprint, state, losses):
    """Write the state, with the `losses` (n_tasks,) of all processes, whole or not at all."""
    content = {name: getattr(state, name) for name in KEPT}
    content |= {"weight": state.weight, "bias": state.bias, "losses": losses}
    content |= {"adam": state.adam.state_dict(), "fingerprint": fingerprint}
    with whole(path) as partial, open(partial, "wb") as file:
        torch.save(content, file)


def load_checkpoint(path, fingerprint, state, epochs, first_rank=True):
    """Bring `state` to where the checkpoint at `path` stands, if the same training left it.

    epochs: to train for; a checkpoint that has gone beyond is of no use.

    Losses go to the first rank alone, since they are summed over ranks. Another training's
    checkpoint, or a file that is none, is discarded with a line that says so.
    """
    if not Path(path).exists():
        return
    content, reason = _read(path, fingerprint, epochs)
    if reason:
        say(f"{path}: checkpoint discarded, {reason}; starting from the first cell")
        return
    for name in KEPT:
        setattr(state, name, content[name])
    state.weight.copy_(content["weight"])
    state.bias.copy_(content["bias"])
    state.adam.load_state_dict(content["adam"])
    if first_rank:
        state.losses.copy_(content["losses"])
        say(f"continuing from the checkpoint: epoch {state.epoch + 1}, after step {state.step}")


def _read(path, fingerprint, epochs):
    """(content, None), or (None, the reason why the checkpoint is of no use)."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["fingerprint"] != fingerprint:
            return None, "it belongs to another configuration, other plates or another version"
        if content["epoch"] >= epochs:
            return None, f"it stands after epoch {content['epoch']} of {epochs}"
    except Exception as error:  # whatever else lies there: torch has many words for it
        return None, f"it is not a whole checkpoint ({type(error).__name__})"
    return content, None


def peak_memory_mib():
    """Largest resident memory of this process so far, in MiB (VmHWM of Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")
