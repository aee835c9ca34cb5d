"""The samplers that scDataset has not: their orders, index by index, against a few plain lines for each."""

import pickle

import numpy as np
import pytest
from cellshuffle.atlas.plates import Plates
from cellshuffle.errors import InputError
from cellshuffle.loading.coverage import coverage
from cellshuffle.loading.loader import Loader
from cellshuffle.loading.minibatches import cell_order, fetch_order
from cellshuffle.loading.orders import PlateSizes
from cellshuffle.loading.samplers import sampler
from hypothesis import given, settings
from hypothesis import strategies as st
from loaders import LOADING, N_CELLS, same
from scdataset import BlockShuffling, ClassBalancedSampling
from torch.utils.data import DataLoader

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**32 - 1)


def plain_buffer(sizes, seed, epoch, buffer_size, shuffle_plates):
    """One cell at a time through a list."""
    generator = np.random.default_rng(seed + 1000 * epoch)
    plates = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    stream = np.concatenate(
        [plates[k] for k in generator.permutation(len(sizes))] if shuffle_plates else plates
    )
    places = iter(generator.integers(buffer_size, size=max(0, len(stream) - buffer_size), dtype=np.uint32))
    buffer, order = [], []
    for cell in stream:
        if len(buffer) < buffer_size:
            buffer.append(cell)
            continue
        place = next(places)
        order.append(buffer[place])
        buffer[place] = cell
    return order + list(generator.permutation(buffer))


def plain_shards(sizes, seed, epoch, algorithm, block, shard_size):
    """Shards as lists of cells; places as a list of numbers."""
    shards, first = [], 0
    for size in sizes:
        plate = list(range(first, first + size))
        step = shard_size or size
        shards += [plate[k : k + step] for k in range(0, size, step)]
        first += size
    once, generator = np.random.default_rng(seed), np.random.default_rng(seed + 1000 * epoch)
    for drawn in (once, generator):
        shards = [shards[k] for k in drawn.permutation(len(shards))]
    low, high = int(0.75 * block), int(1.25 * block)
    if algorithm == "py1br":
        cells = np.concatenate(shards)
        stagger = int(generator.integers(0, low, (1,))[0])
        edges, total = [], 0
        while total < len(cells):
            size = int(generator.integers(low, high))
            edges.append((max(total - stagger, 0), min(total + size - stagger, len(cells))))
            total += edges[-1][1] - edges[-1][0]
        for begin, end in edges:
            cells[begin:end] = cells[begin:end][generator.permutation(end - begin)]
        return cells
    shuffled = [np.array(shard)[generator.permutation(len(shard))] for shard in shards]
    if algorithm == "py1s":
        return np.concatenate(shuffled)
    places, before, n_cells = {}, 0, sum(sizes)
    for shard in shuffled:
        reach = max((int(generator.integers(low, high)) - len(shard)) / 2, 0)
        bounds = max(-reach, -before), min(reach, n_cells - before - len(shard))
        shifts = generator.uniform(*bounds, len(shard))
        places |= {int(cell): before + k + shifts[k] for k, cell in enumerate(shard)}
        before += len(shard)
    return sorted(places, key=places.get)


def minibatches(order, batch_size):
    return [np.asarray(order[k : k + batch_size]) for k in range(0, len(order), batch_size)]


def is_order(entry, sizes, seed, epoch, expected, batch_size, fetch_factor):
    """The order of an exact sampler, for any batch size and fetch factor, entered anywhere."""
    order = cell_order(sampler(**entry), PlateSizes(np.array(sizes)), batch_size, fetch_factor, seed, epoch)
    for ours, theirs in zip(order, minibatches(expected, batch_size), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=60, deadline=None)
@given(
    SIZES, SEEDS, st.integers(0, 3), st.integers(1, 200), st.booleans(), st.integers(1, 40), st.integers(1, 5)
)
def test_shuffle_buffer(sizes, seed, epoch, buffer_size, shuffle_plates, batch_size, fetch_factor):
    entry = {"name": "ShuffleBuffer", "buffer_size": buffer_size, "shuffle_plates": shuffle_plates}
    expected = plain_buffer(sizes, seed, epoch, buffer_size, shuffle_plates)
    is_order(entry, sizes, seed, epoch, expected, batch_size, fetch_factor)


def test_a_long_stream_through_the_buffer(monkeypatch):
    monkeypatch.setattr("cellshuffle.loading.shuffle_buffer.AT_ONCE", 7)
    for buffer_size in (1, 5, 50):
        drawn = sampler("ShuffleBuffer", buffer_size=buffer_size).draw(np.array([30, 60]), 3, 1)
        np.testing.assert_array_equal(drawn, plain_buffer([30, 60], 3, 1, buffer_size, False))


