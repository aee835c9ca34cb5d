"""What a training is asked to do: what decides its numbers, and what decides only its speed."""

from dataclasses import asdict, dataclass, field, replace

import cellshuffle
from cellshuffle.configuration.tuning import all_entries, held_out_parts
from cellshuffle.fingerprints import code_of, fingerprint
from cellshuffle.loading.samplers import loading_of, sampler_keys, training_of

PREFETCH = 32  # batches prepared ahead, where a thread is free for it
# Rooms whose code decides numbers: a checkpoint made by other code is not continued.
DECIDING = ("atlas", "labels", "loading", "analysis", "training")


@dataclass(frozen=True)
class Recipe:
    """All that decides the numbers of a training besides the files it reads; names as in the config.

    Results say which recipe made them, and a checkpoint of another recipe is not continued.
    """

    strategy: str
    sampler: dict  # {"sampler": name} and the sampler's own keys
    seed: int
    epochs: int
    batch_size: int
    fetch_factor: int
    learning_rate: float
    transform: str = "none"
    device: str = "auto"
    world_size: int = 1  # processes that train the model together, each on its part of a batch
    max_cells: dict = field(default_factory=lambda: {"train": None, "test": None})
    layer: str | None = None
    where: dict | None = None  # {obs column: value or values} of the cells to read
    held_out: dict = field(default_factory=dict)  # of the train cells, see atlas/held_out.py
    hidden: list = field(default_factory=list)  # units of each hidden layer; none: a linear model

    @classmethod
    def from_config(cls, config: dict, strategy: str, seed: int) -> "Recipe":
        """The recipe of a strategy and seed of a complete configuration."""
        training, atlas, entry = config["training"], config["atlas"], all_entries(config)[strategy]
        names = ("transform", "device", "world_size")
        return cls(
            strategy,
            sampler=sampler_keys(entry),
            seed=seed,
            max_cells={split: atlas[f"max_{split}_cells"] for split in ("train", "test")},
            layer=None if atlas["pack"] else atlas["layer"],
            where=atlas["where"],
            hidden=training["model"]["hidden"],
            held_out=held_out_parts(config),
            **loading_of(entry, training),
            **training_of(entry, training),
            **{name: training[name] for name in names},
        )

    def fingerprint(self) -> str:
        """Of the recipe and the code that follows it: kept with the scores."""
        return fingerprint([asdict(self), cellshuffle.__version__, code_of(*DECIDING)])


@dataclass(frozen=True)
class Execution:
    """How a training is carried out, which decides no number; names as in the config."""

    threads: int = 1  # of the arithmetic of each process
    prefetch: int | None = None  # batches made ahead of the model; 0: between the steps; None: see decided
    workers: int = 1  # threads that decode chunks of plates that are not packed
    read_depth: int | None = None  # reads of packed plates under way at once, see Plates
    checkpoint_minutes: float = 10
    nodes: int = 1  # over which the processes are spread evenly
    scratch: str | None = None  # a folder on the node for copies of the plates

    @classmethod
    def from_config(cls, config: dict) -> "Execution":
        """The execution that a complete configuration asks for."""
        names = ("threads", "prefetch", "workers", "read_depth", "checkpoint_minutes", "nodes")
        training = config["training"]
        return cls(**{name: training[name] for name in names}, scratch=config["atlas"]["scratch"])

    def threads_per_node(self, world_size: int, packed: bool) -> int:
        """CPU threads that a training asks for on each node: of the arithmetic, and for loading ahead."""
        loading = (1 if packed else self.workers) if self.prefetch else 0
        return (self.threads + loading) * world_size // self.nodes

    def decided(self, trainings: int, cores: int | None, world_size: int, packed: bool) -> "Execution":
        """This execution, where `prefetch` is left open with the one that ends a run soonest.

        A loader's thread takes a core. On a CPU it shortens a step by less than another training on that core
        would bring, so it is worth it only where all `trainings` of the run fit on the `cores` side by side,
        each with its loader. cores: None for a cluster, where each has its own, or GPUs, which must not wait.
        """
        if self.prefetch is not None:
            return self
        ahead = replace(self, prefetch=PREFETCH)
        threads = ahead.threads_per_node(world_size, packed)
        fit = cores is None or trainings * min(threads, cores) <= cores
        return ahead if fit else replace(self, prefetch=0)

    def limited_to(self, threads: int, world_size: int) -> "Execution":
        """This execution with no more than `threads` CPU threads on each node.

        `--cores 1` gives one thread where more were asked for; then batches are made between the steps. Where
        `prefetch` is left open, they are made ahead if there is a thread for it.
        """
        available = max(1, threads * self.nodes // world_size)
        arithmetic = min(self.threads, available)
        loading = available - arithmetic
        return replace(
            self,
            threads=arithmetic,
            prefetch=(PREFETCH if self.prefetch is None else self.prefetch) if loading else 0,
            workers=min(self.workers, loading or available),
        )
