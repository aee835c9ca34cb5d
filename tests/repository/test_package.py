"""The library outside of its workflow: installed from a wheel, imported without a trace, its examples run."""

import doctest
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import cellshuffle
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from atlases import write_plate
from runs import LIBRARY, REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
# No older ones of these have wheels for Python 3.13.
LOWEST = {"numpy": "2.1.0", "h5py": "3.12.1"} if sys.version_info >= (3, 13) else {}


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """A plate of 60 cells, of four drugs, and 20 genes."""
    path = tmp_path_factory.mktemp("plate") / "plate.h5ad"
    counts = sp.random_array((60, 20), density=0.4, rng=np.random.default_rng(0)).toarray()
    write_plate(path, np.ceil(9 * counts).astype("f4"), "csr", {}, "i4")
    with h5py.File(path, "r+") as file:
        file["obs/drug"] = np.array([f"d{k % 4}" for k in range(60)], h5py.string_dtype())
    return path


def lower_bounds():
    """{package: lowest version} of what the library needs."""
    bounds = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", each).groups() for each in PROJECT["dependencies"])
    return bounds | LOWEST


def link_torch(target):
    """Link PyTorch and what it needs, gigabytes, into another environment."""
    wanted, seen = ["torch"], set()
    while wanted:
        name = wanted.pop()
        if name in seen or name in ("numpy", "h5py"):
            continue
        seen.add(name)
        found = distribution(name)
        wanted += [re.match(r"[\w.-]+", need)[0] for need in found.requires or [] if "extra ==" not in need]
        for first in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            link = target / first
            if not link.exists():
                link.symlink_to(Path(found.locate_file(first)))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Python of a fresh environment: the wheel, with the oldest packages that it says it takes."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY]
    subprocess.run(wheel, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    pins = [f"{name}=={low}" for name, low in lower_bounds().items() if name != "torch"]
    install = [python, "-m", "pip", "install", "--no-deps", *pins, *folder.glob("*.whl")]
    subprocess.run(install, check=True, capture_output=True)
    link_torch(next(folder.glob("venv/lib/python*/site-packages")))
    return python


def run(python, *arguments, folder):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_reads_a_plate(installed, plate, tmp_path):
    code = f"""
import json, cellshuffle, numpy
plates = cellshuffle.Plates([{str(plate)!r}])
order = cellshuffle.sampler("BlockShuffling", block_size=1)
batches = list(cellshuffle.epoch_batches(plates, order, batch_size=8, fetch_factor=2, seed=3))
cells = numpy.concatenate([batch.cells for batch in batches])
print(json.dumps([cellshuffle.__file__, cellshuffle.__version__, cells.tolist(),
                  float(sum(batch.rows.data.sum() for batch in batches))]))
"""
    where, version, cells, total = json.loads(run(installed, "-c", code, folder=tmp_path))
    assert not Path(where).is_relative_to(REPOSITORY) and version == cellshuffle.__version__
    plates = cellshuffle.Plates([plate])
    assert sorted(cells) == list(range(60)) != cells
    assert total == plates[np.arange(60)].data.sum()


def test_the_installed_command_packs(installed, plate, tmp_path):
    command = installed.with_name("cellshuffle")
    assert cellshuffle.__version__ in run(command, "--version", folder=tmp_path)
    run(command, "pack", plate, "--out", tmp_path / "packed", folder=tmp_path)
    packed, original = (cellshuffle.Plates([p]) for p in (tmp_path / "packed/plate.h5ad", plate))
    cells = np.arange(60)
    np.testing.assert_array_equal(packed[cells].indices, original[cells].indices)
    np.testing.assert_array_equal(packed[cells].data, original[cells].data)


def test_the_command_tells_what_is_wrong_in_one_line(plate, tmp_path):
    command = [sys.executable, "-c", "from cellshuffle.cli import main; main()", "pack"]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    for arguments, words in (
        (["none.h5ad", "--out", "packed"], "none.h5ad: there is no such plate"),
        ([plate, "--out", plate.parent], "was not packed by cellshuffle"),
        ([plate, plate, "--out", "packed"], "several plates"),
        ([plate, "--out", "packed", "--layer", "spliced"], "has no layers/spliced"),
        ([plate, "--out", "/proc/packed"], "/proc/packed: packing 60 cells of 1 plate takes about"),
    ):
        done = subprocess.run(
            [*command, *map(str, arguments)], cwd=tmp_path, env=environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.h5ad"))


def test_importing_leaves_no_trace():
    """No variable of the environment, no open file, no library that is not asked for."""
    code = """
import os, sys
before = dict(os.environ), sorted(os.listdir("/proc/self/fd"))
import cellshuffle
assert not {"torch", "h5py", "numpy", "scdataset", "matplotlib"} & set(sys.modules)
for name in cellshuffle.__all__:
    getattr(cellshuffle, name)
assert before == (dict(os.environ), sorted(os.listdir("/proc/self/fd")))
assert not {"matplotlib", "pandas", "snakemake", "sklearn", "scipy"} & set(sys.modules)
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(LIBRARY)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("name", sorted(set(cellshuffle.__all__) - {"__version__"}))
def test_what_is_public_is_typed_and_its_examples_run(name, plate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    public = getattr(cellshuffle, name)
    if not (isinstance(public, type) and issubclass(public, Exception)):
        assert ">>>" in public.__doc__
        function = public.__init__ if isinstance(public, type) else public
        parameters = inspect.signature(function).parameters.values()
        assert [p.name for p in parameters if p.annotation is p.empty and p.name != "self"] == []
    names = {each: getattr(cellshuffle, each) for each in cellshuffle.__all__}
    test = doctest.DocTestFinder(recurse=False).find(public, name, globs=names | {"np": np, "plate": plate})
    results = [doctest.DocTestRunner().run(each) for each in test]
    assert sum(result.failed for result in results) == 0
