"""The plates reader and packing against a plain matrix in memory, for random plates in every layout."""

import tempfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from atlases import dense, write_plate
from cellshuffle.atlas.plates import Plate, Plates
from cellshuffle.atlas.selection import Selection
from cellshuffle.errors import InputError
from cellshuffle.packing.pack import pack_plate
from hypothesis import given, settings
from hypothesis import strategies as st

LAYOUTS = [
    {},
    {"chunks": (7,)},
    {"chunks": (64,), "compression": "gzip"},
    {"chunks": (16,), "compression": "gzip", "shuffle": True},
    {"chunks": (16,), "compression": "lzf"},
    {"chunks": (5,), "fletcher32": True},
]
VALUES = [np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint16]


@st.composite
def atlases(draw, forms=("csr", "dense")):
    """([(n_cells, n_genes) array, ...], how each is written)."""
    n_genes, dtype = draw(st.integers(1, 40)), draw(st.sampled_from(VALUES))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    matrices, ways = [], []
    for n_cells in draw(st.lists(st.sampled_from([0, 1, 1, 2, 5, 30]), min_size=1, max_size=4)):
        counts = generator.poisson(draw(st.sampled_from([0.0, 0.1, 1.0])), (n_cells, n_genes))
        if n_cells:
            counts[generator.random(n_cells) < 0.3] = 0
        matrices.append(counts.astype(dtype) * dtype(draw(st.sampled_from([1, 1, 3]))))
        index_type = draw(st.sampled_from([np.int32, np.int64]))
        ways.append((draw(st.sampled_from(forms)), draw(st.sampled_from(LAYOUTS)), index_type))
    return matrices, ways


@settings(max_examples=120, deadline=None)
@given(atlas=atlases(), workers=st.sampled_from([1, 3]), data=st.data())
def test_plates_are_one_matrix(atlas, workers, data):
    matrices, ways = atlas
    whole = np.concatenate(matrices)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.h5ad" for number in range(len(matrices))]
        for path, matrix, way in zip(paths, matrices, ways, strict=True):
            write_plate(path, matrix, *way)
        limit = data.draw(st.one_of(st.none(), st.integers(1, len(whole) + 3)))
        plates = Plates(paths, max_cells=limit, workers=workers)
        assert len(plates) == min(len(whole), limit or len(whole))
        assert plates.n_genes == whole.shape[1]
        if not len(plates):
            return
        cells = np.sort(data.draw(st.lists(st.integers(0, len(plates) - 1), min_size=1, max_size=60)))
        rows = plates[cells]
        assert rows.data.dtype == whole.dtype
        assert np.array_equal(dense(rows, plates.n_genes), whole[cells])
        order = data.draw(st.permutations(range(len(cells))))
        mixed = plates.fetch(cells).take(np.array(order))
        assert np.array_equal(dense(mixed, plates.n_genes), whole[cells][order])


@settings(max_examples=80, deadline=None)
@given(atlas=atlases(forms=("csr", "csc", "dense")), data=st.data())
def test_a_packed_plate_holds_the_same(atlas, data):
    matrices, ways = atlas
    matrix, n_genes = matrices[0], matrices[0].shape[1]
    rows = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(matrix), max_size=len(matrix))))
    genes = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=n_genes, max_size=n_genes)))
    select = Selection(
        rows if data.draw(st.booleans()) else None,
        genes if len(genes) and data.draw(st.booleans()) else None,
    )
    kept = matrix if select.rows is None else matrix[select.rows]
    kept = kept if select.genes is None else kept[:, select.genes]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.h5ad", Path(folder) / "packed.h5ad"
        write_plate(source, matrix, *ways[0])
        pack_plate(source, target, select=select)
        packed = anndata.read_h5ad(target)
        assert np.array_equal(packed.X.toarray(), kept)
        wanted = [f"obs{k}" for k in (range(len(matrix)) if select.rows is None else select.rows)]
        assert list(packed.obs_names) == wanted
        plate = Plate(target)
        assert plate.n_cells == len(kept) and plate.n_genes == kept.shape[1]
        if len(kept):
            everything = Plates([target])[np.arange(len(kept))]
            assert np.array_equal(dense(everything, plate.n_genes), kept)
        assert [path.name for path in Path(folder).iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("values", "kept_as"),
    [
        ([1, 65535], "uint16"),
        ([1, 65536], "float32"),
        ([-1, 2], "float32"),
        ([0.5, 2], "float32"),
    ],
)
def test_counts_that_fit_become_16_bit_and_others_keep_their_type(tmp_path, values, kept_as):
    write_plate(tmp_path / "a.h5ad", np.array([values], np.float32), "csr", {}, np.int32)
    pack_plate(tmp_path / "a.h5ad", tmp_path / "packed.h5ad")
    with h5py.File(tmp_path / "packed.h5ad") as file:
        assert file["X/data"].dtype == kept_as
        assert file["X/data"][:].tolist() == values


