"""The samplers that a strategy may name: all that the project knows of each is its entry here."""

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from cellshuffle.errors import InputError

# Keys of a strategy that are not its sampler's: of its minibatches, and of its training.
LOADING, TRAINING = ("batch_size", "fetch_factor"), ("learning_rate", "epochs")


@dataclass(frozen=True)
class SamplerEntry:
    """A sampler class, and what the configuration, the plan, the sweep and the report ask of it."""

    class_path: str  # module:class, imported when a sampler is made: figures need no scDataset
    keys: dict  # JSON schema of each of its keys in the configuration
    required: tuple = ()  # keys that must be given
    weighted: bool = False  # draws cells by the weights of the run
    labelled: bool = False  # draws cells by their labels of a task, which its key `task` names
    sequential: bool = False  # reads the cells of the atlas in order
    exact: bool = False  # the model sees the cells in the order drawn; scDataset would sort each fetch
    rewritten: bool = False  # supposes that the atlas was written once more in the sampler's order
    swept_as: str | None = None  # how `sweep` begins its strategies' names; None: not swept


def key(value_type: str, description: str, **limits: object) -> dict:
    """JSON schema of one key of a strategy."""
    return {"type": value_type, "description": description, **limits}


DRAWS = {"minimum": 1, "maximum": 10**12, "x-limit": "a draw takes eight bytes of memory"}
CELLS = {"minimum": 1, "maximum": 10**12, "x-limit": "no atlas has more cells"}
BLOCK_SIZE = {"$ref": "#/$defs/block_size"}
WEIGHTED = {
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
}
# In the order of the documentation. docs/architecture.md says how one is added.
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
        WEIGHTED,
        required=("block_size",),
        weighted=True,
        swept_as="block_weighted",
    ),
    "ClassBalancedSampling": SamplerEntry(
        "cellshuffle.loading.weighted:SortedClassBalancedSampling",
        {"task": key("string", "The task whose classes are drawn equally often.")} | WEIGHTED,
        required=("task", "block_size"),
        labelled=True,
    ),
    "ShuffleBuffer": SamplerEntry(
        "cellshuffle.loading.shuffle_buffer:ShuffleBuffer",
        {
            "buffer_size": key(
                "integer",
                "Cells in the buffer from which the next one is drawn; Hugging Face datasets and webdataset "
                "take 1,000.",
                default=1000,
                **CELLS,
            ),
            "shuffle_plates": key(
                "boolean", "Stream the plates in another order every epoch.", default=False
            ),
        },
        sequential=True,
        exact=True,
    ),
    "ShardShuffle": SamplerEntry(
        "cellshuffle.loading.shard_shuffle:ShardShuffle",
        {
            "algorithm": {
                "enum": ["py1s", "py1br", "py1e"],
                "description": "Of MosaicML streaming: py1s, py1br or py1e, its default.",
            },
            "shuffle_block_size": key(
                "integer",
                "Of py1br and py1e: about how many cells a shard is shuffled among; MosaicML takes "
                "4,000,000 on one node.",
                default=4_000_000,
                **CELLS | {"minimum": 2},
            ),
            "shard_size": key(
                "integer", "Cells of a shard, within a plate; absent, the plates are the shards.", **CELLS
            ),
        },
        required=("algorithm",),
        exact=True,
    ),
    "PreShuffled": SamplerEntry(
        "cellshuffle.loading.preshuffled:PreShuffled",
        {
            "chunk_size": key("integer", "Neighbours in the shuffled store that are read together.", **CELLS),
            "seed": key(
                "integer",
                "Decides how the store is shuffled, once for all seeds and epochs.",
                minimum=0,
                maximum=2**32 - 1,
                default=0,
            ),
        },
        required=("chunk_size",),
        rewritten=True,
    ),
    "OrderFile": SamplerEntry(
        "cellshuffle.loading.order_file:OrderFile",
        {"path": key("string", "A `.npy` of cell numbers: one row an epoch, or one for all.", minLength=1)},
        required=("path",),
        exact=True,
    ),
}


def is_weighted(entry):
    """Whether a strategy's sampler draws cells by their weights."""
    return SAMPLERS[entry["sampler"]].weighted


def is_labelled(entry):
    """Whether a strategy's sampler draws cells by their labels of a task."""
    return SAMPLERS[entry["sampler"]].labelled


def is_sequential(entry):
    """Whether a strategy's sampler reads the cells of the atlas in order."""
    return SAMPLERS[entry["sampler"]].sequential and not entry.get("shuffle_plates")


