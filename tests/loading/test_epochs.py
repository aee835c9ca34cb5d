"""Epochs of the loader: each another order, entered anywhere, shared by ranks and workers."""

import pickle

import numpy as np
import pytest
import torch
from cellshuffle.errors import InputError
from cellshuffle.loading.loader import Loader
from cellshuffle.loading.minibatches import fetch_order, read_batches
from cellshuffle.loading.samplers import sampler
from hypothesis import given, settings
from hypothesis import strategies as st
from loaders import LOADING, N_CELLS, RANDOM, expected_order, named, same
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


def test_every_pass_is_another_epoch(atlas):
    loader = Loader(atlas[0], sampler(**named(RANDOM)), **LOADING, form="csr")
    for epoch in range(3):
        assert len(loader) == len(expected_order(epoch))
        same(loader, expected_order(epoch))
    next(iter(loader))  # left early: the next pass is the next epoch
    same(loader, expected_order(4))
    loader.set_epoch(1)
    same(loader, expected_order(1))
    same(loader, expected_order(2))
    same([b for b in loader.epoch(7, 5) if b.X is not None], expected_order(7)[5:])


def test_going_on_after_every_batch(atlas):
    def new():
        return Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr", prefetch=2)

    for epoch in range(2):
        steps = len(new())
        for taken in range(steps + 1):
            loader = new()
            loader.set_epoch(epoch)
            batches = iter(loader)
            for _ in range(taken):
                next(batches)
            state = pickle.loads(pickle.dumps(loader.state_dict()))
            batches.close()
            other = new()
            other.load_state_dict(state)
            assert other.state_dict()["position"]["epoch"] == epoch
            other.set_epoch(epoch)  # said as well: the place in the epoch stays
            same(other, expected_order(epoch)[taken:])
            same(other, expected_order(epoch + 1))
    list(loader)
    other.load_state_dict(loader.state_dict())  # at the end of an epoch
    same(other, expected_order(loader.state_dict()["position"]["epoch"]))


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_ranks_and_workers_share_every_cell(atlas, world_size, workers):
    seen, steps = [], set()
    for rank in range(world_size):
        options = {**LOADING, "rank": rank, "world_size": world_size, "obs": ["drug"]}
        alone = [batch.cells for batch in Loader(atlas[1], sampler(**named(RANDOM)), **options)]
        loader = Loader(atlas[1], sampler(**named(RANDOM)), **options)
        shared = DataLoader(loader, batch_size=None, num_workers=workers)
        batches = list(shared)
        same(batches, alone)
        for batch in batches:
            np.testing.assert_array_equal(batch.X.numpy(), atlas[2].X[batch.cells].toarray())
            assert len(batch.obs["drug"]) == len(batch)
        seen.append(np.concatenate([batch.cells for batch in batches]))
        steps.add(len(batches))
        assert len(shared) == len(loader) == len(batches)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(N_CELLS))
    assert len(steps) == 1


@pytest.mark.parametrize(("method", "persistent"), [("fork", False), ("fork", True), ("spawn", True)])
def test_epochs_go_on_in_workers(atlas, method, persistent):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    same(loader, expected_order(0))
    workers = DataLoader(
        loader, batch_size=None, num_workers=2, multiprocessing_context=method, persistent_workers=persistent
    )
    same(workers, expected_order(1))
    same(workers, expected_order(2))
    next(iter(workers))  # left early
    same(workers, expected_order(4))
    loader.set_epoch(1)
    same(workers, expected_order(1))
    with pytest.raises(InputError, match="StatefulDataLoader"):
        loader.state_dict()
    same(loader, expected_order(2))


