"""A training job's state on disk, and what it must have in common with the job that reads it."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import scdataset
import torch

import cellshuffle
from cellshuffle.console import say
from cellshuffle.files import atomic_write, sha256
from cellshuffle.fingerprints import code_of
from cellshuffle.training import distributed
from cellshuffle.training.settings import DECIDING


def fingerprint(settings, files):
    """SHA-256 of everything that decides a training's numbers.

    settings: JSON values (strategy, seed, learning rate, classes ...). files: those read by the job;
    labels and weights (.npy) count by content, plates by name, size and modification time.
    """
    versions = {
        "code": code_of(*DECIDING),
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


SAVED = ("epoch", "step", "history", "orders", "epoch_seconds", "wait_seconds")


def save_checkpoint(path, fingerprint, state, losses):
    """Write the state, with the `losses` (n_tasks,) of all processes, whole or not at all."""
    content = {name: getattr(state, name) for name in SAVED}
    content |= {"parameters": [parameter.detach() for parameter in state.parameters], "losses": losses}
    content |= {"adam": state.adam.state_dict(), "fingerprint": fingerprint}
    with atomic_write(path, orphaned=True) as partial, open(partial, "wb") as file:
        torch.save(content, file)


def load_checkpoint(path, fingerprint, state, epochs):
    """Bring `state` to where the checkpoint at `path` stands, if the same training left it.

    epochs: to train for; a checkpoint that has gone beyond is of no use. Losses go to the first rank
    alone, since they are summed over ranks. Another training's checkpoint, or a file that is none, is
    discarded with a line that says so.
    """
    if not Path(path).exists():
        return
    content, reason = _read(path, fingerprint, epochs)
    if reason:
        say(f"{path}: checkpoint discarded, {reason}; starting from the first cell")
        return
    for name in SAVED:
        setattr(state, name, content[name])
    with torch.no_grad():
        for parameter, saved in zip(state.parameters, content["parameters"], strict=True):
            parameter.copy_(saved)
    state.adam.load_state_dict(content["adam"])
    if distributed.rank() == 0:
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