@pytest.mark.parametrize("algorithm", ["py1s", "py1br", "py1e"])
@settings(max_examples=40, deadline=None)
@given(
    SIZES, SEEDS, st.integers(0, 3), st.integers(2, 200), st.none() | st.integers(1, 70), st.integers(1, 40)
)
def test_shard_shuffle(algorithm, sizes, seed, epoch, block, shard_size, batch_size):
    options = {} if shard_size is None else {"shard_size": shard_size}
    entry = {"name": "ShardShuffle", "algorithm": algorithm, "shuffle_block_size": block} | options
    expected = plain_shards(sizes, seed, epoch, algorithm, block, shard_size)
    is_order(entry, sizes, seed, epoch, expected, batch_size, 3)


@settings(max_examples=40, deadline=None)
@given(SIZES, SEEDS, st.integers(0, 3), st.integers(1, 50), SEEDS, st.integers(1, 40), st.integers(1, 5))
def test_preshuffled(sizes, seed, epoch, chunk_size, store_seed, batch_size, fetch_factor):
    """Plain scDataset's chunks of the shuffled store; a fetch's cells sorted, then shuffled."""
    n_cells, size = sum(sizes), batch_size * fetch_factor
    store = np.random.default_rng([store_seed, 1]).permutation(n_cells)
    order = store[BlockShuffling(chunk_size).get_indices(range(n_cells), seed=seed + 1000 * epoch)]
    generator, expected = np.random.default_rng(seed + 1000 * epoch), []
    for first in range(0, n_cells, size):
        fetch = np.sort(order[first : first + size])
        expected += minibatches(fetch[generator.permutation(len(fetch))], batch_size)
    own = sampler("PreShuffled", chunk_size=chunk_size, seed=store_seed)
    cells = PlateSizes(np.array(sizes))
    for ours, theirs in zip(
        cell_order(own, cells, batch_size, fetch_factor, seed, epoch), expected, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_order_file(tmp_path_factory, data):
    n_cells, rows = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 3))
    cells = np.random.default_rng(data.draw(SEEDS)).integers(
        0, n_cells, (rows, data.draw(st.integers(1, 400)))
    )
    path = tmp_path_factory.getbasetemp() / "order.npy"
    kind = data.draw(st.sampled_from(["<i8", "<u4", ">i4", "<u2"]))
    np.save(path, (cells if rows > 1 or data.draw(st.booleans()) else cells[0]).astype(kind))
    for epoch in range(3 if rows == 1 else rows):
        expected = cells[0 if rows == 1 else epoch]
        is_order({"name": "OrderFile", "path": path}, [n_cells], 5, epoch, expected, 7, 3)
    found = coverage(path, n_cells)
    assert found.seen == len(np.unique(cells))
    assert found.repeated == sum(len(row) - len(np.unique(row)) for row in cells)


OWN = {
    "buffer": {"name": "ShuffleBuffer", "buffer_size": 20, "shuffle_plates": True},
    "py1s": {"name": "ShardShuffle", "algorithm": "py1s", "shard_size": 20},
    "py1br": {"name": "ShardShuffle", "algorithm": "py1br", "shuffle_block_size": 30},
    "py1e": {"name": "ShardShuffle", "algorithm": "py1e", "shard_size": 10, "shuffle_block_size": 40},
    "preshuffled": {"name": "PreShuffled", "chunk_size": 4},
    "file": {"name": "OrderFile"},
}


