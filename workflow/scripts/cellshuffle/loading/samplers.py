"""The samplers that a strategy may name: all that the project knows of each is its entry here."""

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from cellshuffle.errors import InputError

LOADING = ("batch_size", "fetch_factor")  # keys of a strategy that are not its sampler's


@dataclass(frozen=True)
class SamplerEntry:
    """A sampler class, and what the configuration, the plan, the sweep and the report ask of it."""

    class_path: str  # module:class, imported when a sampler is made: figures need no scDataset
    keys: dict  # JSON schema of each of its keys in the configuration
    required: tuple = ()  # keys that must be given
    weighted: bool = False  # draws cells by the weights of the run
    sequential: bool = False  # reads the cells of the atlas in order
    swept_as: str | None = None  # how `sweep` begins its strategies' names; None: not swept


def key(value_type: str, description: str, **limits: object) -> dict:
    """JSON schema of one key of a strategy."""
    return {"type": value_type, "description": description, **limits}


DRAWS = {"minimum": 1, "maximum": 10**12, "x-limit": "a draw takes eight bytes of memory"}
BLOCK_SIZE = {"$ref": "#/$defs/block_size"}
# In the order of the documentation. A new sampler is one more entry; its class has `get_indices` and
# `get_len` as scDataset's own have them.
SAMPLERS = {
    "Streaming": SamplerEntry(
        "scdataset:Streaming",
        {"shuffle": key("boolean", "Shuffle within every fetch.", default=False)},
        sequential=True,
    ),
    "BlockShuffling": SamplerEntry(
        "scdataset:BlockShuffling",
        {
            "block_size": BLOCK_SIZE,
            "drop_last": key(
                "boolean",
                "Where the cells do not fill whole blocks, leave out, at random, as many as are too many; "
                "scDataset's default is false.",
            ),
        },
        required=("block_size",),
        swept_as="block_shuffling",
    ),
    "BlockWeightedSampling": SamplerEntry(
        "cellshuffle.loading.weighted:SortedBlockWeightedSampling",
        {
            "block_size": BLOCK_SIZE,
            "total_size": key("integer", "Draws an epoch; absent, as many as train cells.", **DRAWS),
            "replace": key(
                "boolean",
                "Draw with replacement; scDataset's default is true. With false, `sampling_size` and "
                "`total_size` must be given too.",
            ),
            "sampling_size": key(
                "integer",
                "Only with `replace: false`: draws of a round. Within a round no cell comes twice; rounds "
                "follow each other until there are `total_size` draws.",
                **DRAWS,
            ),
        },
        required=("block_size",),
        weighted=True,
        swept_as="block_weighted",
    ),
}


def is_weighted(entry):
    """Whether a strategy's sampler draws cells by their weights."""
    return SAMPLERS[entry["sampler"]].weighted


def is_sequential(entry):
    """Whether a strategy's sampler reads the cells of the atlas in order."""
    return SAMPLERS[entry["sampler"]].sequential


def loading_of(entry, training):
    """{"batch_size", "fetch_factor"}: the strategy's own, else those of the config's training section."""
    return {name: entry.get(name, training[name]) for name in LOADING}


def sweep_prefixes():
    """{sampler: how `sweep` begins its strategies' names} of the samplers that can be swept."""
    return {name: known.swept_as for name, known in SAMPLERS.items() if known.swept_as}


def strategy_schemas():
    """{sampler: JSON schema of a strategy that names it}, for the configuration's schema."""
    loading = {name: {"$ref": f"#/$defs/{name}"} for name in LOADING}
    return {
        name: {
            "additionalProperties": False,
            "required": list(known.required),
            "properties": {"sampler": True} | known.keys | loading,
        }
        for name, known in SAMPLERS.items()
    }


def sampler(name: str, weights: np.ndarray | None = None, **options: object) -> object:
    """The scDataset strategy of this name, as `scDataset` and `epoch_batches` take it.

    name: a key of SAMPLERS. weights: (n_cells,) float64, how often a cell is to be drawn beside the
    others; only for a weighted sampler. options: the sampler's own keys, as scDataset has them.
    Raises InputError when there is no such sampler, or it does not take the options.

    >>> sampler("BlockShuffling", block_size=4).get_len(range(10))
    10
    """
    if name not in SAMPLERS:
        raise InputError(f"there is no sampler '{name}'; there are {', '.join(SAMPLERS)}")
    known = SAMPLERS[name]
    for option in options.keys() - known.keys.keys():
        raise InputError(f"sampler {name} has no option '{option}'; it has {', '.join(known.keys)}")
    if known.weighted:
        options["weights"] = weights
    elif weights is not None:
        weighted = ", ".join(other for other, entry in SAMPLERS.items() if entry.weighted)
        raise InputError(f"sampler {name} takes no weights; those that do: {weighted}")
    module, _, class_name = known.class_path.partition(":")
    cls = getattr(import_module(module), class_name)
    try:
        return cls(**options)
    except (TypeError, ValueError) as error:
        own = {key: value for key, value in options.items() if key != "weights"}
        raise InputError(f"sampler {name}, {own}: scDataset refuses it: {error}") from None


def sampler_of(strategy, weights=None):
    """The sampler of a strategy of the configuration, such as {"sampler": "BlockShuffling", "block_size": 4}.

    weights: (n_train,) float64 of the run, given to a weighted sampler only.
    """
    options = {key: value for key, value in strategy.items() if key not in ("sampler", *LOADING)}
    return sampler(strategy["sampler"], weights if is_weighted(strategy) else None, **options)
