"""What a sampler of this project is, beside scDataset's own, and what it needs to know of the cells."""

from dataclasses import dataclass

import numpy as np
from scdataset.strategy import SamplingStrategy

EPOCH_SEEDS = 1000  # between the seeds of two epochs, as scDataset has it


@dataclass(frozen=True)
class PlateSizes:
    """Stands for plates where only the number of cells of each matters: a collection for a sampler."""

    plate_sizes: np.ndarray  # (n_plates,) int64

    def __len__(self):
        return int(np.sum(self.plate_sizes))


def collection_of(cells):
    """A collection for a sampler: the cells themselves (`Plates`, a sequence), or so many of one plate."""
    return PlateSizes(np.array([cells])) if isinstance(cells, int | np.integer) else cells


def plate_sizes_of(collection):
    """(n_plates,) int64 cells of each plate of a collection; one that knows of no plates is one plate."""
    sizes = getattr(collection, "plate_sizes", None)
    return np.array([len(collection)] if sizes is None else sizes, np.int64)


def epoch_indices(sampler, collection, seed, epoch):
    """(n,) int64 cell numbers that a sampler, scDataset's or ours, draws for an epoch."""
    if isinstance(sampler, CellOrder):
        return sampler.draw(plate_sizes_of(collection), seed, epoch)
    return sampler.get_indices(collection, seed=seed + EPOCH_SEEDS * epoch)


class CellOrder(SamplingStrategy):
    """A sampler of this project: a subclass says, by `draw`, in which order an epoch has which cells.

    exact: whether the model shall see the cells in that very order. If not, the cells of a fetch are sorted
    and shuffled in memory, as those of scDataset's samplers are.

    It is a sampling strategy of scDataset, too. Plain scDataset sorts the cells of every fetch and does not
    know the number of the epoch, so exact orders are those of `Loader` and `epoch_batches` alone.
    """

    exact = True

    def __init__(self):
        super().__init__()
        self._shuffle_before_yield = not self.exact

    def draw(self, plate_sizes: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """(n,) int64 cell numbers of an epoch; plate_sizes: (n_plates,) cells of each plate, in their order.

        The same arguments give the same cells. Raises InputError when it cannot draw from these cells.
        """
        raise NotImplementedError

    def get_len(self, data_collection: object) -> int:
        """Cells an epoch."""
        return len(data_collection)

    def get_indices(self, data_collection, seed=None, rng=None):
        """`draw` of the first epoch, as scDataset asks for it."""
        seed = int(self._get_rng(seed, rng).integers(2**32)) if seed is None or rng is not None else seed
        return self.draw(plate_sizes_of(data_collection), seed, 0)


def generator_of(seed, epoch):
    """The random generator of an epoch, seeded as scDataset does."""
    return np.random.default_rng(seed + EPOCH_SEEDS * epoch)
