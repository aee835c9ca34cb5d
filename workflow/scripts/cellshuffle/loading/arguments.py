"""What a loader is given, checked: one line for each argument that cannot be used."""

import copy
import zlib

import numpy as np
import torch

from cellshuffle.errors import InputError, check_whole
from cellshuffle.labels.weights import combination_weights

# 1 of all other sizes
LEAST = {"shuffle_block_size": 2} | dict.fromkeys(
    ("seed", "epoch", "prefetch", "first_batch", "rank", "first", "taken"), 0
)
MOST = {"epoch": 2**31 - 1}  # it shares a word of memory, see passes.py


def check_sizes(**sizes):
    """Raise InputError unless these are whole numbers, not too small or large."""
    for name, value in sizes.items():
        check_whole(name, value, LEAST.get(name, 1), MOST.get(name))


def check_ranks(rank, world_size):
    """Raise InputError unless `rank` is one of `world_size` processes."""
    check_whole("rank", rank)
    check_whole("world_size", world_size, 1)
    if not 0 <= rank < world_size:
        raise InputError(
            f"rank: {rank} is not one of the {world_size} processes (world_size), counted from 0"
        )


def device_of(device):
    """The torch.device of this name, the CPU for None; InputError when there is none."""
    try:
        device = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError):
        raise InputError(f"device: {device!r} is none that PyTorch knows, such as 'cpu' or 'cuda'") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: '{device}' is asked for, but PyTorch finds no GPU here")
    return device


def is_gpu(device):
    """Whether minibatches are to be made on the device itself."""
    return device.type != "cpu"


def own_codes(obs, plates):
    """{name: array} of a person's own codes, a row a cell."""
    codes = {name: np.asanyarray(array) for name, array in obs.items()}
    for name, array in codes.items():
        if array.ndim == 0 or len(array) != len(plates):
            raise InputError(
                f"obs: '{name}' has {array.size} codes for {len(plates)} cells, not one for each"
            )
        if array.dtype.kind not in "iu":
            raise InputError(f"obs: '{name}' holds {array.dtype}; give whole numbers, the codes of classes")
    return codes


def with_weights(sampler, weights, plates):
    """The sampler, or a copy of it with these weights; weights: array, {"balance": ...} or None.

    Raises InputError when they do not fit the cells or the sampler takes none.
    """
    if weights is None:
        of_its_own = getattr(sampler, "weights", None)
        if of_its_own is not None and getattr(sampler, "_indices", None) is None:
            _check_length(of_its_own, plates, "labels" if hasattr(sampler, "labels") else "weights")
        if of_its_own is not None:
            _check_values(np.asarray(of_its_own))
        return sampler
    if not hasattr(sampler, "weights"):
        raise InputError(
            f"weights: sampler {type(sampler).__name__} takes none; BlockWeightedSampling draws by weight"
        )
    weights = balance(weights, plates) if isinstance(weights, dict) else np.asarray(weights)
    _check_length(weights, plates)
    _check_values(weights)
    weighted = copy.copy(sampler)
    weighted.weights = weights / np.sum(weights)
    return weighted


def _check_values(weights):
    if weights.dtype.kind not in "fiu" or not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError("weights: there is one that is negative or not a finite number")
    if not weights.any():
        raise InputError("weights: all are 0; at least one cell must have more")
    if np.max(weights) > np.finfo(float).max / len(weights):
        raise InputError("weights: their sum may be too large a number; divide them all by the largest")


def _check_length(weights, plates, name="weights"):
    if np.shape(weights) != (len(plates),):
        raise InputError(
            f"{name}: an array of shape {np.shape(weights)} for {len(plates)} cells; give one of the {name} "
            "for each cell that is read"
        )


def described_sampler(sampler):
    """{name: value} of what decides a sampler's order; of weights and an order file a checksum."""
    options = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(sampler).items()
        if not name.startswith("_") and isinstance(value, int | float | str | np.generic)
    }
    for name in ("weights", "rows"):
        array = getattr(sampler, name, None)
        if array is not None:
            options[f"checksum of {name}"] = zlib.crc32(np.ascontiguousarray(array))
    return options


def balance(settings, plates):
    """(n_cells,) float64 weights that balance combinations of obs columns, see labels/weights.py."""
    unknown = settings.keys() - {"balance", "min_count_baseline"}
    columns, baseline = settings.get("balance"), settings.get("min_count_baseline", 1000)
    if unknown or not isinstance(columns, list | tuple) or not columns:
        raise InputError(
            f"weights: {settings!r} is neither an array nor "
            '{"balance": [obs columns], "min_count_baseline": 1000}'
        )
    if not isinstance(baseline, int | float) or not 0 <= baseline < np.inf:
        raise InputError(f"weights: min_count_baseline: {baseline!r} is not a number of at least 0")
    chosen = plates.select(obs=columns)
    codes = np.stack([chosen.obs[column] for column in columns], axis=1)
    return combination_weights(codes, tuple(len(chosen.classes[c]) for c in columns), baseline)
