"""Minibatches in the order of a strategy: scDataset over the plates.

Memory does not grow with the atlas, apart from what an epoch's order needs (bytes a training cell,
measured by benchmarks/scale.py): 8 for its indices, at most 8 (Streaming), 18 (blocks of 4), 24
(blocks of 1) and 40 (weighted, the weights included) while they are drawn; and file pages of row
pointers (8) and labels (2 a task) that the kernel may take back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scdataset import scDataset

from cellshuffle.atlas.plates import Plates, Rows
from cellshuffle.errors import InputError


@dataclass
class Batch:
    """One minibatch. `rows` and `labels` are None for a batch that a resumed epoch skips."""

    cells: np.ndarray  # (batch,) int64, cell numbers in the split
    rows: Rows | None  # CSR counts, (batch, n_genes)
    labels: np.ndarray | None  # (batch, n_tasks) int64; None too where none were asked for


def epoch_batches(
    plates: Plates,
    sampler: object,
    labels: np.ndarray | None = None,
    *,
    batch_size: int = 64,
    fetch_factor: int = 16,
    seed: int = 0,
    epoch: int = 0,
    first_batch: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """Yield every Batch of an epoch, in scDataset's own order.

    labels: (n_cells, n_tasks) codes, None for batches without labels; sampler: an scDataset strategy,
    see `cellshuffle.sampler`; batch_size, fetch_factor: cells of a minibatch, minibatches read at once;
    seed, epoch: decide the order; rank, world_size: this process and how many share the epoch.
    Batches before `first_batch` come without counts and labels, and nothing of them is read:
    scDataset's random state advances over them as in a full pass.
    Raises InputError when the sampler takes no cell, or a row that is read is damaged.

    >>> random = sampler("BlockShuffling", block_size=1)
    >>> for batch in epoch_batches(Plates([plate]), random, batch_size=32):
    ...     print(len(batch.cells), len(batch.rows.indptr))
    32 33
    28 29
    """
    done = 0  # batches yielded

    def fetch(_, cells):
        if done + -(-len(cells) // batch_size) <= first_batch:
            return cells, None, None
        codes = None if labels is None else labels[cells].astype(np.int64)
        return cells, plates.fetch(cells), codes

    def batch(fetched, rows):
        nonlocal done
        done += 1
        cells, counts, codes = fetched
        if done <= first_batch:
            return Batch(cells[rows], None, None)
        return Batch(cells[rows], counts.take(rows), None if codes is None else codes[rows])

    yield from _dataset(
        plates, sampler, epoch, batch_size=batch_size, fetch_factor=fetch_factor, seed=seed,
        rank=rank, world_size=world_size, fetch_callback=fetch, batch_callback=batch,
    )  # fmt: skip


def cell_order(sampler, n_cells, batch_size, fetch_factor, seed, epoch):
    """Yield the (batch,) int64 cell numbers of every minibatch of an epoch; no count is read."""
    yield from _dataset(
        range(n_cells), sampler, epoch, batch_size=batch_size, fetch_factor=fetch_factor, seed=seed,
        fetch_callback=lambda _, cells: cells,
    )  # fmt: skip


def _dataset(collection, sampler, epoch, **options):
    """An iterator over an epoch of scDataset."""
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
    dataset = scDataset(collection, sampler, **options)
    # scDataset counts epochs itself, but a resumed run enters in the middle of the count.
    dataset._epoch = epoch
    return iter(dataset)
