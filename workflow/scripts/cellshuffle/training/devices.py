"""The device of a training."""

import torch

from cellshuffle.errors import InputError


def device_of(device):
    """The device that `auto` stands for here, or the one asked for; InputError when there is none."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"training: device: '{device}' is asked for, but PyTorch finds no GPU here")
    return device
