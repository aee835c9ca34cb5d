"""Cells of very large atlases in the order that a model should see them, and what that order does to it.

What is public is named here, and imported when it is first used.
"""

from importlib import import_module

__version__ = "0.1.0"
_MODULES = {
    "Cells": "atlas.rows",
    "InputError": "errors",
    "Loader": "loading.loader",
    "Plates": "atlas.plates",
    "Rows": "atlas.rows",
    "Stopped": "errors",
    "epoch_batches": "loading.minibatches",
    "pack": "commands.pack",
    "sampler": "loading.samplers",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'cellshuffle' has no attribute '{name}'")
    return getattr(import_module(f"cellshuffle.{_MODULES[name]}"), name)


def __dir__():
    return sorted({*globals(), *__all__})