@pytest.mark.parametrize("gene", [-1, 2])
@pytest.mark.parametrize("genes", [None, np.array([0]), np.array([1])])
def test_a_gene_out_of_range_is_told_whatever_genes_are_kept(tmp_path, gene, genes):
    write_plate(tmp_path / "a.h5ad", np.ones((3, 2), np.float32), "csr", {}, np.int32)
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        file["X/indices"][3] = gene
    with pytest.raises(InputError, match="a gene index is not between 0 and 1"):
        pack_plate(tmp_path / "a.h5ad", tmp_path / "packed.h5ad", select=Selection(None, genes))


def test_cells_out_of_range_are_refused(tmp_path):
    write_plate(tmp_path / "a.h5ad", np.ones((3, 2), np.float32), "csr", {}, np.int32)
    plates = Plates([tmp_path / "a.h5ad"])
    for cells in ([-1], [3], [0, 5]):
        with pytest.raises(IndexError):
            plates[np.array(cells)]


def test_plates_with_other_genes_are_refused(tmp_path):
    write_plate(tmp_path / "a.h5ad", np.ones((3, 2), np.float32), "csr", {}, np.int32)
    write_plate(tmp_path / "b.h5ad", np.ones((3, 4), np.float32), "csr", {}, np.int32)
    with pytest.raises(InputError, match="same genes in the same order"):
        Plates([tmp_path / "a.h5ad", tmp_path / "b.h5ad"])


def csr_plate(path, data, genes, indptr):
    """A plate of 4 genes with these very arrays, whatever they hold."""
    write_plate(path, np.eye(len(indptr) - 1, 4, dtype="f4"), "csr", {}, "i4")
    with h5py.File(path, "r+") as file:
        for name, values in (("data", data), ("indices", genes), ("indptr", indptr)):
            del file[f"X/{name}"]
            file[f"X/{name}"] = np.asarray(values)


@pytest.mark.parametrize("gene", [-1, 4])
def test_a_gene_out_of_range_is_told_where_it_is_read(tmp_path, gene):
    csr_plate(tmp_path / "sound.h5ad", [1.0, 1.0], [1, 2], [0, 1, 2])
    csr_plate(tmp_path / "wrong.h5ad", [2.0, 3.0], [0, gene], [0, 1, 2])
    plates = Plates([tmp_path / "sound.h5ad", tmp_path / "wrong.h5ad"])
    assert plates[np.array([0, 2])].indices.tolist() == [1, 0]
    with pytest.raises(InputError, match=r"wrong\.h5ad: a gene index is not between 0 and 3"):
        plates[np.array([0, 3])]


def test_a_gene_twice_is_told_under_a_logarithm(tmp_path):
    """log1p of a sum is not the sum of log1p, so the devices would disagree."""
    csr_plate(tmp_path / "twice.h5ad", [3.0, 4.0, 1.0], [2, 2, 2], [0, 2, 3])
    cells = np.arange(2)
    assert Plates([tmp_path / "twice.h5ad"])[cells].data.tolist() == [3, 4, 1]
    with pytest.raises(InputError, match=r"twice\.h5ad: a cell has two values for the same gene"):
        Plates([tmp_path / "twice.h5ad"], unique_genes=True)[cells]


def test_no_plate_at_all_is_told():
    with pytest.raises(InputError, match="no plates to read"):
        Plates([])
