"""The fast paths give exactly what the plain ones give; nothing here is timed."""

import zlib

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from atlases import dense
from cellshuffle.atlas import arrays as elements
from cellshuffle.atlas.plates import Plates, Rows
from cellshuffle.loading import loader
from cellshuffle.loading.minibatches import epoch_batches
from cellshuffle.loading.prefetch import by_thread
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.loading.weighted import SortedBlockWeightedSampling
from cellshuffle.packing.pack import pack_plate
from cellshuffle.training import batches
from cellshuffle.training.counts import DenseCounts, SparseCounts, transformed
from cellshuffle.training.loop import Trainer
from cellshuffle.training.settings import Execution, Recipe
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import SMALL
from scdataset import BlockWeightedSampling

N_GENES, CELLS = 90, (70, 40, 83)


@given(
    n_cells=st.integers(1, 300),
    block_size=st.integers(1, 9),
    total_size=st.one_of(st.none(), st.integers(1, 700)),
    seed=st.integers(0, 2**32 - 1),
    some_are_zero=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_sorted_draw_is_scdatasets_own(n_cells, block_size, total_size, seed, some_are_zero):
    weights = np.random.default_rng(seed).random(n_cells) ** 8
    if some_are_zero:
        weights[1::2] = 0
    options = {"block_size": block_size, "total_size": total_size, "weights": weights}
    ours = SortedBlockWeightedSampling(**options)
    theirs = BlockWeightedSampling(**options)
    cells = range(n_cells)
    assert np.array_equal(ours.get_indices(cells, seed), theirs.get_indices(cells, seed))
    pair = [np.random.default_rng(seed) for _ in range(2)]
    for _ in range(2):  # a generator that goes on, as over the epochs of one run
        drawn = ours.get_indices(cells, rng=pair[0]), theirs.get_indices(cells, rng=pair[1])
        assert np.array_equal(*drawn)


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """(packed plates, original gzip plates, all counts) of three small plates in several chunks."""
    folder, generator = tmp_path_factory.mktemp("plates"), np.random.default_rng(0)
    counts = [generator.poisson(0.6, (n, N_GENES)).astype(np.float32) for n in CELLS]
    counts[0][:3] = counts[1][-2:] = 0
    packed, originals = [], []
    for number, matrix in enumerate(counts):
        originals.append(folder / f"plate{number}.h5ad")
        anndata.AnnData(sp.csr_matrix(matrix)).write_h5ad(originals[-1])
        _chunk(originals[-1])
        packed.append(folder / f"packed{number}.h5ad")
        pack_plate(originals[-1], packed[-1])
    return packed, originals, np.concatenate(counts)


def _chunk(path):
    """Store the counts in small gzip chunks, the indices shuffled as well."""
    with h5py.File(path, "r+") as file:
        for name, shuffle in (("X/data", False), ("X/indices", True)):
            values = file[name][:]
            del file[name]
            file.create_dataset(name, data=values, chunks=(128,), compression="gzip", shuffle=shuffle)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 250), spread=st.sampled_from([1, 60]))
