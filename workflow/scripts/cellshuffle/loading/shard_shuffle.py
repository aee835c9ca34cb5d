"""The orders of MosaicML streaming: shards in random order, cells shuffled within or across them."""

import numpy as np

from cellshuffle.errors import InputError
from cellshuffle.loading.arguments import check_sizes
from cellshuffle.loading.orders import CellOrder, generator_of

LEAST, MOST = 0.75, 1.25  # of shuffle_block_size, between which every block's own size is drawn
ALGORITHMS = ("py1s", "py1br", "py1e")


class ShardShuffle(CellOrder):
    """`py1s`, `py1br` or `py1e` of MosaicML streaming, on one canonical node.

    Shards are the plates or, with `shard_size`, every plate in pieces of so many cells. Their order is
    drawn by the seed, and drawn again from it every epoch. Then, of the cells in that order,

    - `py1s` shuffles each shard;
    - `py1br` shuffles blocks of about `shuffle_block_size` cells, which overlap by a random stagger;
    - `py1e` shuffles each shard and spreads its cells over about `shuffle_block_size` places around it.

    docs/method.md has the exact definition. Source: the documentation and code of MosaicML streaming, whose
    `get_shuffle_py1s` and so on give the same cells for the same seed and `1000 * epoch` as the epoch.

    >>> sizes = np.array([3, 3])
    >>> ShardShuffle("py1s").draw(sizes, seed=0, epoch=0)
    array([4, 3, 5, 1, 0, 2])
    """

    def __init__(
        self, algorithm: str = "py1e", shuffle_block_size: int = 4_000_000, shard_size: int | None = None
    ):
        super().__init__()
        check_sizes(shuffle_block_size=shuffle_block_size, shard_size=1 if shard_size is None else shard_size)
        if algorithm not in ALGORITHMS:
            raise InputError(f"algorithm: there is no {algorithm!r}; there are {', '.join(ALGORITHMS)}")
        self.algorithm, self.shuffle_block_size, self.shard_size = algorithm, shuffle_block_size, shard_size

    def draw(self, plate_sizes, seed, epoch):
        starts, sizes = shards(np.asarray(plate_sizes), self.shard_size)
        generator = generator_of(seed, epoch)
        order = np.random.default_rng(seed).permutation(len(sizes))
        order = order[generator.permutation(len(sizes))]
        starts, sizes = starts[order], sizes[order]
        cells = np.arange(sizes.sum())
        cells += np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        if self.algorithm == "py1br":
            return self._shuffle_blocks(cells, generator)
        for shard in np.split(cells, np.cumsum(sizes)[:-1]):  # views
            generator.shuffle(shard)
        return cells if self.algorithm == "py1s" else self._spread(cells, sizes, generator)

    def _block_size(self, generator):
        """A size drawn around `shuffle_block_size`."""
        return generator.integers(int(LEAST * self.shuffle_block_size), int(MOST * self.shuffle_block_size))

    def _shuffle_blocks(self, cells, generator):
        """Shuffle staggered blocks of the cells, one after the other, in place."""
        stagger = int(generator.integers(int(LEAST * self.shuffle_block_size), size=1)[0])
        blocks, covered = [], 0
        while covered < len(cells):
            block = slice(
                max(0, covered - stagger), min(len(cells), covered - stagger + self._block_size(generator))
            )
            blocks.append(block)
            covered += block.stop - block.start
        for block in blocks:
            generator.shuffle(cells[block])
        return cells

    def _spread(self, cells, sizes, generator):
        """The cells sorted by their places, which random shifts have moved."""
        places, stop = np.arange(len(cells), dtype=np.float64), 0
        for size in sizes:
            start, stop = stop, stop + size
            reach = max(0, (self._block_size(generator) - size) / 2)
            low, high = max(-reach, -start), min(reach, len(cells) - stop)
            places[start:stop] += generator.uniform(low, high, size)
        return cells[np.argsort(places)]


def shards(plate_sizes, shard_size):
    """(first cells, sizes) of the shards: the plates, or their pieces; the last of a plate may be smaller."""
    firsts = np.cumsum(plate_sizes) - plate_sizes
    if shard_size is None:
        return firsts[plate_sizes > 0], plate_sizes[plate_sizes > 0]
    counts = -(-plate_sizes // shard_size)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # within the plate
    begun = number * shard_size
    sizes = np.minimum(shard_size, np.repeat(plate_sizes, counts) - begun)
    return np.repeat(firsts, counts) + begun, sizes
