"""Loaders in hands that do not know them: what is wrong is told, what is left behind is nothing."""

import gc
import multiprocessing
import os
import signal
import threading
import time

import h5py
import numpy as np
import pytest
from cellshuffle.atlas import packed
from cellshuffle.atlas.plates import Plates
from cellshuffle.errors import InputError
from cellshuffle.loading import loader as loader_module
from cellshuffle.loading.loader import Loader
from cellshuffle.loading.samplers import sampler
from cellshuffle.packing.pack import pack_plate
from loaders import LOADING, N_CELLS, RANDOM, expected_order, named, same

WEIGHTED = {"name": "BlockWeightedSampling", "block_size": 1}
HALF = np.r_[np.ones(50), np.zeros(N_CELLS - 50)]
WRONG = [
    ({"rank": "0", "world_size": 2}, "rank: '0' is not a whole number of at least 0"),
    ({"rank": 0, "world_size": 2.0}, "world_size: 2.0 is not a whole number of at least 1"),
    ({"rank": 0, "world_size": 0}, "world_size: 0 is not a whole number of at least 1"),
    ({"obs": 3}, "obs: 3 is neither names of obs columns nor"),
    ({"genes": {"gene3", "gene4"}}, "genes: .* is no list of names, in an order"),
    ({"genes": 5}, "genes: 5 is no list of names"),
    ({"layer": 3}, "layer: 3 is no name of a layer"),
    ({"max_cells": 0}, "max_cells: 0 is not a whole number of at least 1"),
    ({"max_cells": 2.5}, "max_cells: 2.5 is not a whole number"),
    ({"workers": 0}, "workers: 0 is not a whole number of at least 1"),
    ({"read_depth": -1}, "read_depth: -1 is not a whole number from 0 to 65,536"),
    ({"read_depth": 10**9}, "read_depth: 1000000000 is not a whole number from 0 to 65,536"),
    ({"sampler": WEIGHTED | {"weights": np.full(N_CELLS, np.nan)}}, "negative or not a finite number"),
    ({"sampler": WEIGHTED | {"weights": ["a"] * N_CELLS}}, "weights: they are <U1, not numbers"),
    ({"sampler": WEIGHTED, "weights": np.full(N_CELLS, 1e308)}, "weights: their sum may be too large"),
    (
        {"sampler": WEIGHTED | {"replace": False, "sampling_size": 60, "total_size": 60}, "weights": HALF},
        "sampling_size 60 is more than the 50 cells whose weight is not 0",
    ),
]
OF_PLATES = ("layer", "max_cells", "workers", "read_depth")


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_used_is_told(atlas, arguments, words):
    arguments = LOADING | arguments
    own = {name: arguments.pop(name) for name in OF_PLATES if name in arguments}
    with pytest.raises(InputError, match=words) as told:
        loader = Loader(
            Plates(atlas[1], **own), sampler(**arguments.pop("sampler", named(RANDOM))), **arguments
        )
        next(iter(loader))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("plates", "words"),
    [
        (3, r"plates: \[3\] is neither a path nor a list of paths"),
        ([None], r"plates: \[None\] is neither"),
        ([], "there are no plates to read"),
        ("nothing.h5ad", "nothing.h5ad: there is no such plate"),
    ],
)
def test_what_is_no_plate_is_told(plates, words):
    with pytest.raises(InputError, match=words):
        Loader(plates, sampler(**named(RANDOM)))


def test_a_plate_packed_in_another_format_is_told(atlas, tmp_path):
    pack_plate(atlas[0][0], tmp_path / "later.h5ad")
    with h5py.File(tmp_path / "later.h5ad", "r+") as file:
        file.attrs[packed.FORMAT_ATTRIBUTE] = 99
    words = r"later.h5ad: another version packed it in format 99, this one reads format 1; pack it again$"
    with pytest.raises(InputError, match=words):
        Loader(tmp_path / "later.h5ad", sampler(**named(RANDOM)))


def test_what_stands_in_brackets(atlas):
    plates, expected = Plates((path for path in atlas[1]), obs=["drug"]), atlas[2].X.toarray()
    mask = np.arange(N_CELLS) % 3 == 1
    for chosen in (np.array([90, 2, 174, 2]), [5, 3], mask, slice(80, 60, -2), [], np.zeros(0, int)):
        cells, numbers = (
            plates[chosen],
            np.arange(N_CELLS)[chosen if len(np.shape(chosen)) or isinstance(chosen, slice) else 0],
        )
        np.testing.assert_array_equal(cells.X.dense(), expected[np.asarray(numbers, int)])
        assert len(cells) == len(cells.obs["drug"]) == len(numbers)
    for wrong in (5, "drug", [1.5], [[1, 2]], np.ones(3, bool)):
        with pytest.raises(InputError, match=r"^plates\[.*give the numbers of cells"):
            plates[wrong]
    with pytest.raises(IndexError):
        plates[[N_CELLS]]