@settings(max_examples=60, deadline=None)
def test_any_cells_from_packed_and_original_plates(plates, seed, size, spread):
    """Scattered cells and long stretches, with repeats, taken in any order."""
    packed, originals, counts = plates
    generator = np.random.default_rng(seed)
    low = generator.integers(0, len(counts))
    cells = np.sort((low + generator.integers(0, size * spread, size)) % len(counts))
    rows = generator.permutation(size)[: 1 + size // 2]
    for paths, options in ((packed, {"random": True}), (packed, {}), (originals, {"workers": 2})):
        taken = Plates(paths, **options).fetch(cells).take(rows)
        assert np.array_equal(dense(taken, N_GENES), counts[cells[rows]])


def test_maps_made_anew_and_announcements_change_nothing(plates, monkeypatch):
    packed, _, counts = plates
    advised = []
    monkeypatch.setattr(elements, "RESIDENT_BYTES", 100)
    monkeypatch.setattr(elements.Mapped, "_cached", lambda *_: advised.append(1) or False)
    for stretch in (0, 2**40):  # all from the map, all by reading
        monkeypatch.setattr(elements, "LONG_STRETCH", stretch)
        opened = Plates(packed, random=True)
        for low in range(0, len(counts) - 50, 20):
            cells = np.arange(low, low + 50, 3)
            assert np.array_equal(dense(opened[cells], N_GENES), counts[cells])
    assert advised


def test_every_chunk_is_decoded_once_a_fetch(plates, monkeypatch):
    _, originals, _ = plates
    raw, decoded = [], []
    read = elements.Chunked._raw
    decompress = zlib.decompress
    decompressobj = zlib.decompressobj
    count = lambda function: lambda *a: decoded.append(1) or function(*a)  # noqa: E731
    monkeypatch.setattr(elements.zlib, "decompress", count(decompress))
    monkeypatch.setattr(elements.zlib, "decompressobj", count(decompressobj))
    monkeypatch.setattr(
        elements.Chunked,
        "_raw",
        lambda self, chunk: raw.append((id(self), chunk)) or read(self, chunk),
    )
    opened = Plates(originals, workers=2)
    for cells in (np.arange(0, 190, 3), np.arange(193), np.array([5, 5, 6, 6, 192])):
        raw.clear()
        decoded.clear()
        fetch = opened.fetch(cells)
        for batch in np.array_split(np.random.default_rng(0).permutation(len(cells)), 4):
            fetch.take(batch)
        assert len(raw) == len(set(raw)) == len(decoded) > 0


@pytest.mark.parametrize("name", SMALL["strategies"])
def test_workers_and_prefetch_change_neither_order_nor_counts(plates, name):
    packed, originals, counts = plates
    weights = np.random.default_rng(1).random(len(counts))
    labels = np.arange(2 * len(counts)).reshape(-1, 2)
    options = {"batch_size": 16, "fetch_factor": 3, "seed": 5, "epoch": 1}

    def epoch(paths, workers, depth):
        opened = Plates(paths, workers=workers, random=True)
        sampler = sampler_of(SMALL["strategies"][name], weights)
        return list(by_thread(epoch_batches(opened, sampler, labels, **options), depth))

    expected = epoch(packed, 1, 0)
    for paths, workers, depth in ((packed, 1, 32), (originals, 1, 0), (originals, 2, 32)):
        found = epoch(paths, workers, depth)
        assert len(found) == len(expected)
        for a, b in zip(expected, found, strict=True):
            assert np.array_equal(a.cells, b.cells) and np.array_equal(a.labels, b.labels)
            assert np.array_equal(dense(a.rows, N_GENES), counts[a.cells])
            assert np.array_equal(dense(b.rows, N_GENES), counts[b.cells])


def trained(paths, folder, threads, prefetch, workers):
    """Weight and order of two epochs of random cells."""
    opened = Plates(paths, workers=workers, random=True)
    classes = {"a": list("uvw"), "b": list("pq")}
    labels = np.random.default_rng(2).integers(0, (3, 2), (len(opened), 2))
    entry = SMALL["strategies"]["random_sampling"]
    recipe = Recipe("s", entry, 3, 2, 16, 3, 1e-2, device="cpu")
    execution = Execution(threads=threads, prefetch=prefetch)
    path = folder / f"{threads}-{prefetch}-{workers}.pt"
    data = opened, labels
    trainer = Trainer(data, data, classes, sampler_of(entry), recipe, execution, path, "test")
    result = trainer.train()
    return result.state.weight.numpy().tobytes(), result.state.orders


def test_a_process_ahead_gives_the_same_bytes(plates, tmp_path, monkeypatch):
    """As on a GPU: batches made dense, prepared by a process of their own."""
    monkeypatch.setattr(batches, "counts_type", lambda device: DenseCounts)
    monkeypatch.setattr(loader, "is_gpu", lambda device: True)
    expected = trained(plates[0], tmp_path, 1, 0, 1)
    assert trained(plates[0], tmp_path, 1, 1, 1) == expected
    assert trained(plates[1], tmp_path, 1, 32, 2) == expected


def test_threads_prefetch_and_workers_give_the_same_bytes(plates, tmp_path):
    packed, originals, _ = plates
    expected = trained(packed, tmp_path, 1, 0, 1)
    assert trained(packed, tmp_path, 2, 32, 1) == expected
    assert trained(originals, tmp_path, 1, 32, 1) == expected
    assert trained(originals, tmp_path, 2, 0, 2) == expected
    torch.set_num_threads(1)


@pytest.mark.parametrize("transform", ["none", "log1p", "cp10k_log1p"])
def test_products_and_gradients_of_both_devices_are_the_dense_ones(plates, transform):
    """Two batches in a row, so that the gradient's rows of the first must vanish from the second."""
    _, _, counts = plates
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(N_GENES, 11, generator=generator)
    gradients = {kind: torch.zeros_like(weight) for kind in (SparseCounts, DenseCounts)}
    previous = dict.fromkeys(gradients)
    for matrix in (counts[:40] * (np.arange(N_GENES) % 3 == 0), counts[40:64]):
        csr = sp.csr_matrix(matrix.astype(np.uint16))
        rows = Rows(csr.data, csr.indices.astype(np.uint16), csr.indptr.astype(np.int64))
        values = sp.csr_matrix((transformed(rows, transform), csr.indices, csr.indptr), csr.shape)
        exact = torch.from_numpy(values.toarray()).double()
        above = torch.randn(len(matrix), 11, generator=generator)
        for kind, gradient in gradients.items():
            batch = kind(rows, transform, N_GENES)
            product = batch.times(weight).double()
            torch.testing.assert_close(product, exact @ weight.double(), rtol=1e-5, atol=1e-4)
            batch.write_gradient(above, gradient, previous[kind])
            wanted = exact.T @ above.double()
            torch.testing.assert_close(gradient.double(), wanted, rtol=1e-5, atol=1e-4)
            previous[kind] = batch
