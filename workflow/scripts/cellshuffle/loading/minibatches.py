"""Minibatches in the order of a strategy, which is scDataset's or a CellOrder's.

Memory does not grow with the atlas, apart from what an epoch's order needs (bytes a training cell,
measured by benchmarks/scale.py): 8 for its indices, at most 8 (Streaming), 18 (blocks of 4), 24
(blocks of 1) and 40 (weighted, the weights included) while they are drawn; and file pages of row
pointers (8) and labels (2 a task) that the kernel may take back.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cellshuffle.atlas.plates import Plates, Rows
from cellshuffle.errors import InputError
from cellshuffle.loading.orders import collection_of, epoch_indices, generator_of

AHEAD = 2**26  # bytes of the fetches that are read ahead from the disk


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
    order = fetch_order(sampler, plates, batch_size, fetch_factor, seed, epoch, rank, world_size)
    labels = {} if labels is None else {"labels": labels}
    for cells, rows, codes in read_batches(plates, labels, order, first_batch):
        yield Batch(cells, rows, None if rows is None else codes.get("labels"))


def fetch_order(sampler, cells, batch_size, fetch_factor, seed, epoch, rank=0, world_size=1):
    """Yield (sorted cell numbers, [positions among them of each minibatch]) of every fetch of an epoch.

    cells: Plates, PlateSizes, or a number of cells on one plate; nothing is read. This is the order of
    scDataset, which would share it out among DataLoader's workers in a way that changes it, or a CellOrder's
    own. The cells of minibatch k are `cells[positions[k]]`.
    """
    collection = collection_of(cells)
    check_sampler(sampler, collection)
    indices = epoch_indices(sampler, collection, seed, epoch)
    generator, exact = generator_of(seed, epoch), getattr(sampler, "exact", False)
    size = batch_size * fetch_factor
    for first in range(rank * size, len(indices), world_size * size):
        cells = indices[first : first + size]
        if exact:
            by_number = np.argsort(cells, kind="stable")
            cells, positions = cells[by_number], np.argsort(by_number)
        else:
            cells = np.sort(cells)
            shuffled = sampler._shuffle_before_yield
            positions = generator.permutation(len(cells)) if shuffled else np.arange(len(cells))
        yield cells, [positions[k : k + batch_size] for k in range(0, len(cells), batch_size)]


def read_batches(plates, codes, order, first=0, step=1):
    """Yield (cells, Rows, {name: int64 codes}) of the minibatches of an order, read fetch by fetch.

    codes: {name: (n_cells, ...) array}; order: see `fetch_order`; first: minibatches before this one come
    with None for counts and codes, and nothing of them is read; step: from it on, only every so-manyth comes.
    """
    fetches = _begin_fetches(plates, order, first, step)
    for passed, cells, wanted, fetched in (
        _ahead(fetches, plates.read_depth) if plates.read_depth else fetches
    ):
        for skipped in passed:
            yield skipped, None, None
        fetched_codes = {name: array[cells].astype(np.int64) for name, array in codes.items()}
        for positions in wanted:
            rows = fetched.take(positions)
            yield cells[positions], rows, {name: array[positions] for name, array in fetched_codes.items()}


def _begin_fetches(plates, order, first, step):
    """Yield (cells of minibatches before the first, cells to read, positions of each minibatch, Fetch)."""
    number = 0  # of the fetch's first minibatch in the epoch
    for cells, batches in order:
        passed = [cells[positions] for positions in batches[: max(0, first - number)]]
        skipped = first - number if first > number else (first - number) % step
        number += len(batches)
        wanted = batches[skipped::step]
        if len(wanted) < len(batches):
            read = np.sort(np.concatenate([np.zeros(0, np.int64), *wanted]))
            cells, wanted = cells[read], [np.searchsorted(read, positions) for positions in wanted]
        yield passed, cells, wanted, plates.fetch(cells) if wanted else None


def _ahead(items, depth):
    """The items, each once fetches after it have begun: of `depth` reads, or of AHEAD bytes."""
    begun = deque()
    for item in items:
        begun.append(item)
        while len(begun) > 1 and _is_enough(islice(begun, 1, None), depth):
            yield begun.popleft()
    yield from begun


def _is_enough(items, depth):
    n_reads, n_bytes = map(
        sum, zip((0, 0), *(item[-1].under_way() for item in items if item[-1]), strict=True)
    )
    return n_reads >= depth or n_bytes >= AHEAD or n_reads == 0


def cell_order(sampler, cells, batch_size, fetch_factor, seed, epoch):
    """Yield the (batch,) int64 cell numbers of every minibatch of an epoch; cells: as of `fetch_order`."""
    for fetch, batches in fetch_order(sampler, cells, batch_size, fetch_factor, seed, epoch):
        yield from (fetch[positions] for positions in batches)


def check_sampler(sampler, collection):
    """Raise InputError when the sampler cannot draw from these cells."""
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
    weights = getattr(sampler, "weights", None)
    if weights is not None and not getattr(sampler, "replace", True):
        with_weight = np.count_nonzero(weights)
        if sampler.sampling_size > with_weight:
            raise InputError(
                f"sampling_size {sampler.sampling_size} is more than the {with_weight} cells whose weight is "
                "not 0; without replacement a cell is drawn once a round"
            )
