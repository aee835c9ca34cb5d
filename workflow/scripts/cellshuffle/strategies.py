"""From a strategy's entry in the config to the scDataset sampler it names."""

import numpy as np
from scdataset import BlockShuffling, BlockWeightedSampling, Streaming

from cellshuffle.entries import LOADING, is_weighted
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
            raise InputError(
                f"{len(self.weights)} weights for {n_cells} cells; make the weights again"
            )
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


SAMPLERS = {
    "Streaming": Streaming,
    "BlockShuffling": BlockShuffling,
    "BlockWeightedSampling": SortedBlockWeightedSampling,
}


def make_sampler(entry, weights=None):
    """The scDataset strategy of a config entry such as {"sampler": "BlockShuffling", "block_size": 4}.

    weights: (n_train,) float64, given to the weighted sampler only. Other keys of the entry go to
    the sampler as they are; batch_size and fetch_factor belong to the loader.
    Raises InputError when the sampler does not take the entry.
    """
    options = {key: value for key, value in entry.items() if key not in ("sampler", *LOADING)}
    if is_weighted(entry):
        options["weights"] = weights
    try:
        return SAMPLERS[entry["sampler"]](**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"strategy {entry}: scDataset refuses it: {error}") from None
