"""What a machine does not take is said before the first job: places, limits, sizes, processes."""

import resource
import shutil

import pytest
from cellshuffle.errors import InputError
from cellshuffle.jobs import places
from cellshuffle.training.launch import check_processes

SIZES = {"cells_per_plate": 2000, "genes": 2000, "cell_lines": 12, "drugs": 95, "seed": 0}


def test_places_that_can_be_written_to(tmp_path):
    assert list(places.place_problems([str(tmp_path), str(tmp_path / "a/b/c")], 10**6)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_is_named_once(tmp_path, disk):
    disk(tmp_path / "results", "1m")
    disk(tmp_path / "results", "1m,ro")
    folders = [str(tmp_path / "results" / name) for name in ("run", "run/packed")]
    (line,) = places.place_problems(folders, 0)
    assert line == f"{folders[0]}: the file system is read-only; a run must be able to write there"


def test_a_limit_on_the_size_of_files(monkeypatch, tmp_path):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**8, 10**8))
    assert list(places.place_problems([tmp_path], 10**7)) == []
    (line,) = places.place_problems([tmp_path], 2 * 10**8)
    assert "a file have 100.0 MB (`ulimit -f`), the run writes files of up to 200 MB" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        (
            {"cells_per_plate": 10**8},
            "a plate of 100,000,000 cells take 4 GB of memory, this machine has 1 GB",
        ),
        ({"genes": 10**6}, "a model of 1,000,000 genes and 107 classes take 1.71 GB"),
        ({"genes": 10**6, "drugs": 10**5}, "profiles of 12 cell lines and 100,000 drugs"),
    ],
)
def test_a_simulated_atlas_that_memory_cannot_hold(tmp_path, monkeypatch, change, words):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 10**15))
    lines = list(places.simulation_problems(SIZES | change, 14, tmp_path, 10**9))
    assert any(words in line for line in lines) if words else lines == []


def test_a_simulated_atlas_that_the_disk_cannot_hold(tmp_path):
    (line,) = places.simulation_problems(SIZES | {"cells_per_plate": 10**7}, 10**6, tmp_path, 10**12)
    assert "1000000 plates of 10,000,000 cells" in line and "GB are free" in line


def test_draws_that_memory_cannot_hold():
    entries = {"all": {}, "many": {"total_size": 10**12}}
    (line,) = places.draw_problems(entries, 10**10)
    assert line.startswith("strategies: many: total_size: 1,000,000,000,000 draws take 8e+03 GB of memory")


def test_more_processes_than_cores():
    assert list(places.process_problems(2, 2)) == []
    (line,) = places.process_problems(500, 2)
    assert "world_size: 500 processes need a core each, this machine has 2" in line
    with pytest.raises(InputError, match="world_size: 5,000 processes on this machine need a core each"):
        check_processes(5000, "cpu")