def shuffles_fetches(entry):
    """Whether the cells of a fetch are shuffled, so that its size decides how mixed they are."""
    return entry.get("shuffle", not is_sequential(entry) and not is_exact(entry))


def cells_per_epoch(entry, n_train):
    """Cells that a strategy has in an epoch, of so many train cells."""
    if "path" in entry:
        return import_module("cellshuffle.loading.coverage").read_order(entry["path"]).shape[1]
    return entry.get("total_size") or n_train


def is_rewritten(entry):
    """Whether the order supposes that the atlas was written once more, whose cost is counted."""
    return SAMPLERS[entry["sampler"]].rewritten


def is_exact(entry):
    """Whether the model sees the cells in the order drawn; scDataset itself would sort each fetch."""
    return SAMPLERS[entry["sampler"]].exact


def loading_of(entry, training):
    """{"batch_size", "fetch_factor"}: the strategy's own, else those of the config's training section."""
    return {name: entry.get(name, training[name]) for name in LOADING}


def training_of(entry, training):
    """{"learning_rate", "epochs"}: the strategy's own, else those of the config's training section."""
    return {name: entry.get(name, training[name]) for name in TRAINING}


def sampler_keys(entry):
    """The entry of a strategy without the keys that are not its sampler's."""
    return {key: value for key, value in entry.items() if key not in (*LOADING, *TRAINING)}


def sweep_prefixes():
    """{sampler: how `sweep` begins its strategies' names} of the samplers that can be swept."""
    return {name: known.swept_as for name, known in SAMPLERS.items() if known.swept_as}


def strategy_schemas():
    """{sampler: JSON schema of a strategy that names it}, for the configuration's schema."""
    own = {name: {"$ref": f"#/$defs/{name}"} for name in (*LOADING, *TRAINING)}
    return {
        name: {
            "additionalProperties": False,
            "required": list(known.required),
            "properties": {"sampler": True} | known.keys | own,
        }
        for name, known in SAMPLERS.items()
    }


def sampler(
    name: str, weights: np.ndarray | None = None, labels: np.ndarray | None = None, **options: object
) -> object:
    """The sampler of this name, as `Loader`, `epoch_batches` and scDataset take it.

    name: a key of SAMPLERS. weights: (n_cells,) float64, how often a cell is to be drawn beside the
    others; only for a weighted sampler. labels: (n_cells,) codes of the classes that ClassBalancedSampling
    draws equally often. options: the sampler's own keys, as in the configuration.
    Raises InputError when there is no such sampler, or it does not take the options.

    >>> sampler("BlockShuffling", block_size=4).get_len(range(10))
    10
    >>> sampler("ShuffleBuffer", buffer_size=2).get_indices(range(5), seed=0)
    array([1, 2, 3, 4, 0])
    """
    if name not in SAMPLERS:
        raise InputError(f"there is no sampler '{name}'; there are {', '.join(SAMPLERS)}")
    known = SAMPLERS[name]
    names = [option for option in known.keys if option != "task"]
    for option in options.keys() - set(names):
        raise InputError(f"sampler {name} has no option '{option}'; it has {', '.join(names)}")
    for argument, flag, array in (("weights", "weighted", weights), ("labels", "labelled", labels)):
        if getattr(known, flag):
            options[argument] = array
        elif array is not None:
            takers = ", ".join(other for other, entry in SAMPLERS.items() if getattr(entry, flag))
            raise InputError(f"sampler {name} takes no {argument}; those that do: {takers}")
    if weights is not None and np.asarray(weights).dtype.kind not in "fiub":
        raise InputError(f"weights: they are {np.asarray(weights).dtype}, not numbers")
    if known.labelled and labels is None:
        raise InputError(f"sampler {name} needs labels: (n_cells,) codes of the classes")
    module, _, class_name = known.class_path.partition(":")
    cls = getattr(import_module(module), class_name)
    try:
        return cls(**options)
    except (TypeError, ValueError) as error:
        own = {key: value for key, value in options.items() if key not in ("weights", "labels")}
        raise InputError(f"sampler {name} cannot have {own}: {error}") from None


def sampler_of(strategy, weights=None, labels=None):
    """The sampler of a strategy of the configuration, such as {"sampler": "BlockShuffling", "block_size": 4}.

    weights: (n_train,) float64 of the run, given to a weighted sampler only; labels: {task: (n_train,)
    codes}.
    """
    keys = sampler_keys(strategy).items()
    options = {key: value for key, value in keys if key not in ("sampler", "task")}
    return sampler(
        strategy["sampler"],
        weights if is_weighted(strategy) else None,
        labels[strategy["task"]] if is_labelled(strategy) else None,
        **options,
    )
