"""Fixtures: finished runs, atlases, small disks, clones."""

import fcntl
import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import hypothesis
import pytest
from atlases import write_sound_atlas
from runs import CACHED_TABLES, REPOSITORY, SMALL, copy_repository, snakemake, snakemake_in

# A busy machine may be slow; and what CI tests is the change, not the luck of the draw.
hypothesis.settings.register_profile("patient", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A function that gives a test worker its own copy of a folder that is made once for all of them."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def copy_of(name, make):
        original, copy = shared / f"{name}-made", tmp_path_factory.mktemp(name) / name
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not original.exists():
                partial = tmp_path_factory.mktemp("partial")
                make(partial)
                partial.rename(original)
        return shutil.copytree(original, copy, symlinks=True)

    return copy_of


@pytest.fixture(scope="session")
def small_run(made_once):
    """Folder in which the small configuration has run to its tables (no figures)."""
    targets = ["results/small/metrics.csv", "results/small/weights/cells.npy"]
    return made_once("small", lambda folder: snakemake(folder, SMALL, *targets))


@pytest.fixture(scope="session")
def sound_atlas(tmp_path_factory):
    """Folder with three sound plates and the lookup table."""
    folder = tmp_path_factory.mktemp("sound")
    write_sound_atlas(folder)
    return folder


@pytest.fixture
def sound(sound_atlas, tmp_path):
    """A folder of its own with the sound atlas, for SOUND to run in or for a test to spoil."""
    shutil.copytree(sound_atlas, tmp_path / "atlas")
    return tmp_path


@pytest.fixture(scope="session")
def redrawn(made_once):
    """A clone in which the cached results were drawn: its folder, rules that ran, tables as committed."""

    def draw(folder):
        copy_repository(folder)
        for name in CACHED_TABLES:
            (folder / "results/reference" / name).unlink()
        log = snakemake_in(folder, "figures", "--config", "run=reference")
        (folder / "log").write_text(log)

    folder = made_once("redrawn", draw)
    ran = re.findall(r"^(?:local)?rule (\w+):$", (folder / "log").read_text(), re.MULTILINE)
    committed = REPOSITORY / "results/reference"
    tables = {name: (committed / name).read_bytes() for name in CACHED_TABLES}
    return SimpleNamespace(folder=folder, rules=set(ran), tables=tables)


@pytest.fixture
def disk():
    """A function that mounts a small disk at a folder, or makes it another size."""
    mounted = []

    def mount(folder, size):
        again = folder in mounted
        folder.mkdir(parents=True, exist_ok=True)
        options = f"remount,size={size}" if again else f"size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(folder)

    yield mount
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
