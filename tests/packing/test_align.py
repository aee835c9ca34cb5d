"""Plates whose genes differ, packed to one list: against pandas and SciPy, and what is refused."""

import shutil
from pathlib import Path

import anndata
import cellshuffle
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from atlases import counts_of, obs_of
from cellshuffle.atlas.genes import alignment, common_genes
from cellshuffle.atlas.selection import select_cells
from cellshuffle.errors import InputError
from cellshuffle.packing.pack import pack_plate
from cellshuffle.simulation.counts import simulate_plate
from cellshuffle.simulation.parquet import simulate_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = {"drug": (["a", "b"], "categorical")}
NAMES = [*(f"GENE{k}" for k in range(8)), *(f"ENSG{k:011d}" for k in range(4))]
FORMS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}


def write_plate(path, names, seed=0, form="csr", n_cells=7, columns=None, scale=1):
    """An h5ad with genes of these names; columns: of var besides."""
    counts = counts_of(n_cells, len(names), seed) * scale
    var = pd.DataFrame(columns or {}, index=list(names))
    matrix = FORMS[form](counts.astype(np.float32))
    anndata.AnnData(matrix, obs_of(n_cells, seed, **COLUMNS), var).write_h5ad(path)
    return path


def packed_arrays(path):
    """What a packed plate holds, byte for byte, without what it says of its source."""
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: _bytes_of(item)}))
    return {name: part for name, part in arrays.items() if not name.startswith("cellshuffle")}


def _bytes_of(item):
    attributes = sorted((key, str(value)) for key, value in item.attrs.items())
    if isinstance(item, h5py.Group):
        return attributes
    values = item[()]
    return str(item.dtype), values.tolist() if item.dtype.kind == "O" else values.tobytes(), attributes


@st.composite
def atlases(draw):
    """Names of the genes of some plates; Ensembl ids have a version of the plate's own, or none."""
    plates = []
    for _ in range(draw(st.integers(1, 3))):
        chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
        version = draw(st.sampled_from(["", ".1", ".12"]))
        plates.append([name + version * name.startswith("ENSG") for name in [*chosen, "GENE_shared"]])
    return plates


def plain(names):
    """Names without the version of an Ensembl id."""
    return pd.Index(names).str.replace(r"^(ENSG\d+)\.\d+$", r"\1", regex=True)


def joined(plates, align, folder):
    """(plain names, names) of the list, by joins of pandas; plates: names of each."""
    listed = ["nowhere", "GENE_shared", *NAMES[::-1]]
    if align not in ("intersection", "union"):
        (folder / "genes.txt").write_text("\n".join(listed))
        return pd.Index(listed), listed
    together = plain(plates[0])
    for names in map(plain, plates[1:]):
        common = together.intersection(names, sort=False)
        more = names.difference(together, sort=False)
        together = common if align == "intersection" else together.append(more)
    spelling = {}
    for names in plates:
        spelling = dict(zip(plain(names), names, strict=True)) | spelling  # the first plate's name counts
    return together, [spelling[name] for name in together]


@given(
    atlases(),
    st.sampled_from(["intersection", "union", "genes.txt"]),
    st.lists(st.sampled_from(list(FORMS)), min_size=3, max_size=3),
    st.sampled_from([1, 1000, -0.5]),
)
@settings(max_examples=20)
def test_packing_to_a_list_is_packing_files_that_have_it(tmp_path_factory, plates, align, forms, scale):
    """The list by pandas' joins of the plain names, the counts by `DataFrame.reindex`: the same bytes."""
    folder = tmp_path_factory.mktemp("atlas")
    keys, listed = joined(plates, align, folder)
    paths, again = [], []
    for k, names in enumerate(plates):
        paths.append(write_plate(folder / f"plate{k}.h5ad", names, k, forms[k], scale=scale))
        source = anndata.read_h5ad(paths[-1])
        table = source.to_df().set_axis(plain(names), axis=1).reindex(columns=keys, fill_value=0)
        again.append(folder / f"again{k}.h5ad")
        reindexed = anndata.AnnData(
            sp.csr_matrix(table.to_numpy(np.float32)), source.obs, pd.DataFrame(index=listed)
        )
        reindexed.write_h5ad(again[-1])
    align = folder / align if align == "genes.txt" else align
    for path, other in zip(paths, again, strict=True):
        select = select_cells(path, None, align={"to": str(align), "plates": paths})
        pack_plate(path, folder / "ours.h5ad", select=select)
        pack_plate(other, folder / "theirs.h5ad")
        ours, theirs = packed_arrays(folder / "ours.h5ad"), packed_arrays(folder / "theirs.h5ad")
        ours.pop("var/index", None)  # the names of the plate, where they have another version
        assert ours | {"var": None} == theirs | {"var": None}
        assert anndata.read_h5ad(folder / "ours.h5ad").X.has_canonical_format


