"""An atlas larger than memory is planned from what its disk gives."""

import os

import numpy as np
import pytest
from cellshuffle.atlas import direct
from cellshuffle.errors import InputError
from cellshuffle.planning import disk
from cellshuffle.planning.plan import lines, plan
from cellshuffle.planning.survey import Survey

STRATEGIES = {
    "streaming": {"sampler": "Streaming"},
    "blocks": {"sampler": "BlockShuffling", "block_size": 4},
    "weighted": {"sampler": "BlockWeightedSampling", "block_size": 1},
}
CONFIG = {
    "run": "own",
    "atlas": {"pack": True},
    "strategies": STRATEGIES,
    "weights": {"min_count_baseline": 1},
    "training": {"seeds": [0], "epochs": 1, "batch_size": 8, "fetch_factor": 2, "learning_rate": 1e-3,
                 "device": "cpu", "prefetch": 2, "world_size": 1},
}  # fmt: skip
# A cell is two reads, of the values and of the genes, each of 2 bytes a value.
SURVEY = Survey("counted", n_genes=200, cells={"train": 6000, "test": 3000}, nonzeros=50)
PACKED = 6000 * (2 * 2 * 50 + 8)


@pytest.fixture
def atlas(tmp_path):
    """The folder of packed plates to be, and plates as a survey is asked for them."""
    plates = [
        {"source": str(tmp_path / f"{n}.h5ad"), "packed": str(tmp_path / f"packed/{n}.h5ad")} for n in "ab"
    ]
    for plate in plates:
        (tmp_path / plate["source"]).write_bytes(bytes(5000))
    return tmp_path / "packed", plates


@pytest.fixture
def small(monkeypatch):
    """A machine whose memory is a byte too small for the packed train cells; nothing large is written."""
    monkeypatch.setattr(disk, "memory_limit", lambda: PACKED - 1)
    monkeypatch.setattr(disk, "SECONDS", 0.02)
    monkeypatch.setattr(disk, "WRITTEN", 2**22)


def limits_of(atlas, monkeypatch, reads=30_000, in_order=2e9):
    """What the plan makes of a disk of these numbers, and (sizes, files, folder) that were measured."""
    asked = []

    def measured(sizes, files, folder):
        asked.append((sorted(sizes), files, folder))
        return dict.fromkeys(sizes, reads), in_order, "of the plates"

    monkeypatch.setattr(disk, "disk_speed", measured)
    return disk.disk_limits(SURVEY, STRATEGIES, atlas[1], atlas[0]), *asked


def planned(folder, limits, load=1e7, train=1e5, jobs=1):
    """(costs, the plan's lines) at these rates of the processor; limits: of the disk."""
    rates = {"pack": 9, "train": train, "in_order": load, "load": dict.fromkeys(STRATEGIES, load)}
    rates |= {"device": "cpu"} | limits
    costs = plan(SURVEY, rates, CONFIG, dict.fromkeys(STRATEGIES, 1), folder, cores=jobs, threads=1)
    return costs, list(lines(SURVEY, costs, CONFIG, rates))


def test_rates_follow_from_the_reads_of_each_order(atlas, small, monkeypatch):
    folder, plates = atlas
    limits, (sizes, files, where) = limits_of(atlas, monkeypatch)
    assert sizes == [100, 400] and where == folder.parent
    assert files == [plate["source"] for plate in plates]  # on the same disk
    assert limits["load"] == {"streaming": 2e9 / 200, "blocks": 4 * 30_000 / 2, "weighted": 30_000 / 2}
    folder.mkdir()
    (folder / "b.h5ad").touch()
    _, (_, files, where) = limits_of(atlas, monkeypatch)
    assert files == [str(folder / "b.h5ad")] and where == folder


def test_the_plan_follows_from_the_disk_and_says_so(atlas, small, monkeypatch):
    limits, _ = limits_of(atlas, monkeypatch)
    for jobs in (1, 3):  # which share the disk
        costs, text = planned(atlas[0], {"disk": limits}, jobs=jobs)
        weighted, streaming = costs["strategies"]["weighted"], costs["strategies"]["streaming"]
        assert weighted["cells_per_second"] == 15_000 / jobs and weighted["loading"] == 15_000
        assert weighted["epoch"] == pytest.approx(6000 / (15_000 / jobs) + 3000 / 1e5, rel=0.01)
        assert weighted["paced_by"] == "disk" and streaming["paced_by"] == "model"
    text = "\n".join(text)
    assert "1.25 MB of packed train cells are more than the memory, 1.25 MB, so they are read from" in text
    assert "30,000 random reads of a cell's 0.1 kB a second and 2 GB/s in order, measured by direct" in text
    assert "On a cluster" in text and "in that order, from the disk" in text
    assert "plates read from the disk; a slower disk makes it longer" in text
    rows = [{"strategy": "weighted", "cells_per_second": 2e5}, {"strategy": "blocks", "cells_per_second": 7}]
    assert [row["cells_per_second"] for row in disk.limited(rows, limits)] == [15_000, 7]


def test_an_atlas_that_fits_is_planned_from_memory(atlas, monkeypatch):
    monkeypatch.setattr(disk, "disk_speed", None)  # nothing is measured
    monkeypatch.setattr(disk, "memory_limit", lambda: PACKED)
    assert disk.disk_limits(SURVEY, STRATEGIES, atlas[1], atlas[0]) is None
    _, text = planned(atlas[0], {"disk": None})
    assert any("plates read from memory; a slow disk makes it longer" in line for line in text)
    assert not any(line.startswith("reading") for line in text)
    assert disk.limited([{"cells_per_second": 3}], None) == [{"cells_per_second": 3}]


def test_this_disk_is_measured(atlas, small):
    """Plates of this size say nothing of a disk: a file is written, read and removed."""
    folder, plates = atlas
    before = sorted(os.listdir(folder.parent))
    limits = disk.disk_limits(SURVEY, STRATEGIES, plates, folder)
    assert sorted(os.listdir(folder.parent)) == before
    if not direct.reads_directly(plates[0]["source"]):
        assert limits["source"] is None
        return
    assert limits["source"] == f"of a temporary file in {folder.parent}"
    assert limits["reads"] > 0 and limits["bytes"] > 0 and limits["load"]["blocks"] > 0


def test_a_disk_that_cannot_be_measured_is_said(atlas, small, monkeypatch):
    folder, plates = atlas
    monkeypatch.setattr(disk, "reads_directly", lambda path: False)
    limits = disk.disk_limits(SURVEY, STRATEGIES, plates, folder)
    costs, text = planned(folder, {"disk": limits})
    assert any("could not be measured: reading takes longer than this plan says" in line for line in text)
    assert costs["strategies"]["weighted"]["paced_by"] == "model"
    monkeypatch.setattr(disk.tempfile, "NamedTemporaryFile", no_space)
    with pytest.raises(InputError, match=r"its disk cannot be measured: No space left on device$"):
        disk.disk_limits(SURVEY, STRATEGIES, plates, folder)


def no_space(**options):
    raise OSError(28, "No space left on device")


def test_what_is_counted_is_what_was_read(tmp_path):
    """Every read, and every byte, also of a file whose last page is not full."""
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * 2**20 + 100))
    if not direct.reads_directly(path):
        pytest.skip("this file system has no reads past the page cache")
    with direct.open_direct(path) as file:
        whole = (file, np.arange(0, 4 * 2**20, 2**20), np.full(4, 2**20))
        reads, read_bytes = disk.read_rate([whole] * 5, 2, np.inf)
    assert reads / read_bytes == pytest.approx(20 / (5 * (3 * 2**20 + 100)))
