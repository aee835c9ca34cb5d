"""Combinations that are never trained on, through the real workflow."""

import anndata
import numpy as np
import pandas as pd
import pytest
from cellshuffle.atlas.combinations import held_out_of
from cellshuffle.files import load_npy, read_json
from runs import fails, merged, on_existing_atlas, snakemake

COLUMNS = ["cell_line", "drug"]
PLATES = [1, 4, 14]
SCORES = "results/small/train/block_weighted/seed0/metrics.json"


def configuration(small_run, **split):
    atlas = {"train_plates": PLATES, "test_plates": ..., "split": {"columns": COLUMNS} | split}
    config = on_existing_atlas(small_run, atlas=atlas, training={"seeds": [0], "epochs": 1})
    names = ("streaming", "block_weighted")
    return config | {"strategies": {name: config["strategies"][name] for name in names}}


@pytest.fixture(scope="module")
def cells(small_run):
    """Obs of every cell, in the order of the plates."""
    tables = []
    for plate in PLATES:
        path = next((small_run / "data/small").glob(f"plate{plate}_*"))
        tables.append(anndata.read_h5ad(path).obs[COLUMNS].astype(str))
    return pd.concat(tables, keys=PLATES, names=["plate"]).reset_index("plate")


@pytest.fixture(scope="module")
def run(small_run, cells, tmp_path_factory):
    """A run in which all combinations of one drug, and a few others, are held out, to its report's page."""
    folder = tmp_path_factory.mktemp("held_out")
    lost = next(drug for drug in sorted(set(cells["drug"])) if drug != "DMSO_TF")
    combinations = cells[COLUMNS].drop_duplicates().sort_values(COLUMNS)
    held_out = pd.concat(
        [combinations[combinations["drug"] == lost], combinations.iloc[::9]]
    ).drop_duplicates()
    held_out.assign(note="why not").to_csv(folder / "held_out.csv", index=False)
    config = configuration(small_run, table="held_out.csv")
    done = snakemake(
        folder, config, SCORES, "results/small/summary/answers.html", "results/small/comparison.md"
    )
    return folder, config, lost, set(held_out.itertuples(index=False, name=None)), done.stdout


def sides(cells, held_out):
    own = list(cells[COLUMNS].itertuples(index=False, name=None))
    test = np.array([one in held_out for one in own])
    return {"train": cells[~test], "test": cells[test]}


def test_every_combination_is_wholly_on_its_side(run, cells):
    folder, _, lost, held_out, _ = run
    metrics = read_json(folder / SCORES)
    classes = read_json(folder / "results/small/labels/classes.json")
    for side, there in sides(cells, held_out).items():
        codes = load_npy(folder / f"results/small/labels/{side}.npy")
        assert metrics[f"n_{side}"] == len(there) == len(codes) > 0
        for position, task in enumerate(COLUMNS):
            assert [classes[task][code] for code in codes[:, position]] == there[task].tolist()
    assert lost in classes["drug"]


def test_check_and_plan_say_what_is_held_out_and_what_is_never_trained_on(run, cells):
    folder, config, lost, held_out, output = run
    n_cells, n_all = len(sides(cells, held_out)["test"]), len(cells[COLUMNS].drop_duplicates())
    words = f"{len(held_out)} of {n_all} combinations of cell_line x drug are tested on and never trained on"
    plan = snakemake(folder, config, "plan").stdout
    for said in (output, plan):
        assert f"{words}, {n_cells:,} of {len(cells):,} cells" in said
        assert lost in said
    assert "never seen in training" in output and "hold out fewer of their combinations" in output
    assert "in the test split alone" in plan


def test_the_report_says_how_the_cells_are_divided(run):
    folder = run[0]
    page = (folder / "results/small/summary/answers.html").read_text()
    text = (folder / "results/small/comparison.md").read_text()
    for shown in (page, text):
        assert (
            "ested on held-out combinations of cell_line and drug" in shown
            or "tests it on held-out comb" in shown
        )
    assert (
        "The combinations named in held_out.csv are held out: all of their cells are tested on, none is"
        in page
    )


def test_another_table_packs_the_plates_again(run, cells):
    folder, config, lost, held_out, _ = run
    fewer = sorted(one for one in held_out if one[1] != lost)
    pd.DataFrame(fewer, columns=COLUMNS).to_csv(folder / "held_out.csv", index=False)
    snakemake(folder, config, SCORES)
    assert read_json(folder / SCORES)["n_test"] == len(sides(cells, set(fewer))["test"])


def test_a_draw_does_not_depend_on_the_order_of_plates(small_run, cells, tmp_path):
    drawn = {"fraction": 0.3, "seed": 1}
    config = configuration(small_run, **drawn)
    held_out = held_out_of(list(cells[COLUMNS].itertuples(index=False, name=None)), drawn)
    expected = {side: len(there) for side, there in sides(cells, held_out).items()}
    config = merged(config, {"atlas": {"train_plates": PLATES[::-1]}})
    snakemake(tmp_path, config, "results/small/labels/test.npy")
    found = {side: len(load_npy(tmp_path / f"results/small/labels/{side}.npy")) for side in expected}
    assert found == expected and min(found.values()) > 0


def test_a_table_that_is_not_there(small_run, tmp_path):
    config = configuration(small_run, table="nowhere.csv")
    fails(["nowhere.csv: there is no such table of combinations"], tmp_path, config)
    simulated = {"dir": "data/small", "simulate": {"cells_per_plate": 20, "genes": 9}}
    fails(["nowhere.csv: there is no such file"], tmp_path, merged(config, {"atlas": simulated}))
