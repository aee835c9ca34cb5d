"""`cellshuffle pack` and `cellshuffle.pack`: run for real, killed, gone on with, and refused in one line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import anndata
import cellshuffle
import numpy as np
import pytest
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.commands import pack as packing
from cellshuffle.commands.pack import Request
from cellshuffle.commands.size import expected_size
from cellshuffle.packing.origin import packed_format
from runs import LIBRARY

COMMAND = [sys.executable, "-c", "from cellshuffle.cli import main; main()", "pack"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(LIBRARY)}
GENES = ["gene7", "gene3", "gene11"]


def write_plates(folder, n_cells=60, n_genes=20, n=3, compression=None):
    columns = {"drug": (["a", "b", "c"], "categorical"), "line": (["x", "y"], "string")}
    paths = [folder / f"plate{k}.h5ad" for k in range(n)]
    for k, path in enumerate(paths):
        form = ("csr", "csc", "dense")[k % 3]
        obs = obs_of(n_cells, k, **columns)
        write_atlas(path, counts_of(n_cells, n_genes, k), obs, form, compression=compression)
    return paths


def run(folder, *arguments):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True, check=False)


def content(paths, **options):
    """Counts and codes of all cells, and the names that they stand for."""
    plates = cellshuffle.Plates(paths, obs=["drug", "line"], **options)
    cells = plates[np.arange(len(plates))]
    codes = {name: np.array(plates.classes[name])[codes].tolist() for name, codes in cells.obs.items()}
    return cells.X.dense().tolist(), codes, plates.genes.tolist()


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob("[!.]*.h5ad")}


def test_packed_plates_are_the_chosen_cells_and_genes(tmp_path):
    plates = write_plates(tmp_path)
    csr = cellshuffle.pack(plates, tmp_path / "whole", jobs=2)
    assert csr == [tmp_path / "whole" / path.name for path in plates]
    unpacked = {"plates": [plates[0], tmp_path / "whole/plate1.h5ad", plates[2]]}  # a CSC plate is not read
    assert content(csr) == content(unpacked["plates"])
    where = ["--where", "drug=a", "--where", "drug=c", "--where", "line=x"]
    done = run(tmp_path, *plates, "--out", "packed", "--genes", ",".join(GENES), *where, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("packed: packing ") and "on the disk" in lines[0] and "are free" in lines[0]
    assert len(lines) == 4 and all(line.endswith(" cells packed") for line in lines[1:])
    chosen = {"where": {"drug": ["a", "c"], "line": "x"}, "genes": GENES}
    packed = sorted((tmp_path / "packed").glob("*"))
    assert content(packed) == content(unpacked["plates"], **chosen)
    read = anndata.read_h5ad(packed[0])
    assert read.var_names.tolist() == GENES and read.X.has_canonical_format
    # The same request is done; so is that of the function, with the genes in a file.
    before = times(tmp_path / "packed")
    (tmp_path / "genes.txt").write_text("\n".join(GENES) + "\n\n")
    again = run(tmp_path, *plates, "--out", "packed", "--genes", "genes.txt", *where)
    assert again.stderr == "packed: 3 of 3 plates are packed already\n" and again.returncode == 0
    cellshuffle.pack(plates, tmp_path / "packed", **chosen)
    assert times(tmp_path / "packed") == before
    refused = run(tmp_path, *plates, "--out", "packed")
    assert refused.stderr.startswith(
        "error: packed/plate0.h5ad: was packed from other cells or genes; delete"
    )
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    os.utime(plates[1])
    changed = run(tmp_path, *plates, "--out", "packed", "--genes", "genes.txt", *where).stderr
    after = times(tmp_path / "packed")
    assert {name for name in before if before[name] != after[name]} == {"plate1.h5ad"}
    assert "plate1.h5ad has changed since; packing it again" in changed


def test_a_plate_without_a_chosen_cell_is_packed_empty(tmp_path):
    plates = write_plates(tmp_path, n=1)
    write_atlas(tmp_path / "other.h5ad", counts_of(9, 20), obs_of(9, drug=(["z"], "categorical")))
    packed = cellshuffle.pack([*plates, tmp_path / "other.h5ad"], tmp_path / "out", where={"drug": "z"})
    read = cellshuffle.Plates(packed, obs=["drug"])
    assert len(read) == 9 and read.plates[0].n_cells == 0 and read.classes == {"drug": ["z"]}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_goes_on_with_what_is_missing(tmp_path, number):
    plates = write_plates(tmp_path, 1500, 1000, 2, "gzip")
    for k in range(2, 8):
        shutil.copy2(plates[k % 2], tmp_path / f"plate{k}.h5ad")
        plates.append(tmp_path / f"plate{k}.h5ad")
    out = tmp_path / "packed"
    command = [*COMMAND, *map(str, plates), "--out", str(out), "--jobs", "2"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        while not times(out):
            time.sleep(0.005)
        process.send_signal(number)
        _, said = process.communicate()  # until no process has its stderr open any more
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in said
    before = times(out)
    assert 0 < len(before) < 8 and all(packed_format(out / name) for name in before)
    if number != signal.SIGKILL:
        assert not list(out.glob(".*")), "half-written files are removed"
    done = run(tmp_path, *plates, "--out", "packed")
    assert f"{len(before)} of 8 plates are packed already" in done.stderr
    after = times(out)
    assert len(after) == 8 and before.items() <= after.items() and not list(out.glob(".*"))
    whole = cellshuffle.pack(plates[:2], tmp_path / "whole")
    for k in range(8):
        assert (out / f"plate{k}.h5ad").stat().st_size == whole[k % 2].stat().st_size
        assert content([out / f"plate{k}.h5ad"]) == content([whole[k % 2]])


def test_bad_input_is_one_line_and_nothing_is_written(tmp_path):
    plates = write_plates(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    for arguments, words in (
        (["--where", "drug"], "--where: 'drug' is not column=value, such as pass_filter=full"),
        (["--where", "drug=d"], "no plate has the value 'd' in obs column 'drug' (they have: a, b, c)"),
        (["--where", "drugs=a"], "obs has no column 'drugs'"),
        (["--genes", "gene1,geneX"], "1 of 2 genes are not among its 20 (first: geneX"),
        (["--genes", "gene1,gene1"], "'gene1' is named 2 times"),
        (["--genes", "none.txt"], "--genes: none.txt: there is no such file"),
        (["--genes", "empty.txt"], "the list is empty"),
        (["--jobs", "0"], "jobs: 0 is not a whole number of at least 1"),
        (["--layer", "spliced"], "has no layers/spliced"),
    ):
        done = run(tmp_path, plates[0], "--out", "packed", *arguments)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
        assert not (tmp_path / "packed").exists()
    done = run(tmp_path, tmp_path / "a.h5ad", plates[0], tmp_path / "b.h5ad", "--out", "packed")
    assert [line.split("/")[-1] for line in done.stderr.splitlines()] == [
        "a.h5ad: there is no such plate",
        "b.h5ad: there is no such plate",
    ]


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda folder: SimpleNamespace(free=3000))
    with pytest.raises(cellshuffle.InputError, match=r"takes about .* kB on the disk.*; 3 kB are free: make"):
        cellshuffle.pack(write_plates(tmp_path), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_a_killed_process_is_one_line(tmp_path, monkeypatch):
    plates, pack_plate = write_plates(tmp_path), packing.pack_plate

    def killed(source, *arguments):
        if source == plates[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        pack_plate(source, *arguments)

    monkeypatch.setattr(packing, "pack_plate", killed)
    with pytest.raises(cellshuffle.InputError) as error:
        cellshuffle.pack(plates, tmp_path / "packed", jobs=2)
    assert str(error.value).startswith(f"{plates[1]}: the process that packed it was killed (exit code -9)")
    assert set(times(tmp_path / "packed")) == {"plate0.h5ad", "plate2.h5ad"}


@pytest.mark.parametrize("genes", [None, [f"gene{k}" for k in range(300)]])
def test_the_size_that_is_told_is_that_of_the_files(tmp_path, genes):
    plates = write_plates(tmp_path, 1000, 1000)
    for source, packed in zip(plates, cellshuffle.pack(plates, tmp_path / "out", genes=genes), strict=True):
        with open_h5ad(source) as file:
            select = Request(None, genes, None, None, None).select(file)
            size = expected_size(source, file, None, select)
        assert size.packed == pytest.approx(packed.stat().st_size, rel=0.1)


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
@pytest.mark.parametrize("shift", [0, 0.5])  # no counts: they are written once more, in their own type
@pytest.mark.parametrize("genes", [None, [3, 1]])
def test_progress_ends_with_all_cells(tmp_path, form, shift, genes):
    counts = counts_of(50, 20)
    write_atlas(tmp_path / "plate.h5ad", counts + shift * (counts > 0), obs_of(50), form)
    done = []
    select = packing.Selection(None, genes and np.array(genes))
    packing.pack_plate(tmp_path / "plate.h5ad", tmp_path / "packed.h5ad", select=select, report=done.append)
    assert sum(done) == pytest.approx(50) and (form == "csr" or len(done) > 1)
