"""AnnData stores of zarr of every kind: packed to the bytes of the same cells as h5ad, or refused."""

import os
import re
import shutil
import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr
from atlases import STORES, write_store
from cellshuffle.atlas import arrays
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.selection import Selection, select_cells
from cellshuffle.atlas.tables import column_codes
from cellshuffle.atlas.zarr_store import StoreArray, zeros_line
from cellshuffle.errors import InputError
from cellshuffle.packing import pack
from cellshuffle.packing.pack import pack_plate
from runs import LIBRARY, SOUND, fails, merged, snakemake

N_CELLS, N_GENES = 90, 40


def cells(matrix=sp.csr_matrix):
    """Cells with a column of every kind that anndata writes."""
    generator = np.random.default_rng(0)
    drawn = {name: generator.choice(list(name), N_CELLS) for name in ("abc", "xy")}
    obs = {
        "drug": pd.Categorical(drawn["abc"]),
        "only": pd.Categorical(["p1"] * N_CELLS),  # its codes are zeros, so zarr writes no chunk
        "text": drawn["xy"].astype(object),
        "number": np.arange(N_CELLS) // 50,
        "real": generator.random(N_CELLS),
        "truth": drawn["xy"] == "x",
        "unsure": pd.array([True, None, False] * (N_CELLS // 3), dtype="boolean"),
        "whole": pd.array([1, None, 2] * (N_CELLS // 3), dtype="Int64"),
    }
    counts = matrix(generator.poisson(0.5, (N_CELLS, N_GENES)).astype(np.float32))
    names = [f"cell{k}" for k in range(N_CELLS)], [f"gene{k}" for k in range(N_GENES)]
    return anndata.AnnData(counts, pd.DataFrame(obs, names[0]), pd.DataFrame(index=names[1]))


def packed(source, folder, **options):
    """The bytes of a packed plate."""
    pack_plate(source, folder / "packed.h5ad", **options)
    return (folder / "packed.h5ad").read_bytes()


@pytest.mark.parametrize("form", STORES)
@pytest.mark.parametrize("matrix", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_a_store_packs_to_the_bytes_of_the_h5ad(tmp_path, form, matrix):
    data = cells(matrix)
    data.write_h5ad(tmp_path / "plate.h5ad")
    store = write_store(data, tmp_path / "plate.zarr", form)
    some = Selection(np.array([3, 50, 51, 80]), np.array([2, 7, 30]))
    for select in (None, some):
        assert packed(store, tmp_path, select=select) == packed(
            tmp_path / "plate.h5ad", tmp_path, select=select
        )
    where = [{"column": "drug", "values": ["a", "b"]}, {"column": "whole", "values": ["2"]}]
    rows = [select_cells(path, None, where=where).rows for path in (store, tmp_path / "plate.h5ad")]
    assert np.array_equal(*rows) and 0 < len(rows[0]) < N_CELLS


@pytest.mark.parametrize("form", STORES)
@pytest.mark.parametrize("decoded", [8, 2**21])  # elements: chunks are large, or small
def test_many_blocks_are_the_bytes_of_one(tmp_path, form, decoded, monkeypatch):
    data = cells()
    data.write_h5ad(tmp_path / "plate.h5ad")
    store = write_store(data, tmp_path / "plate.zarr", form)
    every_third = Selection(np.arange(0, N_CELLS, 3), np.array([30, 7, 2]))
    one_block = [packed(tmp_path / "plate.h5ad", tmp_path, select=some) for some in (None, every_third)]
    monkeypatch.setattr(pack, "BLOCK", 50)
    monkeypatch.setattr(arrays, "DECODED", decoded)
    assert [packed(store, tmp_path, select=some) for some in (None, every_third)] == one_block


def test_a_large_chunk_is_decoded_once_for_many_blocks(tmp_path, monkeypatch):
    data = cells()
    data.write_zarr(tmp_path / "plate.zarr")
    expected = packed(tmp_path / "plate.zarr", tmp_path)
    read, of_store = [], StoreArray.__getitem__

    def counted(array, key):
        read.append(array.name)
        return of_store(array, key)

    monkeypatch.setattr(pack, "BLOCK", 50)
    monkeypatch.setattr(arrays, "DECODED", 8)
    monkeypatch.setattr(StoreArray, "__getitem__", counted)
    assert packed(tmp_path / "plate.zarr", tmp_path) == expected
    assert read.count("/X/data") == read.count("/X/indices") == 1


def test_a_store_without_consolidated_metadata_and_one_in_a_folder_of_an_archive_are_read(tmp_path):
    data = cells()
    data.write_h5ad(tmp_path / "plate.h5ad")
    expected = packed(tmp_path / "plate.h5ad", tmp_path)
    store = write_store(data, tmp_path / "in/plate.zarr", "2")
    assert not os.path.exists(f"{store}/.zmetadata")
    archive = shutil.make_archive(str(tmp_path / "plate.zarr"), "zip", tmp_path / "in")
    assert packed(archive, tmp_path) == packed(store, tmp_path) == expected
    zarr.consolidate_metadata(store)
    assert os.path.exists(f"{store}/.zmetadata") and packed(store, tmp_path) == expected


def remove(name):
    """A function that removes a file or folder of a store."""

    def change(path):
        shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink()

    return change


def cut(name):
    """A function that cuts a chunk in half."""

    def change(path):
        (path / name).write_bytes((path / name).read_bytes()[: (path / name).stat().st_size // 2])

    return change


def empty(name):
    """A function that cuts all of a chunk, or a shard."""
    return lambda path: (path / name).write_bytes(b"")


SPOILED = {
    "shard": (
        "sharded",
        remove("X/data/c/3"),
        r"X/data/c/3 is missing \(1 of \d+ shards of X/data\), and zarr",
    ),
    "chunk": ("2", remove("X/indices/2"), r"X/indices/2 is missing \(1 of \d+ chunks of X/indices\)"),
    "pointers": ("3", remove("X/indptr/c/1"), r"X/indptr/c/1 is missing"),
    "codes": ("3", remove("obs/drug/codes/c/0"), r"obs/drug/codes/c/0 is missing .*zeros in its place"),
    "categories": ("2", remove("obs/drug/categories/0"), r"obs/drug/categories/0 is missing"),
    "names": ("3", remove("var/_index/c/0"), r"var/_index/c/0 is missing"),
    "metadata": ("3", remove("zarr.json"), r"is no zarr store that can be read: .*zarr\.json.*hidden files"),
    "hidden": ("2", remove(".zgroup"), r"is no zarr store that can be read: .*\.zgroup.*hidden files"),
    "array": ("2", remove("X/indices/.zarray"), r"has no indices \(/X has: data, indptr\)"),
    "group": ("3", remove("X/zarr.json"), r"has no X; it has: "),
    "table": ("3", remove("obs"), r"has no obs"),
    "cut": ("sharded", cut("X/data/c/0"), r"X/data: cannot be read: "),
    "cut, format 2": ("2", cut("X/data/1"), r"X/data/1 is truncated: \d+ of at least \d+ bytes; copy"),
    "cut names": ("2", cut("obs/_index/0"), r"obs/_index/0 is truncated: \d+ of at least \d+ bytes"),
    "empty shard": ("sharded", empty("X/data/c/1"), r"X/data/c/1 is truncated: 0 of at least 1 bytes"),
    "empty codes": ("3", empty("obs/drug/codes/c/0"), r"obs/drug/codes/c/0 is truncated: 0 of at least 1 "),
}


@pytest.mark.parametrize(("form", "spoil", "words"), SPOILED.values(), ids=SPOILED)
def test_a_damaged_store_is_refused_in_one_line(tmp_path, form, spoil, words):
    write_store(cells(), tmp_path / "plate.zarr", form)
    spoil(tmp_path / "plate.zarr")
    with pytest.raises(InputError) as caught:
        pack_plate(tmp_path / "plate.zarr", tmp_path / "packed/plate.h5ad")
    assert re.match(rf"{tmp_path}/plate\.zarr: {words}", str(caught.value)) and "\n" not in str(caught.value)
    assert not list((tmp_path / "packed").glob("*")) if (tmp_path / "packed").exists() else True


@pytest.mark.parametrize("chunk", ["X/data/0", "obs/drug/categories/0", "obs/drug/codes/0"])
@pytest.mark.parametrize("packing", [False, True])
def test_a_chunk_of_blosc_that_was_cut_anywhere_is_refused(tmp_path, chunk, packing):
    """Of some of these zarr makes numbers, or names, from what follows in memory."""
    store = tmp_path / "plate.zarr"
    write_store(cells(), store, "2")
    content = (store / chunk).read_bytes()
    for length in range(len(content)):
        (store / chunk).write_bytes(content[:length])
        with open_plate(store, packing) as file, pytest.raises(InputError, match=f"{chunk} is truncated: "):
            file[os.path.dirname(chunk)][:]
    archive = shutil.make_archive(str(store), "zip", store)
    with open_plate(archive, packing) as file, pytest.raises(InputError, match=f"{chunk} is truncated: "):
        file[os.path.dirname(chunk)][:]


def decoder_of(array):
    return type(array._array.async_array.codec_pipeline).__name__


def test_numbers_are_decoded_by_zarrs_where_it_is_installed_and_else_by_zarr(tmp_path, monkeypatch):
    data = cells()
    data.write_h5ad(tmp_path / "plate.h5ad")
    expected = packed(tmp_path / "plate.h5ad", tmp_path)
    store = write_store(data, tmp_path / "plate.zarr", "2")
    with open_plate(store, packing=True) as file:
        assert decoder_of(file["X/data"]) == "ZarrsCodecPipeline"
        assert decoder_of(file["obs/drug/categories"]) == "BatchedCodecPipeline"
    with open_plate(store) as file:
        assert decoder_of(file["X/data"]) == "BatchedCodecPipeline"
    monkeypatch.setitem(sys.modules, "zarrs", None)
    with open_plate(store, packing=True) as file:
        assert decoder_of(file["X/data"]) == "BatchedCodecPipeline"
    assert packed(store, tmp_path) == expected


def test_numbers_in_the_other_byte_order_are_packed_alike(tmp_path):
    data = cells()
    data.write_h5ad(tmp_path / "plate.h5ad")
    store = write_store(data, tmp_path / "plate.zarr", "2")
    group = zarr.open_group(store)
    for name in ("data", "indices", "indptr"):
        values, attrs = group[f"X/{name}"][:], dict(group[f"X/{name}"].attrs)
        swapped = values.astype(values.dtype.newbyteorder(">"))
        group["X"].create_array(name, data=swapped, overwrite=True, attributes=attrs)
    assert packed(store, tmp_path) == packed(tmp_path / "plate.h5ad", tmp_path)


def test_a_process_forked_from_one_with_zarrs_packs_without_its_threads(tmp_path):
    """`cellshuffle.pack` forks; it would wait for ever. Also where a person's own settings name zarrs."""
    write_store(cells(), tmp_path / "plate.zarr", "2")
    script = (
        "import sys, zarr\n"
        "from cellshuffle import pack\n"
        "zarr.config.set({'codec_pipeline.path': 'zarrs.ZarrsCodecPipeline'})\n"
        "read = zarr.open_group(sys.argv[1], mode='r')['X/data'][:]\n"
        "print(len(read), pack(sys.argv[1], 'packed', jobs=1)[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "plate.zarr"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(LIBRARY)},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.split()[1:] == ["packed/plate.h5ad"], done.stderr


def test_chunks_of_labels_that_are_not_there_are_told(tmp_path):
    """As of sorted cells, of whose codes zarr writes no chunk of zeros; not of a column of one value."""
    data = cells()
    data = data[np.argsort(data.obs["drug"].cat.codes, kind="stable")].copy()
    store = write_store(data, tmp_path / "plate.zarr", "3")
    group = zarr.open_group(store)
    for name in ("drug", "only"):
        codes, attrs = data.obs[name].cat.codes.to_numpy(), dict(group[f"obs/{name}/codes"].attrs)
        group[f"obs/{name}"].create_array("codes", data=codes, chunks=(20,), overwrite=True, attributes=attrs)
    with open_plate(store) as file:
        read, names = column_codes(file, "drug")
        assert names[read].tolist() == data.obs["drug"].tolist()
        line = zeros_line(file, "drug")
        words = "obs/drug/codes/c/0 is not there (1 of 5 chunks of obs column 'drug'), so its cells"
        assert line.startswith(f"{store}: {words}")
        assert "are read as 'a'; zarr leaves out" in line
        assert not any(
            zeros_line(file, name) for name in ("only", "text", "truth", "whole", "number", "real")
        )


def test_a_chunk_of_dense_counts_may_not_be_missing(tmp_path):
    write_store(cells(np.asarray), tmp_path / "plate.zarr", "3")
    remove("X/c/1/0")(tmp_path / "plate.zarr")
    with pytest.raises(InputError, match=r"X/c/1/0 is missing .* write it with zarr's setting"):
        pack_plate(tmp_path / "plate.zarr", tmp_path / "packed.h5ad")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_an_archive_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "plate.zarr.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"plate\.zarr\.zip: is not a ZIP archive of a zarr store"):
        pack_plate(tmp_path / "plate.zarr.zip", tmp_path / "packed.h5ad")


def test_a_run_from_stores_has_the_scores_of_the_h5ads(sound):
    """Its check finds a missing chunk, and refuses to train on stores in place."""
    targets = ["results/bad/metrics.csv", "results/bad/weights/combinations.csv"]
    made = {}
    for form in ("h5ad", "zarr"):
        atlas = {"plate_file": f"plate{{plate}}.{form}", "where": {"line": ["l0", "l1"]}}
        if form == "zarr":
            for k in (1, 2, 3):
                write_store(
                    anndata.read_h5ad(sound / f"atlas/plate{k}.h5ad"),
                    sound / f"atlas/plate{k}.zarr",
                    "sharded",
                )
        config = merged(SOUND, {"run": form, "atlas": atlas})
        names = [name.replace("bad", form) for name in targets]
        snakemake(sound, config, *names)
        made[form] = [(sound / name).read_bytes() for name in names]
    assert made["h5ad"] == made["zarr"]
    unpacked = merged(config, {"run": "unpacked", "atlas": {"pack": False}})
    target = "results/unpacked/labels/classes.json"
    fails(["plate1.zarr: is no h5ad file; its cells are read once packed"], sound, unpacked, target)
    remove("X/indices/c/1")(sound / "atlas/plate2.zarr")
    fails(
        ["plate2.zarr: X/indices/c/1 is missing"],
        sound,
        merged(config, {"run": "bad"}),
        "results/bad/labels/classes.json",
    )