@pytest.mark.parametrize("name", OWN)
def test_own_orders_shared_and_resumed(atlas, tmp_path, name):
    """The loader's minibatches, whatever the workers and ranks, and entered anywhere."""
    path = tmp_path / "order.npy"
    np.save(path, np.random.default_rng(0).integers(0, N_CELLS, (2, 150)))
    order = sampler(**OWN[name] | ({"path": path} if name == "file" else {}))
    whole = list(cell_order(order, Plates(atlas[1]), 8, 3, seed=4, epoch=1))
    for world_size in (1, 2, 3):
        for rank in range(world_size):
            fetches = fetch_order(order, Plates(atlas[1]), 8, 3, 4, 1, rank, world_size)
            mine = [cells[positions] for cells, batches in fetches for positions in batches]
            if order.exact:
                share = (batch for k, batch in enumerate(whole) if k // 3 % world_size == rank)
                for ours, theirs in zip(mine, share, strict=True):
                    np.testing.assert_array_equal(ours, theirs)
            loader = Loader(atlas[1], order, **LOADING, form="csr", rank=rank, world_size=world_size)
            for workers in (0, 2) if rank == world_size - 1 else (0,):
                loader.set_epoch(1)
                batches = [b for b in DataLoader(loader, batch_size=None, num_workers=workers) if len(b)]
                same(batches, mine)
                for batch in batches:
                    np.testing.assert_array_equal(batch.X.dense(), atlas[2].X[batch.cells].toarray())
            resumed = [b for b in loader.epoch(1, first_batch=4) if b.X is not None and len(b)]
            same(resumed, mine[4:])


def test_labels_decide_class_balanced_draws():
    labels = np.repeat([2, 0, 5], [70, 20, 10])
    ours = sampler("ClassBalancedSampling", labels=labels, block_size=3)
    np.testing.assert_array_equal(ours.weights, ClassBalancedSampling(labels, block_size=3).weights)
    with pytest.raises(InputError, match="needs labels"):
        sampler("ClassBalancedSampling", block_size=3)
    with pytest.raises(InputError, match="Streaming takes no labels; those that do: ClassBalancedSampling"):
        sampler("Streaming", labels=labels)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "ShuffleBuffer", "buffer_size": 0}, "buffer_size: 0 is not a whole number of at least 1"),
        ({"name": "ShardShuffle", "algorithm": "py2s"}, "there is no 'py2s'; there are py1s, py1br, py1e"),
        ({"name": "ShardShuffle", "shuffle_block_size": 1}, "shuffle_block_size: 1 is not .* at least 2"),
        ({"name": "PreShuffled"}, "PreShuffled cannot have {}: .*chunk_size"),
    ],
)
def test_options_that_cannot_be(entry, words):
    with pytest.raises(InputError, match=words):
        sampler(**entry)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.array([0.0, 1.0]), "holds float64; an order file holds whole numbers"),
        (np.array([None, 3]), "is not an array of numbers"),
        (np.zeros((2, 2, 2), int), "has 3 dimensions"),
        (np.zeros(0, int), "holds no cell"),
        (np.array([0, 10]), "has cell 10, but the 10 train cells are numbered 0 to 9"),
        (np.array([3, -1]), "has cell -1"),
        (np.zeros((2, 4), int), "has rows for 2 epochs, the training has 3"),
        (b"cells", "is not an array of numbers"),
        (b"", "is not an array of numbers"),
    ],
)
def test_files_that_are_no_order(tmp_path, content, words):
    path = tmp_path / "order.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=words):
        coverage(path, 10, epochs=3)
    if not isinstance(content, np.ndarray) or content.ndim != 2:
        with pytest.raises(InputError, match=words):
            list(cell_order(sampler("OrderFile", path=path), 10, 4, 2, 0, 0))


def test_what_an_order_file_covers_in_words(tmp_path):
    path = tmp_path / "order.npy"
    np.save(path, np.arange(93))
    words = coverage(path, 100).words()
    assert words.startswith("one row for all epochs, 93 cells each; sees 93% of the cells, 7% never; no cell")
    np.save(path, np.array([[0, 1, 2, 2], [3, 3, 0, 1]]))
    words = coverage(path, 4).words()
    assert words.endswith("sees all 4 cells; 25% of its numbers repeat a cell of the same epoch")
    np.savez(tmp_path / "orders.npz", cells=np.arange(3))
    with pytest.raises(InputError, match="is an archive of arrays"):
        coverage(tmp_path / "orders.npz", 3)
    with pytest.raises(InputError, match="there is no such order file"):
        coverage(tmp_path / "none.npy", 3)


def test_a_loader_refuses_labels_and_states_that_do_not_fit(atlas, tmp_path):
    path = tmp_path / "order.npy"
    with pytest.raises(InputError, match=r"labels: an array of shape \(3,\) for 175 cells"):
        Loader(atlas[1], sampler("ClassBalancedSampling", labels=np.arange(3), block_size=1))
    np.save(path, np.arange(100))
    state = Loader(atlas[1], sampler("OrderFile", path=path)).state_dict()
    np.save(path, np.arange(100)[::-1])
    with pytest.raises(InputError, match="checksum of rows"):
        Loader(atlas[1], sampler("OrderFile", path=path)).load_state_dict(state)
    named = np.array(["x", "y", "y"])  # classes by name, as scDataset takes them
    ours = sampler("ClassBalancedSampling", labels=named, block_size=1)
    np.testing.assert_array_equal(ours.weights, ClassBalancedSampling(named, block_size=1).weights)


def test_an_order_file_is_read_again_in_another_process(tmp_path):
    path = tmp_path / "order.npy"
    np.save(path, np.arange(100_000))
    pickled = pickle.dumps(sampler("OrderFile", path=path))
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).draw([100_000], 0, 0), np.arange(100_000))
