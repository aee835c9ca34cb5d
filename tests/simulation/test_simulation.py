"""The simulated atlas: its plate design, its counts, and that its files are what anndata writes."""

import csv
import subprocess
import sys

import anndata
import h5py
import numpy as np
import pytest
from cellshuffle.files import write_rows
from cellshuffle.simulation.counts import OBS_COLUMNS, OBS_INDEX, simulate_plate
from cellshuffle.simulation.design import (
    CONTROL,
    LOOKALIKE,
    MECHANISMS,
    drug_mechanisms,
    drug_metadata,
    drug_names,
    drug_set,
    plate_design,
)
from runs import LIBRARY

SIZES = {"cells_per_plate": 400, "genes": 300, "cell_lines": 5, "drugs": 40, "seed": 3}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """The 14 plates, read by anndata."""
    folder = tmp_path_factory.mktemp("atlas")
    for plate in range(1, 15):
        simulate_plate(folder / f"{plate}.h5ad", plate, **SIZES)
    return {plate: anndata.read_h5ad(folder / f"{plate}.h5ad") for plate in range(1, 15)}


def treatments(plate):
    return set(plate.obs["drug"].cat.categories) - {CONTROL}


def test_drug_sets_of_the_full_size():
    sets = [set(drug_set(k, 380).tolist()) for k in range(5)]
    assert [len(s) for s in sets] == [94, 94, 94, 94, 43]
    assert set().union(*sets) == set(range(1, 380))
    assert sets[4].isdisjoint(set().union(*sets[:4]))
    assert len(drug_names(380)) == len(set(drug_names(380))) == 380


def test_plates_share_drugs_by_triplet_and_differ_in_dose():
    assert [plate_design(p, 380)[1] for p in range(1, 15)] == [0.05, 0.5, 5.0] * 4 + [0.05, 5.0]
    for triplet in ((1, 2, 3), (4, 5, 6, 14), (7, 8, 9), (10, 11, 12)):
        sets = [plate_design(p, 95)[0].tolist() for p in triplet]
        assert all(s == sets[0] for s in sets)
    assert plate_design(15, 95)[0].tolist() == plate_design(1, 95)[0].tolist()


@pytest.mark.parametrize("n_drugs", [2, 3, 5, 6, 10, 40, 95, 380, 1000])
def test_every_drug_is_on_a_plate_at_any_size(n_drugs):
    used = np.concatenate([drug_set(k, n_drugs) for k in range(5)])
    assert set(used.tolist()) == set(range(1, n_drugs))
    assert all(len(set(s.tolist())) == len(s) for s in (drug_set(k, n_drugs) for k in range(5)))


def test_drugs_on_the_plates(atlas):
    names = np.array(drug_names(SIZES["drugs"]))
    for number, plate in atlas.items():
        drugs, dose = plate_design(number, SIZES["drugs"])
        assert CONTROL in set(plate.obs["drug"])
        assert treatments(plate) <= set(names[drugs])
        dosed = {
            f"[('{drug}', {0.0 if drug == CONTROL else dose}, 'uM')]"
            for drug in plate.obs["drug"].cat.categories
        }
        assert set(plate.obs["drugname_drugconc"].cat.categories) == dosed
    assert LOOKALIKE in treatments(atlas[14])
    others = set().union(*(treatments(atlas[p]) for p in range(1, 13)))
    assert treatments(atlas[13]).isdisjoint(others)


def test_a_well_is_one_drug_at_one_dose_with_lines_pooled_and_cells_interleaved(atlas):
    obs = atlas[4].obs
    assert (obs.groupby("sample", observed=True)["drugname_drugconc"].nunique() == 1).all()
    assert obs.groupby("sample", observed=True)["cell_line"].nunique().max() == 5
    neighbours_alike = (obs["drug"].to_numpy()[1:] == obs["drug"].to_numpy()[:-1]).mean()
    assert neighbours_alike < 0.3
    counts = obs.groupby(["cell_line", "drug"], observed=True).size()
    assert counts.max() > 5 * counts.median()


def test_drug_table(tmp_path):
    rows = drug_metadata(380, 0)
    assert {"drug", "targets", "moa-broad", "moa-fine"} < set(rows[0])
    assert CONTROL not in {row["drug"] for row in rows}
    assert LOOKALIKE in {row["drug"] for row in rows}
    assert len({row["moa-broad"] for row in rows}) == 3
    assert len({row["moa-fine"] for row in rows}) == 26 == len(MECHANISMS)
    assert next(row["moa-fine"] for row in rows if row["drug"] == LOOKALIKE) == "MEK inhibitor"
    write_rows(tmp_path / "table.csv", rows)
    with open(tmp_path / "table.csv", newline="") as file:
        assert list(csv.DictReader(file)) == rows
    assert drug_mechanisms(2, 0).tolist() == [-1, 0]