class WithState(IterableDataset):
    """What torchdata's StatefulDataLoader does: the state of a worker comes along with its minibatches."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        for batch in self.loader:
            yield get_worker_info().id, batch, self.loader.state_dict()


def load_states(states):
    def load(worker):
        if worker in states:
            get_worker_info().dataset.loader.load_state_dict(states[worker])

    return load


@pytest.mark.parametrize("taken", [0, 1, 2, 5, 20, 22])
def test_going_on_in_workers(atlas, taken):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    options = {"batch_size": None, "num_workers": 2}
    batches = iter(DataLoader(WithState(loader), **options))
    states = {}
    for _ in range(taken):
        worker, _, states[worker] = next(batches)
    del batches
    other = WithState(Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr"))
    resumed = DataLoader(other, **options, worker_init_fn=load_states(states))
    # A DataLoader begins with the first worker again; torchdata's knows whose turn it is.
    rest = {int(batch.cells[0]): batch.cells for _, batch, _ in resumed}
    expected = {int(cells[0]): cells for cells in expected_order(0)[taken:]}
    assert rest.keys() == expected.keys()
    for first, cells in rest.items():
        np.testing.assert_array_equal(cells, expected[first])
    same([batch for _, batch, _ in DataLoader(other, **options)], expected_order(1))


def test_a_place_that_was_loaded_is_that_of_workers_too(atlas):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    batches = iter(loader)
    for _ in range(7):
        next(batches)
    other = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    other.load_state_dict(loader.state_dict())
    workers = DataLoader(other, batch_size=None, num_workers=3)
    same(workers, expected_order(0)[7:])
    same(workers, expected_order(1))


class Stub:
    """Stands in for Plates: every cell has one value, its number."""

    read_depth = 0

    def __init__(self, n_cells):
        self.n_cells, self.read = n_cells, 0

    def fetch(self, cells):
        assert (np.diff(cells) >= 0).all()
        self.read += len(cells)
        self.cells = cells
        return self

    def take(self, rows):
        return self.cells[rows]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 20), st.integers(1, 5), st.integers(0, 40), st.integers(1, 5),
    st.integers(1, 4), st.sampled_from([RANDOM, {"sampler": "Streaming", "shuffle": True}]),
)  # fmt: skip
def test_shares_of_an_order(n_cells, batch_size, fetch_factor, first, workers, world_size, entry):
    """Each worker reads only what it yields; together, in turn, they yield what one alone does."""
    for rank in range(world_size):
        arguments = sampler(**named(entry)), n_cells, batch_size, fetch_factor, 1, 2, rank, world_size
        expected = [cells[p] for cells, batches in fetch_order(*arguments) for p in batches]
        found = {}
        for worker in range(workers):
            plates = Stub(n_cells)
            order = fetch_order(*arguments)
            codes = {"k": np.arange(n_cells)}
            batches = [
                b for b in read_batches(plates, codes, order, first + worker, workers) if b[1] is not None
            ]
            for turn, (cells, rows, own) in enumerate(batches):
                found[first + worker + turn * workers] = cells
                np.testing.assert_array_equal(rows, cells)
                np.testing.assert_array_equal(own["k"], cells)
            assert plates.read == sum(len(cells) for cells, _, _ in batches)
        assert sorted(found) == list(range(first, len(expected)))
        for number, cells in found.items():
            np.testing.assert_array_equal(cells, expected[number])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 5), st.integers(1, 6))
def test_steps_of_every_rank(n_cells, batch_size, fetch_factor, world_size):
    class Counted(Loader):
        def __init__(self):
            self.strategy, self.plates, self.ranks = sampler("Streaming"), range(n_cells), (0, world_size)
            self.batch_size, self.fetch_factor = batch_size, fetch_factor

    for rank in range(world_size):
        order = fetch_order(Counted().strategy, n_cells, batch_size, fetch_factor, 0, 0, rank, world_size)
        sizes = [len(positions) for _, batches in order for positions in batches]
        assert Counted()._steps(rank) == len(sizes)
        assert Counted()._steps(rank, whole=True) == sizes.count(batch_size)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_whole_minibatches_alone(atlas, world_size, workers):
    """Those at the beginning of an epoch, as many as every process has; entered anywhere."""
    for rank in range(world_size):
        options = {**LOADING, "rank": rank, "world_size": world_size}
        every = list(Loader(atlas[1], sampler(**named(RANDOM)), **options))
        loader = Loader(atlas[1], sampler(**named(RANDOM)), **options, drop_last=True)
        assert len(loader) == {1: 21, 2: 9, 3: 6}[world_size]
        same(
            DataLoader(loader, batch_size=None, num_workers=workers), [b.cells for b in every[: len(loader)]]
        )
        later = [batch for batch in loader.epoch(0, 4) if batch.X is not None]
        same(later, [b.cells for b in every[4 : len(loader)]])
        assert {len(batch) for batch in later} == {LOADING["batch_size"]}
    with pytest.raises(
        InputError, match=r"drop_last: 175 cells are not a whole minibatch of 176 for each of 1"
    ):
        Loader(atlas[1], sampler(**named(RANDOM)), batch_size=176, drop_last=True)


def test_the_sampler_is_told_the_epoch_by_lightning(atlas):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    loader.sampler.set_epoch(2)
    same(loader, expected_order(2))


def test_of_torch_distributed(atlas, monkeypatch):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    whole = len(loader)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    assert loader.ranks_now() == (1, 2) and len(loader) < whole
    elsewhere = pickle.dumps(loader)
    monkeypatch.undo()
    assert pickle.loads(elsewhere).ranks_now() == (1, 2)  # a worker that spawn has started