def named(**plates):
    return [(path, np.array(names)) for path, names in plates.items()]


@pytest.mark.parametrize(
    ("plates", "words"),
    [
        (
            named(p1=["a", "b"], p2=["a", "b", "b", "a", "c", "c", "d", "d"]),
            ["p2: the genes a, b, c and 1 more are there twice", "gene_column", "var_names_make_unique"],
        ),
        (
            named(p1=["TP53", "MYC"], p2=["ENSG00000141510"]),
            ["p2: none of its 1 genes (ENSG00000141510, ...) is among the 2 of the plates before it (TP53"],
        ),
    ],
)
@pytest.mark.parametrize("align", ["intersection", "union"])
def test_names_that_cannot_be_matched_are_refused(align, plates, words):
    with pytest.raises(InputError) as refused:
        common_genes(align, plates)
    for word in words:
        assert word in str(refused.value)


def test_versions_that_tell_genes_apart_count():
    """One id is there in two versions, the other in one a plate; its copy on chromosome Y is another gene."""
    one, two = "ENSG00000000001", "ENSG00000000002"
    plates = named(p1=[f"{one}.1", f"{one}.2", f"{two}.7"], p2=[f"{one}.2", two, f"{two}.7_PAR_Y"])
    common = common_genes("intersection", plates)
    assert common.names.tolist() == [f"{one}.2", f"{two}.7"]
    assert common.numbers(plates[1][1]).tolist() == [0, 1]
    words = alignment(common, plates[1][1])
    assert words == (
        f"1 of its 3 genes are dropped ({two}.7_PAR_Y); 1 are matched without the version of their Ensembl id"
    )


def cellxgene(path, names, **options):
    """As CELLxGENE publishes: Ensembl ids as the index, symbols in feature_name."""
    columns = {"feature_name": pd.Categorical(names), "length": np.arange(len(names))}
    return write_plate(path, [f"ENSG{k:011d}" for k in range(len(names))], columns=columns, **options)


def test_names_from_a_column_of_var(tmp_path):
    paths = [cellxgene(tmp_path / "a.h5ad", ["TP53", "MYC", "GAPDH"])]
    paths.append(cellxgene(tmp_path / "b.h5ad", ["MYC", "ACTB", "TP53"], seed=1))
    packed = cellshuffle.pack(paths, tmp_path / "packed", align="intersection", gene_column="feature_name")
    a, b = map(anndata.read_h5ad, packed)
    assert a.var_names.tolist() == b.var_names.tolist() == ["TP53", "MYC"]
    assert b.var["index"].tolist() == ["ENSG00000000002", "ENSG00000000000"]
    assert b.var["length"].tolist() == [2, 0] and b.var["feature_name"].tolist() == ["TP53", "MYC"]
    assert np.array_equal(b.X.toarray(), anndata.read_h5ad(paths[1]).X[:, [2, 0]].toarray())
    (alone,) = cellshuffle.pack(
        paths[1], tmp_path / "alone", genes=["TP53", "ACTB"], gene_column="feature_name"
    )
    assert anndata.read_h5ad(alone).var["length"].tolist() == [2, 1]
    for column, words in (
        ("symbol", "has no column 'symbol' (it has: feature_name, length)"),
        ("feature_name", "the genes MYC are there twice"),
    ):
        twice = cellxgene(tmp_path / "twice.h5ad", ["MYC", "TP53", "MYC"])
        with pytest.raises(InputError) as refused:
            cellshuffle.pack(twice, tmp_path / "refused", gene_column=column)
        assert words in str(refused.value)
    unnamed = cellxgene(tmp_path / "unnamed.h5ad", ["MYC", None, "TP53"])
    with pytest.raises(InputError, match="var column 'feature_name' names no gene in 1 of 3 rows"):
        cellshuffle.pack(unnamed, tmp_path / "refused", gene_column="feature_name")