def test_the_state_of_another_configuration_is_told(atlas):
    def state(entry=RANDOM, **options):
        return Loader(atlas[1], sampler(**named(entry)), **LOADING | options).state_dict()

    blocks = {"sampler": "BlockShuffling", "block_size": 4}
    weighted = {"sampler": "BlockWeightedSampling", "block_size": 1}
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING)
    for other, words in (
        (state(blocks), "block_size 4, this one has 1"),
        (state(blocks | {"block_size": np.int64(4)}), "block_size 4, this one has 1"),
        (state({"sampler": "Streaming"}), "sampler Streaming, this one has BlockShuffling"),
        (state(seed=9), "seed 9, this one has 4"),
        (state(where={"drug": "a"}), "number of cells"),
        (state(rank=0, world_size=2), "world_size 2, this one has 1"),
    ):
        with pytest.raises(InputError, match=f"load_state_dict: the state is of a loader with {words}"):
            loader.load_state_dict(other)
    one, two = state(weighted, weights=np.arange(N_CELLS)), state(weighted, weights=np.ones(N_CELLS))
    other = Loader(atlas[1], sampler(**named(weighted)), **LOADING, weights=np.ones(N_CELLS))
    other.load_state_dict(two)
    with pytest.raises(InputError, match="with checksum of weights"):
        other.load_state_dict(one)
    full, minimal = (state(where={"pass_filter": value}) for value in ("full", "minimal"))
    assert full["loader"]["checksum of cells"] != minimal["loader"]["checksum of cells"]
    for position in ({"epoch": -1}, {"epoch": "1"}, {"epoch": 0, "taken": -5}, {"epoch": 0, "workers": 0}):
        with pytest.raises(InputError, match="is not what state_dict gives"):
            loader.load_state_dict(state() | {"position": position})


def test_epochs_that_are_no_numbers(atlas):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    for wrong in (1.5, None, -1, 2**33):
        with pytest.raises(InputError, match="is not a whole number from 0 to 2,147,483,647"):
            loader.set_epoch(wrong)
        with pytest.raises(InputError, match="is not a whole number from 0 to 2,147,483,647"):
            loader.epoch(wrong)
    with pytest.raises(InputError, match="first_batch: -3 is not"):
        loader.epoch(0, -3)
    batches = iter(loader)
    same([next(batches)], expected_order(0)[:1])
    loader.set_epoch(5)  # in mid-epoch: the pass goes on, the next one is epoch 5
    same(batches, expected_order(0)[1:])
    same(loader, expected_order(5))


@pytest.mark.parametrize("prefetch", [0, 4])
@pytest.mark.parametrize("apart", [False, True])
def test_a_function_of_the_user_that_fails(atlas, monkeypatch, apart, prefetch):
    monkeypatch.setattr(loader_module, "is_gpu", lambda device: apart)

    def fails(X):
        raise KeyError("mine")

    options = {**LOADING, "prefetch": prefetch}
    with pytest.raises(KeyError, match="mine"):
        list(Loader(atlas[1], sampler(**named(RANDOM)), **options, transform=fails))
    with pytest.raises(InputError, match="transform: the function returned None"):
        list(Loader(atlas[1], sampler(**named(RANDOM)), **options, transform=lambda X: None))
    nothing_is_left()


def nothing_is_left():
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name == "loader"]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("apart", [False, True])
def test_what_is_dropped_in_mid_epoch_leaves_nothing(atlas, monkeypatch, apart, depth):
    monkeypatch.setattr(loader_module, "is_gpu", lambda device: apart)

    def begin():
        batches = iter(Loader(Plates(atlas[1], read_depth=depth), sampler(**named(RANDOM)), **LOADING))
        next(batches)

    begin()
    nothing_is_left()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        begin()
    nothing_is_left()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_interruption_from_the_keyboard(atlas):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, form="csr")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in loader:
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    nothing_is_left()
    same(loader, expected_order(1))


@pytest.mark.parametrize("depth", [0, 8])
def test_two_loaders_over_the_same_plates(atlas, depth):
    plates, expected = Plates(atlas[1], read_depth=depth), atlas[2].X.toarray()
    random = Loader(plates, sampler(**named(RANDOM)), **LOADING)
    in_order = Loader(plates, sampler("Streaming"), **LOADING, obs=["drug"])
    for batches in zip(random, in_order, strict=True):
        for batch in batches:
            np.testing.assert_array_equal(batch.X.numpy(), expected[batch.cells])
    first, second = iter(random), iter(random)  # two passes at once
    next(first)
    same([next(second)], expected_order(2)[:1])
    same(first, expected_order(1)[1:])


@pytest.mark.parametrize("depth", [0, 8])
def test_a_fork_in_mid_epoch(atlas, depth):
    """The process goes on with its pass, and its child, which gets the loader, has passes of its own."""
    loader = Loader(Plates(atlas[1], read_depth=depth), sampler(**named(RANDOM)), **LOADING)
    batches, context = iter(loader), multiprocessing.get_context("fork")
    next(batches)
    found = context.SimpleQueue()
    child = context.Process(target=lambda: found.put([batch.cells for batch in loader.epoch(3)]))
    child.start()
    for cells, expected in zip(found.get(), expected_order(3), strict=True):
        np.testing.assert_array_equal(cells, expected)
    child.join()
    same(batches, expected_order(0)[1:])


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [8, 40])
def test_the_length_is_the_number_of_minibatches(atlas, batch_size, world_size, drop_last):
    loading = LOADING | {"batch_size": batch_size, "fetch_factor": 1, "world_size": world_size}
    for rank in range(world_size):
        loader = Loader(atlas[1], sampler(**named(RANDOM)), **loading, rank=rank, drop_last=drop_last)
        sizes = [len(batch) for batch in loader]
        assert len(sizes) == len(loader)
        assert not drop_last or set(sizes) == {batch_size}


def test_a_minibatch_larger_than_the_atlas(atlas):
    loader = Loader(atlas[1], sampler(**named(RANDOM)), batch_size=1000)
    assert [len(batch) for batch in loader] == [N_CELLS] and len(loader) == 1
