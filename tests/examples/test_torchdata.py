"""torchdata's StatefulDataLoader goes on after any minibatch, with workers and without."""

import cellshuffle
import numpy as np
import pytest
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader


@pytest.fixture
def new(plates):
    """A function that makes a loader of 71 minibatches an epoch."""
    random = cellshuffle.sampler("BlockShuffling", block_size=1)
    return lambda: cellshuffle.Loader(plates, random, batch_size=64, obs=["drug"], seed=3)


def same(batches, expected):
    for ours, theirs in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(ours.cells, theirs)


def order(loader, epoch):
    return [batch.cells for batch in loader.epoch(epoch)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_of_a_dataloader(new, workers):
    batches = DataLoader(new(), batch_size=None, num_workers=workers)
    for epoch in (0, 1):
        same(batches, order(new(), epoch))


@pytest.mark.parametrize("taken", [0, 1, 2, 7, 20, 70, 71])
@pytest.mark.parametrize("workers", [0, 2])
def test_goes_on_at_every_batch(new, workers, taken):
    first = StatefulDataLoader(new(), batch_size=None, num_workers=workers)
    batches = iter(first)
    for _ in range(taken):
        next(batches)
    state = first.state_dict()
    del batches
    other = StatefulDataLoader(new(), batch_size=None, num_workers=workers)
    other.load_state_dict(state)
    same(other, order(new(), 0)[taken:])
    same(other, order(new(), 1))
