"""Minibatches as the device takes them, prepared ahead of the model."""

from cellshuffle.loading.prefetch import by_process, by_thread, parts
from cellshuffle.training.counts import SparseCounts


def batches_ahead(batches, depth, kind, transform, n_genes, device):
    """Yield (cells, counts, labels) of `batches` in order while up to `depth` more are prepared.

    batches: (cells (batch,), counts, labels (batch, n_tasks)), or (cells, None, None) for one that is
    skipped; depth: 0 prepares none ahead; kind: of the counts, DenseCounts for a GPU, on which they
    and the labels then are.
    """
    if kind is SparseCounts or depth == 0:
        yield from by_thread(batches, depth)
        return
    lists = (
        [cells] if counts is None else [cells, labels, *counts.arrays]
        for cells, counts, labels in batches
    )
    for whole, layout in by_process(lists, depth):
        (cells,) = parts(whole, layout[:1])
        if len(layout) == 1:
            yield cells.numpy(), None, None
            continue
        _, labels, *arrays = parts(whole.to(device, non_blocking=True), layout)
        yield cells.numpy(), kind.received(arrays, transform, n_genes), labels
