"""Cells in Parquet files as Hugging Face has Tahoe-100M: packed as the same cells of h5ads, or refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cellshuffle
import h5py
import numpy as np
import pyarrow as pa
import pytest
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.parquet import data_files
from cellshuffle.atlas.selection import Selection, select_cells
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError
from cellshuffle.packing import lists
from cellshuffle.packing.pack import pack_plate
from cellshuffle.simulation.counts import simulate_plate
from cellshuffle.simulation.parquet import simulate_parquet
from pyarrow import parquet
from runs import LIBRARY

SIZES = {"cells_per_plate": 300, "genes": 150, "cell_lines": 4, "drugs": 20, "seed": 0}
PLATES = [1, 4, 14]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """A folder with the same cells as data/*.parquet and as plate<k>.h5ad."""
    folder = tmp_path_factory.mktemp("parquet")
    simulate_parquet(folder / "data", folder / "metadata", PLATES, **SIZES)
    for plate in PLATES:
        simulate_plate(folder / f"plate{plate}.h5ad", plate, **SIZES)
    return folder


@pytest.fixture
def own(atlas, tmp_path):
    """A copy of the Parquet files."""
    for name in ("data", "metadata"):
        shutil.copytree(atlas / name, tmp_path / name)
    return tmp_path


def of_plate(path, plate, **select):
    return select_cells(path, None, {"column": "plate", "value": f"plate{plate}"}, **select)


def table_of(folder):
    return pa.concat_tables(parquet.read_table(path) for path in data_files(folder))


def rewrite(folder, tables, row_group_size=64):
    """Write other files in the place of those that are there; tables: {name: table}."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, table in tables.items():
        parquet.write_table(table, folder / name, row_group_size=row_group_size)


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def content(path):
    """Everything of a packed plate: arrays with their dtypes, labels, barcodes, genes."""
    with h5py.File(path) as file:
        arrays = {name: (file["X"][name].dtype.str, file["X"][name][:].tolist()) for name in file["X"]}
        line = "cell_line" if "cell_line" in file["obs"] else "cell_line_id"
        labels = {}
        for column in ("drug", "sample", "plate", line):
            codes, names = column_codes(file, column)
            labels[column.removesuffix("_id")] = names[codes].tolist()
        names = [file[t][file[t].attrs["_index"]][:].tolist() for t in ("obs", "var")]
        return arrays, labels, names, file["X"].attrs["shape"].tolist()


@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("layout", ["as simulated", "mixed", "one file", "other statistics"])
def test_plates_are_those_of_the_h5ads_wherever_their_rows_lie(atlas, own, layout, some):
    """Rows of all plates in turn, files whose names do not sort as text, no statistics, large lists."""
    table = table_of(own / "data")
    if layout == "mixed":
        order = np.argsort(np.arange(900) % 300, kind="stable")
        parts = {f"train-{k}.parquet": table.take(order[k * 90 : k * 90 + 90]) for k in range(10)}
        rewrite(
            own / "data", dict(sorted(parts.items(), reverse=True)) | {"train-10.parquet": table.slice(900)}
        )
    elif layout == "one file":
        rewrite(own / "data", {"x.parquet": table}, 1000)
    elif layout == "other statistics":
        large = with_column(table, "genes", table["genes"].cast(pa.large_list(pa.int64())))
        coded = with_column(large, "drug", large["drug"].combine_chunks().dictionary_encode())
        shutil.rmtree(own / "data")
        (own / "data").mkdir()
        parquet.write_table(coded, own / "data/x.parquet", row_group_size=100, write_statistics=False)
    source = own / "data/x.parquet" if layout == "one file" else own / "data"
    for plate in PLATES:
        pairs = [(source, of_plate(source, plate)), (atlas / f"plate{plate}.h5ad", Selection())]
        packed = []
        for path, select in pairs:
            if some:
                rows = np.arange(300) if select.rows is None else select.rows
                select = Selection(rows[7:280:3], np.array([3, 5, 90, 91]))
            pack_plate(path, own / "packed.h5ad", select=select)
            packed.append(content(own / "packed.h5ad"))
        assert packed[0] == packed[1]
    assert not list(own.glob(".*"))


def test_columns_of_every_kind_are_read(own):
    table = table_of(own / "data")
    numbers = np.arange(len(table))
    gone = pa.array(numbers % 3 == 0)
    table = with_column(table, "pubchem_cid", pa.array(numbers, mask=np.asarray(gone)))
    table = table.append_column("dose", pa.array(numbers % 2 / 4)).append_column(
        "ok", pa.array(numbers % 2 == 0)
    )
    table = table.append_column("seen", pa.array(["a", None, "b"] * 300)).append_column("odd", table["genes"])
    rewrite(own / "data", {"a.parquet": table.slice(0, 500), "b.parquet": table.slice(500)})
    pack_plate(own / "data", own / "packed.h5ad", select=of_plate(own / "data", 4))
    with h5py.File(own / "packed.h5ad") as packed, open_plate(own / "data") as file:
        assert set(packed["obs"].attrs["column-order"]) >= {"pubchem_cid", "dose", "ok", "seen"}
        assert "odd" not in packed["obs"]
        for column in ("pubchem_cid", "ok", "seen"):
            (codes, names), (all_codes, all_names) = column_codes(packed, column), column_codes(file, column)
            expected = [value if value is None else str(value) for value in table[column].to_pylist()]
            values = [None if code < 0 else all_names[code] for code in all_codes]
            assert values == expected
            assert [None if code < 0 else names[code] for code in codes] == expected[300:600]
        assert packed["obs/dose"][:].tolist() == (numbers[300:600] % 2 / 4).tolist()


def test_values_that_are_no_counts_keep_their_type(own):
    table = table_of(own / "data")
    halves = pa.ListArray.from_arrays(
        table["expressions"].combine_chunks().offsets,
        [v if v < 0 else v / 2 for v in table["expressions"].combine_chunks().values.to_pylist()],
    )
    rewrite(own / "data", {"a.parquet": with_column(table, "expressions", halves)})
    pack_plate(own / "data", own / "packed.h5ad")
    with h5py.File(own / "packed.h5ad") as packed:
        values = packed["X/data"][:]
        assert values.dtype == np.float32 and (values % 1 == 0.5).any()


def test_genes_out_of_order_are_put_in_order(atlas, own):
    table = table_of(own / "data")
    lists = {n: [row[:1] + row[:0:-1] for row in table[n].to_pylist()] for n in ("genes", "expressions")}
    for name, rows in lists.items():
        table = with_column(table, name, pa.array(rows, table[name].type))
    rewrite(own / "data", {"a.parquet": table})
    pack_plate(own / "data", own / "packed.h5ad")
    pack_plate(atlas / "data", own / "other.h5ad")
    assert content(own / "packed.h5ad")[0] == content(own / "other.h5ad")[0]


def test_a_killed_packing_goes_on_after_the_last_file(atlas, own):
    """Killed after its second file: the files before are not read again, the bytes are the same."""
    table = table_of(own / "data")
    rewrite(own / "data", {f"{k}.parquet": table.slice(k * 100, 100) for k in range(9)})
    pack_plate(own / "data", own / "whole.h5ad", note="{}")
    code = (
        "import os, signal\\nfrom cellshuffle.packing import lists, pack\\nwrite = lists.write_json\\n"
        "def killed(path, done):\\n    write(path, done)\\n"
        "    done['files'] == 2 and os.kill(os.getpid(), signal.SIGKILL)\\n"
        "lists.write_json = killed\\npack.pack_plate('data', 'packed.h5ad', note='{}')\\n"
    ).replace("\\n", "\n")
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, "-c", code], cwd=own, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL and not (own / "packed.h5ad").exists()
    assert json.loads((own / ".unfinished-packed.h5ad.json").read_text())["cells"] == 200
    reported = []
    pack_plate(own / "data", own / "packed.h5ad", note="{}", report=reported.append)
    assert reported[0] == 200 and sum(reported) == 900
    assert (own / "packed.h5ad").read_bytes() == (own / "whole.h5ad").read_bytes()
    assert not list(own.glob(".*"))
    # Of another request, or of files that have changed since, it begins anew.
    subprocess.run([sys.executable, "-c", code], cwd=own, env=environment, check=False)
    os.utime(own / "data/0.parquet")
    pack_plate(own / "data", own / "packed.h5ad", note="{}", report=(again := []).append)
    assert again[0] == 0 and (own / "packed.h5ad").read_bytes() == (own / "whole.h5ad").read_bytes()


def test_two_processes_do_not_fill_the_same_plate(own):
    with (
        lists._kept(own / "packed.h5ad"),
        pytest.raises(InputError, match="is being packed by another process"),
    ):
        pack_plate(own / "data", own / "packed.h5ad")


def test_the_command_packs_a_plate_for_each_value_of_plate(atlas, own):
    packed = cellshuffle.pack(
        own / "data", own / "packed", where={"drug": ["DMSO_TF", "Compound 001"]}, jobs=2
    )
    assert [path.name for path in packed] == ["plate1.h5ad", "plate4.h5ad", "plate14.h5ad"]
    originals = [atlas / path.name for path in packed]
    wanted = {"where": {"drug": ["DMSO_TF", "Compound 001"]}, "obs": ["drug", "sample"]}
    read = []
    for plates in (cellshuffle.Plates(packed, **wanted), cellshuffle.Plates(originals, **wanted)):
        cells = plates[np.arange(len(plates))]
        read.append((cells.X.dense().tolist(), {n: c.tolist() for n, c in cells.obs.items()}, plates.classes))
    assert read[0] == read[1]
    before = [path.stat().st_mtime_ns for path in packed]
    cellshuffle.pack(own / "data", own / "packed", where=wanted["where"])
    assert [path.stat().st_mtime_ns for path in packed] == before
    time.sleep(0.01)
    os.utime(own / "data/train-00000-of-00002.parquet")
    cellshuffle.pack(own / "data", own / "packed", where=wanted["where"])
    assert all(path.stat().st_mtime_ns > old for path, old in zip(packed, before, strict=True))
    with pytest.raises(InputError, match="data: is not a file"):
        cellshuffle.Plates(own / "data")


def other_schema(own, table):
    parquet.write_table(table.drop_columns(["expressions"]), own / "data/train-00001-of-00002.parquet")


def other_columns(own, table):
    parquet.write_table(table.drop_columns(["drug"]), own / "data/train-00001-of-00002.parquet")


def truncated(own, table):
    path = own / "data/train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def cut_within(own, table):
    """The footer is there, but not the bytes that it names."""
    path = own / "data/train-00001-of-00002.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(20_000) + whole[20_004:])


def changed(column, change):
    """A function that changes the list of one row of the second file."""

    def spoil(own, table):
        rows = table[column].to_pylist()
        rows[5] = change(rows[5])
        table = with_column(table, column, pa.array(rows, table[column].type))
        parquet.write_table(table, own / "data/train-00001-of-00002.parquet")

    return spoil


def no_genes(own, table):
    (own / "metadata/gene_metadata.parquet").unlink()


def other_genes(own, table):
    path = own / "metadata/gene_metadata.parquet"
    parquet.write_table(parquet.read_table(path).drop_columns(["token_id"]), path)


def genes_twice(own, table):
    path = own / "metadata/gene_metadata.parquet"
    genes = parquet.read_table(path)
    parquet.write_table(with_column(genes, "token_id", pa.array([3] * len(genes))), path)


SECOND = "data/train-00001-of-00002.parquet: "
SPOILED = {
    "another schema": (
        other_schema,
        SECOND + r"is no table of cells .* genes and expressions \(it has: genes: list",
    ),
    "other columns": (other_columns, SECOND + r"has other columns than train-00000-of-00002.parquet: drug"),
    "truncated": (
        truncated,
        SECOND + "not a readable Parquet file, or a truncated one; copy or download it again",
    ),
    "damaged": (cut_within, SECOND + "not a readable Parquet file, or a truncated one"),
    "token": (
        changed("genes", lambda r: [*r[:-1], 70_000]),
        SECOND + "token 70000 is no gene of .*gene_metadata",
    ),
    "negative token": (changed("genes", lambda r: [*r[:-1], -5]), SECOND + "token -5 is no gene of"),
    "reserved token": (changed("genes", lambda r: [*r[:-1], 2]), SECOND + "token 2 is no gene of"),
    "twice": (
        changed("genes", lambda r: [*r[:-1], r[-2]]),
        SECOND + "a cell has two values for the same gene",
    ),
    "no marker": (
        changed("expressions", lambda r: [1.0, *r[1:]]),
        SECOND + "row 5 does not begin with the marker",
    ),
    "empty": (changed("genes", lambda r: []), SECOND + "row 5 has not as many genes as expressions"),
    "missing": (changed("genes", lambda r: None), SECOND + "genes or expressions lack values among rows"),
    "NaN": (changed("expressions", lambda r: [*r[:-1], float("nan")]), SECOND + "the matrix holds NaN"),
    "no genes": (no_genes, r"data: there is no metadata/gene_metadata.parquet beside it"),
    "genes of another schema": (other_genes, r"metadata/gene_metadata.parquet: has no column token_id"),
    "genes twice": (genes_twice, r"metadata/gene_metadata.parquet: a token_id is there twice"),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILED.values(), ids=SPOILED)
def test_bad_files_are_refused_in_one_line(own, spoil, words):
    spoil(own, parquet.read_table(own / "data/train-00001-of-00002.parquet"))
    with pytest.raises(InputError, match=f"{own}/{words}") as caught:
        pack_plate(own / "data", own / "packed/plate.h5ad")
    assert "\n" not in str(caught.value)
    assert not (own / "packed").exists() or not list((own / "packed").iterdir())