def test_another_list_packs_again(tmp_path, capsys):
    """A plate with fewer genes changes the intersection, one with the same genes does not."""
    names = ["a", "b", "c"]
    paths = [write_plate(tmp_path / f"p{k}.h5ad", names[:2] if k == 2 else names, k) for k in range(3)]
    out = tmp_path / "packed"

    def pack(n, **options):
        packed = cellshuffle.pack(paths[:n], out, jobs=1, **{"align": "intersection"} | options)
        return [path.stat().st_mtime_ns for path in packed], capsys.readouterr().err

    (one,), _ = pack(1)
    (still, other), said = pack(2)
    assert still == one and f"{out}: 1 of 2 plates are packed already" in said
    again, said = pack(3)
    assert again[0] != one and again[1] != other
    assert f"{paths[0]}: 1 of its 3 genes are dropped (c)" in said
    assert f"{out / 'p0.h5ad'}: the list of genes has changed since; packing it again" in said
    with pytest.raises(InputError, match=r"p0.h5ad: was packed from other cells or genes; delete it"):
        pack(3, align="union")
    (tmp_path / "list.txt").write_text("c\nzero\na\n")
    with pytest.raises(InputError, match="genes: leave it out with align"):
        pack(3, align=tmp_path / "list.txt", genes=["a"])


SIZES = {"cells_per_plate": 40, "cell_lines": 3, "drugs": 12, "seed": 0}
GENES = {1: 40, 4: 30}  # of each plate


def write_zarr(path, cells, form):
    """A store of format 2 or 3, of format 3 also in shards, or as an archive."""
    with anndata.settings.override(zarr_write_format=2 if form == "zarr 2" else 3):
        if form == "sharded":
            anndata.settings.auto_shard_zarr_v3 = True
        try:
            cells.write_zarr(path)
        finally:
            anndata.settings.auto_shard_zarr_v3 = False
    if form != "archive":
        return path
    shutil.make_archive(path, "zip", root_dir=path)
    return path.with_name(f"{path.name}.zip")


def in_form(form, folder, plate, h5ad):
    """The cells of a simulated plate in another form."""
    if form == "h5ad":
        return h5ad
    if form != "parquet":
        return write_zarr(folder / f"plate{plate}.zarr", anndata.read_h5ad(h5ad), form)
    simulate_parquet(
        folder / f"plate{plate}", folder / f"plate{plate}/metadata", [plate], genes=GENES[plate], **SIZES
    )
    return folder / f"plate{plate}"


@pytest.mark.filterwarnings("ignore")  # of anndata, on zarr
@pytest.mark.parametrize("form", ["zarr 2", "zarr 3", "sharded", "archive", "parquet"])
def test_other_forms_are_aligned_alike(tmp_path, form):
    """One plate of another form beside an h5ad: the counts and genes of the same cells as h5ad."""
    plates = {}
    for plate, genes in GENES.items():
        plates[plate] = tmp_path / f"plate{plate}.h5ad"
        simulate_plate(plates[plate], plate, genes=genes, **SIZES)
    (tmp_path / "other").mkdir()
    other = in_form(form, tmp_path / "other", 4, plates[4])
    listed = tmp_path / "genes.txt"
    listed.write_text("\n".join(["nowhere", *(f"GENE{k:05d}" for k in range(35, 5, -1))]))
    for align in ("intersection", "union", listed):
        for name, last in (("h5ad", plates[4]), ("other", other)):
            cellshuffle.pack([plates[1], last], tmp_path / f"packed-{name}-{Path(align).stem}", align=align)
        ours, theirs = (
            packed_arrays(tmp_path / f"packed-{name}-{Path(align).stem}/plate4.h5ad")
            for name in ("other", "h5ad")
        )
        for part in ("X", "X/data", "X/indices", "X/indptr"):
            assert ours[part] == theirs[part], (align, part)
        names = [
            anndata.read_h5ad(tmp_path / f"packed-{name}-{Path(align).stem}/plate4.h5ad").var_names.tolist()
            for name in ("other", "h5ad")
        ]
        assert names[0] == names[1]
