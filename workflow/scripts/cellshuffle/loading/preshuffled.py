"""The order of a store that was shuffled once, when it was written, as annbatch and Corgi2 have it."""

import numpy as np
from scdataset import BlockShuffling

from cellshuffle.loading.arguments import check_sizes
from cellshuffle.loading.orders import CellOrder, epoch_indices


class PreShuffled(CellOrder):
    """Cells permuted once by `seed`; every epoch chunks of so many neighbours among them, in random order.

    The permutation is the same in every epoch and for every seed of a training: it stands for a store that
    is written once. Fetches are shuffled in memory, as with scDataset's own samplers. Sources: annbatch,
    whose stores are shuffled when they are written and read in random chunks; Corgi2 (Livne et al., 2023).

    >>> PreShuffled(chunk_size=2, seed=0).draw([6], seed=0, epoch=0)
    array([0, 3, 1, 4, 2, 5])
    """

    exact = False

    def __init__(self, chunk_size: int, seed: int = 0):
        super().__init__()
        check_sizes(chunk_size=chunk_size, seed=seed)
        self.chunk_size, self.seed = chunk_size, seed

    def draw(self, plate_sizes, seed, epoch):
        n_cells = int(np.sum(plate_sizes))
        chunks = epoch_indices(BlockShuffling(self.chunk_size), range(n_cells), seed, epoch)
        return self.written(n_cells)[chunks]

    def written(self, n_cells: int) -> np.ndarray:
        """(n_cells,) int64 cell numbers in the order in which the store holds them."""
        return np.random.default_rng([self.seed, 1]).permutation(n_cells)
