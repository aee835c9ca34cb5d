"""A disk that fills up: nothing half-written, a line that says so, and the run goes on given space."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from atlases import sound_plate
from cellshuffle import files
from cellshuffle.files import atomic_write, create_npy, save_npz
from runs import SOUND, merged, snakemake

TARGETS = [f"results/bad/{name}" for name in ("comparison.csv", "metrics.csv")]
SMALL_DISK = {"weights": {"balance": ["drug"]}, "tasks": {"moa": ...}}


@pytest.fixture
def atlas(tmp_path):
    (tmp_path / "atlas").mkdir()
    for number, n_cells in ((1, 3000), (2, 3000), (3, 500)):
        sound_plate(number, n_cells, n_genes=200).write_h5ad(
            tmp_path / f"atlas/plate{number}.h5ad", compression="gzip"
        )
    return tmp_path


def fill(folder, left):
    """Fill the disk up to `left` bytes."""
    size = shutil.disk_usage(folder).free - left
    with open(folder / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def unfinished(folder):
    return [path.name for path in Path(folder).rglob(".partial-*")]


def test_the_check_says_how_much_packing_needs(atlas, disk):
    disk(atlas / "results", "2m")
    done = snakemake(atlas, merged(SOUND, SMALL_DISK), *TARGETS, check=False)
    assert done.returncode != 0
    assert "packing the plates needs about" in done.stdout and "are free" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list((atlas / "results").rglob("*.h5ad"))


def test_a_run_ends_well_after_every_shortage(atlas, disk):
    """The disk is full when packing, encoding, training and gathering begin, one after the other."""
    config, results = merged(SOUND, SMALL_DISK), atlas / "results"
    disk(results, "40m")
    snakemake(atlas, config, "results/bad/checked.json")
    steps = {
        "results/bad/packed/plate1.h5ad": 100_000,
        "results/bad/labels/classes.json": 0,
        "results/bad/train/streaming/seed0/metrics.json": 12_000,
        "results/bad/comparison.csv": 0,
    }
    for target, left in steps.items():
        fill(results, left)
        done = snakemake(atlas, config, target, check=False)
        assert done.returncode != 0, done.stdout
        assert "the disk is full" in done.stdout or "GB are free" in done.stdout, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        assert not (atlas / target).exists() and unfinished(results) == []
        (results / "filler").unlink()
        snakemake(atlas, config, target)
    undisturbed = atlas / "undisturbed"
    undisturbed.mkdir()
    (undisturbed / "atlas").symlink_to(atlas / "atlas")
    snakemake(undisturbed, config, *TARGETS)
    for name in ("metrics.csv", "comparison.csv", "train/streaming/seed0/model.pt"):
        path = f"results/bad/{name}"
        assert (atlas / path).read_bytes() == (undisturbed / path).read_bytes()


@pytest.mark.parametrize("kind", ["npy", "npz", "text", "torch"])
def test_what_was_there_stays(tmp_path, disk, kind):
    import numpy as np
    import torch

    disk(tmp_path / "small", "2m")
    path = tmp_path / "small/output"
    path.write_text("the old one")
    numbers = np.random.default_rng(0).random(10**6)

    def write(partial):
        if kind == "npy":
            create_npy(partial, np.float64, (10**6,))[:] = numbers
        elif kind == "text":
            partial.write_text("x" * 4 * 10**6)
        else:
            with open(partial, "wb") as file:
                torch.save(torch.from_numpy(numbers), file)

    with pytest.raises(OSError) as raised:
        if kind == "npz":
            save_npz(path, numbers=numbers)
        else:
            with atomic_write(path) as partial:
                write(partial)
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(path)
    assert path.read_text() == "the old one"
    assert [file.name for file in path.parent.iterdir()] == ["output"]


def test_without_a_small_disk(tmp_path, monkeypatch):
    """The same, where nothing can be mounted: the flush reports a full disk."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "table.csv").write_text("the old one")
    monkeypatch.setattr(files.os, "fsync", full)
    with (
        pytest.raises(OSError, match="No space left"),
        atomic_write(tmp_path / "table.csv") as partial,
    ):
        partial.write_text("the new one")
    assert (tmp_path / "table.csv").read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
