"""A run that reads some of the cells is the run on an atlas that holds no others."""

import anndata
import numpy as np
from runs import SMALL, merged, numbers, on_existing_atlas, snakemake, training_files

BALANCED = {"block_weighted": SMALL["strategies"]["block_weighted"]}
RESULTS = ("metrics.json", "predictions.npz", "model.pt")


def config_of(small_run, plates=None, where=None):
    """One strategy, balanced by a column that is no task; plates: another folder for them."""
    config = on_existing_atlas(
        small_run, weights={"balance": ["cell_line", "plate"]}, training={"epochs": 1, "seeds": [0]}
    )
    config["strategies"] = BALANCED
    changes = {"where": where, "packed_dir": None if plates else str(small_run / "results/small/packed")}
    return merged(config, {"atlas": changes | ({"dir": str(plates)} if plates else {})})


def test_where_is_an_atlas_of_these_cells(small_run, tmp_path):
    where, folder = {"pass_filter": "full", "drug": None}, tmp_path / "plates"
    drugs = set()
    for path in sorted((small_run / "data/small").glob("*.h5ad")):
        drugs |= set(anndata.read_h5ad(path).obs["drug"])
    where["drug"] = sorted(drugs)[:-2]  # some plates lack some of these
    folder.mkdir()
    kept = {}
    for path in sorted((small_run / "data/small").glob("*.h5ad")):
        cells = anndata.read_h5ad(path)
        cells = cells[(cells.obs["pass_filter"] == "full") & cells.obs["drug"].isin(where["drug"])].copy()
        kept[path.name] = cells.n_obs
        cells.write_h5ad(folder / path.name)
    orders = [f"diversity/block_weighted/{name}.csv" for name in ("entropy", "plates", "draws", "order")]
    targets = [*training_files(BALANCED, [0]), *(f"results/small/{name}" for name in orders)]
    chosen = snakemake(tmp_path / "where", config_of(small_run, where=where), *targets)
    snakemake(tmp_path / "apart", config_of(small_run, plates=folder), *targets)
    found, expected = (tmp_path / name / "results/small" for name in ("where", "apart"))
    assert not (found / "packed").exists()  # the packed plates of another run are read as they are
    for name in RESULTS:
        place = f"train/block_weighted/seed0/{name}"
        assert numbers(found / place) == numbers(expected / place), name
    for name in orders:  # also of a balanced column that is no task
        assert (found / name).read_text() == (expected / name).read_text(), name
    for name in ("labels/train.npy", "weights/cells.npy"):
        np.testing.assert_array_equal(np.load(found / name), np.load(expected / name))
    n_test = kept.pop(next(name for name in kept if "plate14_" in name))
    n_train = sum(kept.values())
    assert (
        f"warning: atlas: where: {n_train:,} of 1,200 train cells have pass_filter = full and"
        in chosen.stdout
    )
    plan = snakemake(tmp_path / "where", config_of(small_run, where=where), "plan").stdout
    assert f"{n_train:,} to train on, {n_test:,} to test on, with pass_filter = full" in plan


def test_where_without_cells_is_told_before_anything_starts(small_run, tmp_path):
    for where, words in (
        ({"pass_filter": "ful"}, "atlas: where: no plate has the value 'ful' in obs column 'pass_filter'"),
        ({"passed": True}, "obs has no column 'passed'"),
        ({"plate": "plate14"}, "atlas: where: none of the 1,200 train cells has plate = plate14"),
    ):
        done = snakemake(
            tmp_path, config_of(small_run, where=where), "results/small/checked.json", check=False
        )
        assert words in done.stdout and done.returncode