def test_obs_describes_the_counts(atlas):
    for number, plate in atlas.items():
        obs = plate.obs
        assert list(obs.columns) == OBS_COLUMNS
        assert obs.index.name == OBS_INDEX and obs.index.is_unique and plate.var_names.is_unique
        assert set(obs["plate"]) == {f"plate{number}"}
        assert obs["cell_line"].str.fullmatch(r"CVCL_\d{4}").all()
        assert (obs["gene_count"] == np.diff(plate.X.indptr)).all()
        assert (obs["tscp_count"] == plate.X.sum(axis=1).A1).all()
        assert plate.X.has_canonical_format and plate.X.dtype == np.float32
        assert (plate.X.data >= 1).all() and (plate.X.data == np.rint(plate.X.data)).all()


def attributes(path):
    found = {}

    def visit(name, item):
        names = ("encoding-type", "encoding-version", "_index", "ordered")
        values = {key: item.attrs[key] for key in names if key in item.attrs}
        if "column-order" in item.attrs:
            values["column-order"] = list(item.attrs["column-order"])
        if isinstance(item, h5py.Dataset):
            values["kind"] = item.dtype, item.shape, item.compression, item.compression_opts
        found[name] = values

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return found


def test_file_is_what_anndata_writes(tmp_path):
    simulate_plate(tmp_path / "ours.h5ad", 14, **SIZES)
    plate = anndata.read_h5ad(tmp_path / "ours.h5ad")
    plate.write_h5ad(tmp_path / "theirs.h5ad", compression="gzip")
    assert attributes(tmp_path / "ours.h5ad") == attributes(tmp_path / "theirs.h5ad")
    backed = anndata.read_h5ad(tmp_path / "ours.h5ad", backed="r")
    assert (backed[5:9].to_memory().X != plate[5:9].X).nnz == 0


def test_same_bytes_again_whatever_else_is_made(tmp_path):
    for name, plates in (("a", (2, 5)), ("b", (5,))):
        for plate in plates:
            simulate_plate(tmp_path / f"{name}{plate}", plate, **SIZES)
    assert (tmp_path / "a5").read_bytes() == (tmp_path / "b5").read_bytes()
    simulate_plate(tmp_path / "c5", 5, **SIZES | {"seed": 4})
    assert (tmp_path / "a5").read_bytes() != (tmp_path / "c5").read_bytes()


def test_counts_are_overdispersed_and_lines_and_doses_differ(atlas):
    counts = atlas[6].X.toarray()
    control = counts[(atlas[6].obs["drug"] == CONTROL).to_numpy()]
    mean, variance = control.mean(axis=0), control.var(axis=0, ddof=1)
    assert (variance > 1.3 * mean)[mean > 1].mean() > 0.9

    def shift(plate):
        """How far the profiles of drugs are from the control's."""
        profile = plate.X.toarray() / plate.obs["tscp_count"].to_numpy()[:, None]
        treated = (plate.obs["drug"] != CONTROL).to_numpy()
        return np.abs(profile[treated].mean(axis=0) - profile[~treated].mean(axis=0)).sum()

    weak, strong = (np.mean([shift(atlas[p]) for p in plates]) for plates in ((1, 4, 7), (3, 6, 9)))
    assert strong > weak


@pytest.mark.parametrize(
    "sizes",
    [
        {"cells_per_plate": 1, "genes": 1, "cell_lines": 1, "drugs": 2},
        {"cells_per_plate": 50, "genes": 3, "cell_lines": 1, "drugs": 2},
        {"cells_per_plate": 7, "genes": 70_000, "cell_lines": 2, "drugs": 3},
    ],
)
@pytest.mark.parametrize("plate", [1, 13, 14, 20])
def test_degenerate_sizes(tmp_path, sizes, plate):
    simulate_plate(tmp_path / "plate.h5ad", plate, seed=0, **sizes)
    plate = anndata.read_h5ad(tmp_path / "plate.h5ad")
    assert plate.shape == (sizes["cells_per_plate"], sizes["genes"])


FULL_WIDTH = """
import re, sys
from cellshuffle.simulation.counts import simulate_plate
simulate_plate(sys.argv[1], 6, 3000, 62_710, 50, 380, 0)
# not ru_maxrss, which starts at the size of the process that started this one
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def test_full_width_in_little_memory(tmp_path):
    path = tmp_path / "plate.h5ad"
    command = [sys.executable, "-c", FULL_WIDTH, str(path)]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(LIBRARY)}, check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 600  # MiB; 3,000 dense cells are 750
    with h5py.File(path) as file:
        indptr, indices = file["X/indptr"][:], file["X/indices"][:]
    assert 1_700 < np.diff(indptr).mean() < 2_500
    in_batch = [len(np.unique(indices[indptr[k] : indptr[k + 64]])) for k in range(0, 2_900, 64)]
    assert 14_000 < np.mean(in_batch) < 17_500
