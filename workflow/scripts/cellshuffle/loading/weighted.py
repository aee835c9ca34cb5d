"""scDataset's weighted samplers, with their draws made faster."""

import numpy as np
from scdataset import BlockWeightedSampling, ClassBalancedSampling

from cellshuffle.errors import InputError


class SortedBlockWeightedSampling(BlockWeightedSampling):
    """BlockWeightedSampling whose draws with replacement are made in sorted order.

    scDataset draws by `Generator.choice(n, p=weights)`, which searches the cumulative weights for
    every uniform number in the order drawn, and sorts what it found. Sorting the uniforms first
    finds the identical array without the cache misses: benchmarks/README.md has the times.
    """

    def get_indices(self, data_collection, seed=None, rng=None):
        """(total_size,) int64 cell numbers, element by element those of scDataset."""
        if not self.replace or self.weights is None or self._indices is not None:
            return super().get_indices(data_collection, seed, rng)
        n_cells = len(data_collection)
        if len(self.weights) != n_cells:
            raise InputError(f"{len(self.weights)} weights for {n_cells} cells; make the weights again")
        indices = self._draw(n_cells, self._get_rng(seed, rng))
        n_blocks = len(indices) // self.block_size
        blocks = indices[: n_blocks * self.block_size].reshape(n_blocks, self.block_size)
        rest = indices[n_blocks * self.block_size :]
        generator = self._get_rng(seed, rng)
        blocks = generator.permutation(blocks, axis=0)
        if not len(rest):
            return blocks.reshape(-1)
        place = generator.integers(0, n_blocks + 1)
        return np.concatenate([blocks[:place].reshape(-1), rest, blocks[place:].reshape(-1)])

    def _draw(self, n_cells, generator):
        """Sorted draws with replacement, as `Generator.choice` makes them and scDataset sorts them."""
        probability = self.weights / self.weights.sum()
        cumulative = np.cumsum(probability, out=probability)
        cumulative /= cumulative[-1]
        uniform = generator.random(n_cells if self.total_size is None else self.total_size)
        uniform.sort()
        return cumulative.searchsorted(uniform, side="right")


class SortedClassBalancedSampling(SortedBlockWeightedSampling, ClassBalancedSampling):
    """ClassBalancedSampling, its draws made in the same way."""

    def _compute_class_weights(self):
        """(n_cells,) float64, the numbers of scDataset, which looks at all cells once a class."""
        if self.labels.dtype.kind not in "iu":
            return super()._compute_class_weights()
        with np.errstate(divide="ignore"):  # a code that no cell has
            return (1.0 / np.bincount(self.labels))[self.labels]
