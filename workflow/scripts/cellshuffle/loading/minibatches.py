"""Minibatches in the order of a strategy: scDataset over the plates.

Memory does not grow with the atlas, apart from what an epoch's order needs (bytes a training cell,
measured by benchmarks/scale.py): 8 for its indices, at most 8 (Streaming), 18 (blocks of 4), 24
(blocks of 1) and 40 (weighted, the weights included) while they are drawn; and file pages of row
pointers (8) and labels (2 a task) that the kernel may take back.
"""

from dataclasses import dataclass

import numpy as np
from scdataset import scDataset

from cellshuffle.atlas.plates import Rows
from cellshuffle.errors import InputError


@dataclass
class Batch:
    """One minibatch. `rows` and `labels` are None for a batch that a resumed epoch skips."""

    cells: np.ndarray  # (batch,) int64, cell numbers in the split
    rows: Rows | None  # CSR counts, (batch, n_genes)
    labels: np.ndarray | None  # (batch, n_tasks) int64


@dataclass
class Loading:
    """How an epoch is cut: what scDataset takes besides the sampler, and this process's share."""

    batch_size: int
    fetch_factor: int
    seed: int
    rank: int = 0
    world_size: int = 1


def epoch_batches(plates, labels, sampler, loading, epoch, first_batch=0):
    """Yield every Batch of an epoch, in scDataset's own order.

    plates: a Plates; labels: (n_cells, n_tasks) codes; sampler: an scDataset strategy. Batches
    before `first_batch` come without counts and labels, and nothing of them is read: scDataset's
    random state advances over them as in a full pass.
    """
    done = 0  # batches yielded

    def fetch(_, cells):
        if done + -(-len(cells) // loading.batch_size) <= first_batch:
            return cells, None, None
        return cells, plates.fetch(cells), labels[cells].astype(np.int64)

    def batch(fetched, rows):
        nonlocal done
        done += 1
        cells, counts, codes = fetched
        if done <= first_batch:
            return Batch(cells[rows], None, None)
        return Batch(cells[rows], counts.take(rows), codes[rows])

    yield from _dataset(plates, sampler, loading, epoch, fetch_callback=fetch, batch_callback=batch)


def cell_order(sampler, n_cells, batch_size, fetch_factor, seed, epoch):
    """Yield the (batch,) int64 cell numbers of every minibatch of an epoch; no count is read."""
    loading = Loading(batch_size, fetch_factor, seed)
    yield from _dataset(
        range(n_cells), sampler, loading, epoch, fetch_callback=lambda _, cells: cells
    )


def _dataset(collection, sampler, loading, epoch, **callbacks):
    if sampler.get_len(collection) == 0:
        raise InputError(
            f"the strategy takes none of the {len(collection)} cells: with drop_last, block_size must "
            "not be larger than their number"
        )
    if not getattr(sampler, "replace", True) and sampler.sampling_size > len(collection):
        raise InputError(
            f"sampling_size {sampler.sampling_size} is more than the {len(collection)} cells to draw from; "
            "without replacement a cell is drawn once a round"
        )
    dataset = scDataset(
        collection,
        sampler,
        batch_size=loading.batch_size,
        fetch_factor=loading.fetch_factor,
        seed=loading.seed,
        rank=loading.rank,
        world_size=loading.world_size,
        **callbacks,
    )
    # scDataset counts epochs itself, but a resumed run enters in the middle of the count.
    dataset._epoch = epoch
    return iter(dataset)
