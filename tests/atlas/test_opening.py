"""What is opened, and what is said of a file that cannot be read: the true cause, and what to do."""

import bz2
import fcntl
import gzip
import re
import subprocess
import sys

import anndata
import h5py
import numpy as np
import pytest
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.atlas.h5ad import h5ad_files, member, open_h5ad
from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.selection import select_cells
from cellshuffle.errors import InputError
from cellshuffle.labels.codes import plate_labels
from cellshuffle.labels.lookup import read_lookup
from cellshuffle.packing.pack import pack_plate
from runs import LIBRARY

COUNTS = counts_of(30, 20)


@pytest.fixture
def plate(tmp_path):
    path = tmp_path / "plate1.h5ad"
    write_atlas(path, COUNTS, obs_of(30, line=(["A", "B"], "categorical")))
    return path


def said(path):
    """What is said of a file that cannot be opened."""
    with pytest.raises(InputError) as caught:
        open_h5ad(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_reading_needs_no_lock(plate, tmp_path):
    """As where another program has the file open for writing, or the file system has no locks."""
    with open(plate, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(plate, locking=True)
        pack_plate(
            plate,
            tmp_path / "packed.h5ad",
            select=select_cells(plate, None, {"column": "line", "value": "A"}),
        )
        codes = plate_labels([plate], {"line": {"column": "line"}})["line"][0][0]
        assert len(Plates([plate])) == len(codes) == 30


def test_all_hdf5_files_are_opened_by_one_function_without_locks():
    opened = [
        f"{path.name}: {line.strip()}"
        for path in sorted(LIBRARY.rglob("*.py"))
        for line in path.read_text().splitlines()
        if "h5py.File(" in line
    ]
    anyhow = "h5ad.py: return h5py.File(path, mode, **options)  # as anndata has opened it, in this process"
    assert opened == ["h5ad.py: return h5py.File(path, mode, locking=False, **options)", anyhow]


def test_a_plate_that_anndata_has_open_in_this_process(tmp_path):
    obs = obs_of(30, line=(["x", "y"], "categorical"))
    write_atlas(tmp_path / "a.h5ad", counts_of(30, 20), obs)
    cells = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    np.testing.assert_array_equal(Plates([tmp_path / "a.h5ad"])[np.arange(30)].dense(), cells.X[:].toarray())


def test_a_file_that_another_program_writes_in_the_newest_format(tmp_path):
    path = tmp_path / "plate.h5ad"
    code = f"import h5py, os; f = h5py.File({str(path)!r}, 'w', libver='latest'); f.flush(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert re.match("is being written by another program, .* close it there, or run `h5clear", said(path))


CONTENTS = {
    "gzip": (gzip.compress, r"is not an h5ad file but a file compressed by gzip; decompress it"),
    "bzip2": (bz2.compress, "a file compressed by bzip2; decompress it"),
    "zstd": (lambda data: b"\x28\xb5\x2f\xfd" + data, "a file compressed by zstd; decompress it"),
    "ZIP": (lambda data: b"PK\x03\x04" + data, "a ZIP archive or an Excel workbook; unpack it"),
    "macOS": (lambda data: b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "what macOS keeps beside a file"),
    "Git LFS": (
        lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "a pointer of Git LFS; fetch the file itself with `git lfs pull`",
    ),
    "web page": (lambda data: b"<!DOCTYPE html><html>", "a page of HTML or XML, .* download it again"),
    "half": (
        lambda data: data[: len(data) // 2],
        "truncated, so not an h5ad file; copy or download it again",
    ),
    "text": (lambda data: b"cells,genes\n" * 99, "not a readable HDF5 file"),
    "nothing": (lambda data: b"", "is an empty file"),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_other_content(plate, content):
    change, words = CONTENTS[content]
    plate.write_bytes(change(plate.read_bytes()))
    assert re.match(f"(is not an h5ad file but )?{words}", said(plate))


def test_no_file(tmp_path):
    assert said(tmp_path / "none.h5ad") == "there is no such plate"
    (tmp_path / "link.h5ad").symlink_to("nowhere")
    assert said(tmp_path / "link.h5ad") == "there is no such plate (it is a link to nowhere)"
    (tmp_path / "store.h5ad").mkdir()
    assert said(tmp_path / "store.h5ad").startswith("is not a file, perhaps a zarr store")


def test_hidden_files_are_no_plates(plate, tmp_path):
    for name in ("._plate1.h5ad", ".partial-0.1-plate1.h5ad", "plate2.h5ad.gz"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    assert h5ad_files(tmp_path) == [plate]


def test_missing_filters(plate, tmp_path, monkeypatch):
    """The filter is named, and hdf5plugin imported where it is installed."""
    with h5py.File(plate, "r+") as file:
        codes = file["obs/line/codes"][:]
        del file["obs/line/codes"]
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk(codes.shape)
        layout.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        kind, space = h5py.h5t.NATIVE_INT8, h5py.h5s.create_simple(codes.shape)
        h5py.h5d.create(file["obs/line"].id, b"codes", kind, space, layout)
    (tmp_path / "hdf5plugin.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hdf5plugin", raising=False)
    with open_h5ad(plate) as file, pytest.raises(InputError) as caught:
        member(file, "obs/line/codes")
    assert str(caught.value).startswith(
        f"{plate}: obs/line/codes is compressed with a filter that is not installed here, Zstandard (HDF5 "
        "number 32015); `pip install hdf5plugin`"
    )
    assert "hdf5plugin" in sys.modules
    with pytest.raises(InputError, match="Zstandard"):
        pack_plate(plate, tmp_path / "packed.h5ad")
    assert not (tmp_path / "packed.h5ad").exists()


@pytest.mark.parametrize("name", ["table.csv.gz", "table.csv", "table.tsv.gz", "table.parquet", "table"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("compressed", [False, True])
def test_tables_are_known_by_their_first_bytes(tmp_path, name, kind, compressed):
    path = tmp_path / name
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"drug": ["a", "b"], "moa": ["ä", "y"]}), path)
    else:
        path.write_text(
            "drug,moa\na,ä\nb,y\n".replace(",", {"csv": ",", "tsv": "\t"}[kind]), encoding="utf-8"
        )
    if compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert read_lookup({"table": str(path), "key": "drug", "value": "moa"}) == {"a": "ä", "b": "y"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04...", "is not a table but a ZIP archive or an Excel workbook; .* save the table as CSV"),
        (b"\x89HDF\r\n\x1a\n", "is not a table but an HDF5 file"),
        (b"\xff\xfed\x00", "not a readable table .* it must be CSV or TSV in UTF-8, or Parquet"),
        (gzip.compress(b"drug,moa\na,x\n" * 999, mtime=0)[:40], "not a readable table .* it must be CSV"),
        (gzip.compress(b"\xff\xfe", mtime=0), "not a readable table .* it must be CSV"),
        (b"PAR1 and no more", "not a readable Parquet file"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, content, words):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"table.csv: {words}"):
        read_lookup({"table": str(path), "key": "drug", "value": "moa"})


def test_a_compressed_list_of_genes(plate, tmp_path):
    genes = tmp_path / "genes.txt"
    genes.write_bytes(gzip.compress(b"gene3\r\n\r\ngene7\r\n"))
    assert select_cells(plate, None, genes=genes).genes.tolist() == [3, 7]
    genes.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="must be a text file in UTF-8, one gene a line"):
        select_cells(plate, None, genes=genes)


def test_values_that_no_model_takes(tmp_path):
    """Found where they are read, not only where they are sampled; no warning of NumPy on the way."""
    path = tmp_path / "plate.h5ad"
    for value, words in ((np.nan, "NaN or infinite"), (-np.inf, "NaN or infinite"), (1e300, "beyond 3.4e38")):
        matrix = COUNTS.astype(float)
        matrix[17, 3] = value
        write_atlas(path, matrix, obs_of(30, line=(["A"], "string")), dtype=np.float64)
        with pytest.raises(InputError, match=f"plate.h5ad: the matrix holds .*{words}"):
            Plates([path])[np.arange(30)]
        with pytest.raises(InputError, match=words):
            pack_plate(path, tmp_path / "packed.h5ad")
    write_atlas(path, COUNTS - 1, obs_of(30, line=(["A"], "string")))
    assert Plates([path])[np.arange(30)].data.min() == -1
    with pytest.raises(InputError, match="the matrix holds negative values"):
        Plates([path], unique_genes=True)[np.arange(30)]


def test_anndata_opens_packed_plates_that_are_being_read(plate, tmp_path):
    packed = tmp_path / "packed.h5ad"
    pack_plate(plate, packed)
    plates = Plates([packed], obs=["line"])
    beside = anndata.read_h5ad(packed)
    with h5py.File(packed):
        for depth in (0, 4):
            plates = Plates([packed], read_depth=depth).select(obs=["line"])
            cells = plates[np.arange(30)]
            np.testing.assert_array_equal(cells.X.dense(), beside.X.toarray())
            np.testing.assert_array_equal(cells.obs["line"], beside.obs["line"].cat.codes)
    pack_plate(plate, packed, select=select_cells(plate, None, {"column": "line", "value": "A"}))
    for _ in range(2):
        with pytest.raises(InputError, match="was replaced since its counts were opened"):
            plates.select(obs=["line"])
