"""Files as others write them: compressed by filters of hdf5plugin, by R's packages, in folders only read."""

import os
import subprocess
import sys
from importlib.util import find_spec

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from atlases import counts_of
from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.atlas.tables import column_codes, column_names
from cellshuffle.inspection.matrix import check_links, inspect_matrix
from cellshuffle.packing.pack import pack_plate
from runs import LIBRARY, SOUND, snakemake

N_CELLS, N_GENES = 30, 12
COUNTS = counts_of(N_CELLS, N_GENES).astype(np.float64)
OBS = pd.DataFrame(
    {
        "line": pd.Categorical(["A", "B"] * (N_CELLS // 2)),
        "batch": [f"b{k % 3}" for k in range(N_CELLS)],
        "n": np.arange(N_CELLS, dtype=np.int32) % 4,
        "share": np.arange(N_CELLS) / 8,
        "flag": np.arange(N_CELLS) % 2 == 0,
    },
    [f"cell{k}" for k in range(N_CELLS)],
)
FILTERS = ("Zstd", "Blosc", "Blosc2", "LZ4", "Bitshuffle", "BZip2")
WRITE = """
import sys, h5py, hdf5plugin
for path, name in zip(sys.argv[2::2], sys.argv[3::2]):
    with h5py.File(sys.argv[1]) as plain, h5py.File(path, "w") as file:
        def copy(name_of, item):
            if isinstance(item, h5py.Group):
                new = file.require_group(name_of)
            else:
                options = getattr(hdf5plugin, name)() if item.shape and item.dtype.kind != "O" else {}
                new = file.create_dataset(name_of, data=item[()], dtype=item.dtype, **options)
            new.attrs.update(item.attrs)
        plain.visititems(copy)
        file.attrs.update(plain.attrs)
"""
PACK = """
import sys
if sys.argv[1] == "without":
    sys.modules["hdf5plugin"] = None
from cellshuffle.errors import InputError
from cellshuffle.packing.pack import pack_plate
assert sys.modules.get("hdf5plugin") is None
for path in sys.argv[2:]:
    try:
        pack_plate(path, path + ".packed")
    except InputError as error:
        print(error)
"""


def python(program, *arguments):
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_filters_of_hdf5plugin(tmp_path, form):
    """Imported only when a file needs it; where it is not installed, one line says what to install."""
    if find_spec("hdf5plugin") is None:  # to import it would give its filters to all tests of this process
        pytest.skip("hdf5plugin is not installed")
    make = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[form]
    plain = anndata.AnnData(
        make(COUNTS.astype(np.float32)), OBS, pd.DataFrame(index=[f"g{k}" for k in range(N_GENES)])
    )
    plain.write_h5ad(tmp_path / "plain.h5ad")
    paths = [tmp_path / f"{name}.h5ad" for name in FILTERS]
    python(
        WRITE, tmp_path / "plain.h5ad", *(part for pair in zip(paths, FILTERS, strict=True) for part in pair)
    )
    assert python(PACK, "with", *paths) == []
    for path in paths:
        read = anndata.read_h5ad(f"{path}.packed")
        assert np.array_equal(read.X.toarray(), COUNTS), path
        pd.testing.assert_frame_equal(read.obs, anndata.read_h5ad(tmp_path / "plain.h5ad").obs)
    for line, path in zip(python(PACK, "without", *paths), paths, strict=True):
        assert line.startswith(f"{path}: ") and "`pip install hdf5plugin`" in line


def write_as_r_does(path, counts=COUNTS, text="S10", wrapped=False, index="_index", indptr="i4"):
    """As R's rhdf5 and hdf5r: text of fixed length, doubles, logical columns as enumerations of another size.

    text: type of names and labels; wrapped: attributes are arrays of one; index: name of the index, None
    where the attribute that names it is missing, as SeuratDisk left it.
    """

    def attributes(element, **values):
        for key, value in values.items():
            value = np.bytes_(value) if isinstance(value, str) else value
            element.attrs[key.replace("encoding_", "encoding-")] = np.array([value]) if wrapped else value

    def write(group, name, values, encoding):
        group.create_dataset(name, data=values, compression="gzip")
        attributes(group[name], encoding_type=encoding, encoding_version="0.2.0")

    with h5py.File(path, "w") as file:
        attributes(file, encoding_type="anndata", encoding_version="0.1.0")
        x, matrix = file.create_group("X"), sp.csr_matrix(counts)
        for name, dtype in (("data", "f8"), ("indices", "i4"), ("indptr", indptr)):
            x[name] = getattr(matrix, name).astype(dtype)
        attributes(x, encoding_type="csr_matrix", encoding_version="0.1.0")
        x.attrs["shape"] = np.array(matrix.shape, "f8")
        for table, names in (("obs", OBS.index), ("var", [f"g{k}" for k in range(N_GENES)])):
            group, columns = file.create_group(table), list(OBS) if table == "obs" else []
            attributes(group, encoding_type="dataframe", encoding_version="0.2.0")
            write(group, index or "_index", np.array(names, text), "string-array")
            if index:
                attributes(group, _index=index)
            group.attrs["column-order"] = np.array(columns, text if columns else "f8")
            for column in columns:
                values = OBS[column]
                if values.dtype == "category":
                    stored = group.create_group(column)
                    attributes(stored, encoding_type="categorical", encoding_version="0.2.0", ordered=0)
                    write(stored, "codes", values.cat.codes.to_numpy().astype("i4"), "array")
                    write(stored, "categories", np.array(values.cat.categories, text), "string-array")
                elif values.dtype == bool:
                    logical = h5py.enum_dtype({"FALSE": 0, "TRUE": 1}, basetype="u1")
                    group.create_dataset(column, data=values.to_numpy("u1"), dtype=logical)
                    attributes(group[column], encoding_type="array", encoding_version="0.2.0")
                elif values.dtype.kind in "if":
                    write(group, column, values.to_numpy(), "array")
                else:
                    write(group, column, np.array(values, text), "string-array")


R_FILES = {
    "rhdf5": {},
    "text of any length": {"text": h5py.string_dtype()},
    "attributes that are arrays": {"wrapped": True},
    "an index of another name": {"index": "cell_names"},
    "no name of the index": {"index": None},
    "long pointers": {"indptr": "i8"},
    "log-normalised": {"counts": np.log1p(COUNTS)},
}


@pytest.mark.parametrize("name", R_FILES)
def test_files_written_in_r(tmp_path, name):
    """What anndata reads of them, and of what is packed from those that it does not."""
    path, packed = tmp_path / "plate.h5ad", tmp_path / "packed.h5ad"
    write_as_r_does(path, **R_FILES[name])
    with open_h5ad(path) as file:
        check_links(file, None)
        inspect_matrix(file, None, needs_counts=False)
        assert column_names(file["obs"]) == list(OBS)
        for column in ("line", "batch", "n", "flag"):
            codes, values = column_codes(file, column)
            assert values[codes].tolist() == OBS[column].astype(str).tolist(), column
    pack_plate(path, packed)
    read = anndata.read_h5ad(packed)
    assert np.array_equal(read.X.toarray(), R_FILES[name].get("counts", COUNTS))
    assert (
        read.obs_names.tolist() == OBS.index.tolist() and read.obs["share"].tolist() == OBS["share"].tolist()
    )
    assert (
        read.obs["line"].tolist() == OBS["line"].tolist()
        and read.obs["flag"].tolist() == OBS["flag"].tolist()
    )
    if name not in ("attributes that are arrays", "no name of the index"):
        theirs = anndata.read_h5ad(path)
        assert np.array_equal(theirs.X.toarray(), read.X.toarray())
        assert theirs.obs.astype(str).equals(read.obs.astype(str))


def test_plates_in_a_folder_that_can_only_be_read(sound, disk):
    """As a shared data folder: nothing is written there, nor is a lock asked for."""
    kept = {path.name: path.read_bytes() for path in (sound / "atlas").iterdir()}
    disk(sound / "atlas", "8m")
    for name, content in kept.items():
        (sound / "atlas" / name).write_bytes(content)
    subprocess.run(["mount", "-o", "remount,ro", str(sound / "atlas")], check=True)
    snakemake(sound, SOUND, "results/bad/train/streaming/seed0/metrics.json")
    assert {path.name: path.read_bytes() for path in (sound / "atlas").iterdir()} == kept
