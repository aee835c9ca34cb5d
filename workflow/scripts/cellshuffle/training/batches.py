"""Minibatches as the model takes them: read, made into counts and on the device, ahead of their use."""

import itertools
from collections.abc import Iterator

import numpy as np

from cellshuffle.atlas.plates import Rows
from cellshuffle.loading.minibatches import Batch, epoch_batches
from cellshuffle.loading.prefetch import by_process, by_thread, tensors_of
from cellshuffle.training import distributed
from cellshuffle.training.counts import DenseCounts, SparseCounts, counts_type, on_device


def training_batches(plates, labels, sampler, recipe, epoch, first_batch=0) -> Iterator[Batch]:
    """The batches of an epoch that this process takes; those before `first_batch` without counts.

    With several processes the one with fewer batches ends with empty ones, so that all take the same
    number of steps.
    """
    rank, world_size = distributed.rank(), distributed.world_size()
    batches = epoch_batches(
        plates, sampler, labels, batch_size=recipe.batch_size, fetch_factor=recipe.fetch_factor,
        seed=recipe.seed, epoch=epoch, first_batch=first_batch, rank=rank, world_size=world_size,
    )  # fmt: skip
    if world_size == 1:
        return batches
    no_rows = Rows(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(1, np.int64))
    empty = Batch(np.zeros(0, np.int64), no_rows, np.zeros((0, labels.shape[1]), np.int64))
    n_cells, fetch = sampler.get_len(plates), recipe.batch_size * recipe.fetch_factor
    fetches = range(0, n_cells, fetch)[::world_size]  # of the first process, which has the most
    steps = sum(-(-min(fetch, n_cells - first) // recipe.batch_size) for first in fetches)
    return itertools.islice(itertools.chain(batches, itertools.repeat(empty)), steps)


def device_batches(batches, transform, n_genes, device, prefetch, gradient=True):
    """Yield (cells, counts, labels) of each Batch, in order, while up to `prefetch` more are prepared.

    cells: (batch,) int64 array; counts: SparseCounts on the CPU, DenseCounts on a GPU; labels:
    (batch, n_tasks) int64 tensor on the device. Counts and labels are None for a batch without them.
    gradient: whether one of the counts will be asked for. On a GPU a process prepares the batches,
    unless prefetch is 0.
    """
    counts_of = counts_type(device)

    def prepared():
        for batch in batches:
            if batch.rows is None:
                yield batch.cells, None, None
            else:
                yield batch.cells, counts_of(batch.rows, transform, n_genes, gradient), batch.labels

    if counts_of is SparseCounts or prefetch == 0:
        for cells, counts, labels in by_thread(prepared(), prefetch):
            yield cells, counts, None if labels is None else on_device(labels, device)
        return
    arrays = (
        [cells] if counts is None else [cells, labels, *counts.arrays] for cells, counts, labels in prepared()
    )
    for content, layout in by_process(arrays, prefetch):
        (cells,) = tensors_of(content, layout[:1])
        if len(layout) == 1:
            yield cells.numpy(), None, None
            continue
        _, labels, *tensors = tensors_of(content.to(device, non_blocking=True), layout)
        yield cells.numpy(), DenseCounts.from_tensors(tensors, transform, n_genes), labels
