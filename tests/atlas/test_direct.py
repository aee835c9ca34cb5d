"""Reads past the page cache give what reads through it give, in any number at once."""

import pickle
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from atlases import dense, write_plate
from cellshuffle.atlas import direct
from cellshuffle.atlas.plates import Plates
from cellshuffle.errors import InputError
from cellshuffle.loading import minibatches
from cellshuffle.loading.minibatches import epoch_batches
from cellshuffle.loading.samplers import sampler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

N_GENES = 300


def write_flat(folder, sizes, dtype=np.float32, index_type=np.int32, seed=0):
    """([path], matrix) of plates whose arrays lie one after the other, as in packed plates."""
    generator = np.random.default_rng(seed)
    matrices = [generator.poisson(0.4, (size, N_GENES)).astype(dtype) for size in sizes]
    for matrix in matrices:
        matrix[generator.random(len(matrix)) < 0.2] = 0
    paths = [Path(folder) / f"{number}.h5ad" for number in range(len(sizes))]
    for path, matrix in zip(paths, matrices, strict=True):
        write_plate(path, matrix, "csr", {}, index_type)
    return paths, np.concatenate(matrices)


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flat")
    paths, matrix = write_flat(folder, [90, 0, 41, 170])
    if not direct.reads_directly(paths[0]):
        pytest.skip("this file system has no reads past the page cache")
    return paths, matrix


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 3, 40]), min_size=1, max_size=3).filter(any),
    types=st.tuples(
        st.sampled_from([np.float32, np.float64, np.uint8]), st.sampled_from([np.int32, np.int64])
    ),
    depth=st.sampled_from([1, 2, 7, 1024]),
    longest=st.sampled_from([4096, 2**20]),
    near=st.sampled_from([0, 2**15]),
    data=st.data(),
)
def test_the_same_rows(plates, sizes, types, depth, longest, near, data):
    with (
        tempfile.TemporaryDirectory(dir=plates[0][0].parent) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(direct, "LONGEST", longest)
        patch.setattr(direct, "NEAR", near)
        paths, matrix = write_flat(folder, sizes, *types)
        read = Plates(paths, read_depth=depth)
        cells = st.lists(st.integers(0, len(matrix) - 1), min_size=1, max_size=50).map(np.sort)
        drawn = data.draw(st.lists(cells, min_size=1, max_size=4))
        fetches = [read.fetch(chosen) for chosen in drawn]
        for fetch, chosen in zip(fetches, drawn, strict=True):
            order = np.array(data.draw(st.permutations(range(len(chosen)))))
            rows = fetch.take(order)
            np.testing.assert_array_equal(dense(rows, N_GENES), matrix[chosen[order]])


def test_minibatches_of_a_cell_drawn_twice_share_no_memory(plates):
    cell = int(np.flatnonzero(plates[1].any(axis=1))[0])
    weights = (np.arange(len(plates[1])) == cell).astype(float)
    weighted = sampler("BlockWeightedSampling", block_size=1, weights=weights)
    for depth in (0, 4):
        epoch = epoch_batches(Plates(plates[0], read_depth=depth), weighted, batch_size=1, fetch_factor=8)
        for batch, _ in zip(epoch, range(8), strict=False):
            assert batch.rows.data.sum() == plates[1][cell].sum()
            batch.rows.data *= 2


@pytest.mark.parametrize(
    "entry", [{"name": "BlockShuffling", "block_size": 1}, {"name": "Streaming", "shuffle": True}]
)
def test_the_same_epoch(plates, entry):
    def batches(depth, first=0):
        drawn = sampler(**entry)
        read = Plates(plates[0], read_depth=depth)
        return list(epoch_batches(read, drawn, batch_size=8, fetch_factor=3, first_batch=first))

    expected = batches(0)
    for first in (0, 1, 5, 24):
        found = batches(16, first)
        assert [b.cells.tolist() for b in found] == [b.cells.tolist() for b in expected]
        for one, other in zip(found[first:], expected[first:], strict=True):
            np.testing.assert_array_equal(dense(one.rows, N_GENES), dense(other.rows, N_GENES))


@pytest.mark.parametrize("depth", [1, 32, 128])
def test_as_many_reads_as_asked_for_are_under_way(plates, monkeypatch, depth):
    """Also where a fetch alone has fewer, 2 x 24; in the eyes of the system, which is asked for them."""
    call, under_way, most, submitted = direct._system_call, 0, [], 0

    def counted(number, *arguments):
        nonlocal under_way, submitted
        result = call(number, *arguments)
        if number == direct.IO_SUBMIT:
            under_way, submitted = under_way + result, submitted + result
            most.append(under_way)
        elif number == direct.IO_GETEVENTS:
            under_way -= result
        return result

    monkeypatch.setattr(direct, "_system_call", counted)
    monkeypatch.setattr(direct, "NEAR", -direct.ALIGNED)  # every cell is a read
    read, random = Plates(plates[0], read_depth=depth), sampler("BlockShuffling", block_size=1)
    cells = [b.cells for b in epoch_batches(read, random, batch_size=8, fetch_factor=3)]
    assert max(most) == depth and under_way == 0
    assert len(np.concatenate(cells)) == 301 and submitted > 301


def test_memory_of_fetches_ahead_has_a_limit(plates, monkeypatch):
    """In order a fetch is few reads, and large ones."""
    monkeypatch.setattr(minibatches, "AHEAD", 10_000)
    read, begun = Plates(plates[0], read_depth=1024), []
    fetch = Plates.fetch
    monkeypatch.setattr(Plates, "fetch", lambda self, cells: begun.append(fetch(self, cells)) or begun[-1])
    for number, _ in enumerate(epoch_batches(read, sampler("Streaming"), batch_size=8, fetch_factor=1)):
        ahead = [one.under_way()[1] for one in begun[number + 1 : -1]]
        assert sum(ahead) < 10_000
    assert sum(one.under_way()[1] for one in begun) > 50_000


def test_several_threads_share_plates(plates):
    paths, matrix = plates
    read, wrong = Plates(paths, read_depth=4), []

    def work(seed):
        generator = np.random.default_rng(seed)
        for _ in range(30):
            cells = np.sort(generator.integers(0, len(matrix), 40))
            if not np.array_equal(dense(read[cells], N_GENES), matrix[cells]):
                wrong.append(cells)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_processes(plates):
    """A fetch is under way here when the workers begin: they have reads of their own."""
    paths, matrix = plates
    read = Plates(paths, read_depth=8)
    fetch = read.fetch(np.arange(60))
    indices = [np.arange(low, low + 20) for low in range(0, 300, 20)]
    loader = DataLoader(read, sampler=indices, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for rows, cells in zip(loader, indices, strict=True):
        np.testing.assert_array_equal(dense(rows, N_GENES), matrix[cells])
    np.testing.assert_array_equal(dense(fetch.take(np.arange(60)), N_GENES), matrix[:60])
    sent = pickle.loads(pickle.dumps(read))  # as to workers that are spawned
    np.testing.assert_array_equal(dense(sent[np.arange(301)], N_GENES), matrix)


def test_what_is_abandoned_is_kept_until_it_ends(plates):
    paths, matrix = plates
    read = Plates(paths, read_depth=2)
    for _ in range(20):
        read.fetch(np.arange(0, 300, 2))  # nobody waits for it
    np.testing.assert_array_equal(dense(read[np.arange(301)], N_GENES), matrix)
    queue = read.plates[0].data.queue
    assert not queue.batches and queue.under_way == 0


def test_a_file_cut_meanwhile(plates, tmp_path):
    paths, _ = write_flat(tmp_path, [400])
    read = Plates(paths, read_depth=8)
    with open(paths[0], "r+b") as file:
        file.truncate(read.plates[0].data.offset + 8192)
    elements, _ = read.plates[0].data.read(np.array([0, 5000]), np.array([10, read.plates[0].data.size]))
    with pytest.raises(InputError, match=r"0\.h5ad: \d+ bytes are missing; cut meanwhile\?"):
        elements.array  # noqa: B018  (waits)


def test_when_the_page_cache_is_passed_by(plates, monkeypatch):
    paths, _ = plates
    size = sum(path.stat().st_size for path in paths)
    assert Plates(paths).read_depth == 0
    monkeypatch.setattr(direct, "memory_limit", lambda: int(size / 1.4))
    assert Plates(paths).read_depth == 0
    monkeypatch.setattr(direct, "memory_limit", lambda: int(size / 1.6))
    assert Plates(paths).read_depth == direct.DEPTH

    def refuse(path):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(direct, "open_direct", refuse)
    assert Plates(paths).read_depth == 0


def test_memory_of_a_control_group(monkeypatch, tmp_path):
    listed = tmp_path / "cgroup"
    (tmp_path / "memory" / "job").mkdir(parents=True)
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(str(2**63 - 4096))
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text("5000000\n")
    (tmp_path / "job").mkdir()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "job" / "memory.max").write_text("4000000\n")
    for line, expected in (("4:memory:/job", 5_000_000), ("0::/job", 4_000_000)):
        listed.write_text(f"5:devices:/\n{line}\n")
        monkeypatch.setattr(direct, "CONTROL_GROUPS", (listed, tmp_path))
        assert direct.memory_limit() == expected


def test_no_reads_without_waiting(plates, monkeypatch):
    monkeypatch.setattr(direct, "IO_SETUP", -1)
    with pytest.raises(InputError, match="read_depth 8: this machine begins no reads without waiting"):
        Plates(plates[0], read_depth=8)
