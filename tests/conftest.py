"""Fixtures: finished runs, atlases, small disks, clones."""

import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import hypothesis
import pytest
from atlases import write_sound_atlas
from runs import CACHED_TABLES, SMALL, copy_repository, snakemake, snakemake_in

# A busy machine may be slow; and what CI tests is the change, not the luck of the draw.
hypothesis.settings.register_profile("patient", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Folder in which the small configuration has run to its tables (no figures)."""
    folder = tmp_path_factory.mktemp("small")
    snakemake(folder, SMALL, "results/small/metrics.csv", "results/small/weights/cells.npy")
    return folder


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
def redrawn(tmp_path_factory):
    """A clone in which the cached results were drawn: its folder, rules that ran, tables as committed."""
    folder = tmp_path_factory.mktemp("clone")
    copy_repository(folder)
    cached = folder / "results/reference"
    tables = {name: (cached / name).read_bytes() for name in CACHED_TABLES}
    for name in tables:
        (cached / name).unlink()
    log = snakemake_in(folder, "figures", "--config", "run=reference")
    ran = set(re.findall(r"^(?:local)?rule (\w+):$", log, re.MULTILINE))
    return SimpleNamespace(folder=folder, rules=ran, tables=tables)


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
