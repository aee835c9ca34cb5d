"""What made each result is known without Snakemake's memory; and what no run made is not overwritten."""

import json
import os
import re
import shutil
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from cellshuffle.atlas.checksum import changed
from cellshuffle.cli import main
from cellshuffle.errors import InputError
from cellshuffle.files import read_json
from cellshuffle.packing.origin import check_origin
from runs import SMALL, SOUND, copy_repository, fails, merged, snakemake

TARGETS = ["results/small/metrics.csv", "results/small/weights/cells.npy"]
SCORES = "results/small/train/streaming/seed0/metrics.json"
TRAININGS = len(SMALL["strategies"]) * len(SMALL["training"]["seeds"])


@pytest.fixture(scope="module")
def forgotten(small_run, tmp_path_factory):
    """A copy of the finished small run of which Snakemake remembers nothing."""
    folder = tmp_path_factory.mktemp("forgotten") / "run"
    shutil.copytree(small_run, folder, symlinks=True)
    shutil.rmtree(folder / ".snakemake")
    return folder


@pytest.fixture
def own(forgotten, tmp_path):
    """A copy of it, for a test to change."""
    return shutil.copytree(forgotten, tmp_path / "run", symlinks=True)


def planned(folder, config, *options, targets=TARGETS):
    done = snakemake(folder, config, *targets, "--dry-run", "--quiet", "rules", *options)
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"training": {"threads": 2, "prefetch": 0}}, {}),
        ({"training": {"learning_rate": 0.5}}, {"train": TRAININGS, "gather": 1}),
        ({"training": {"seeds": [1, 0]}}, {"gather": 1}),
        ({"strategies": {"block_shuffling": {"block_size": 8}}}, {"train": 2, "gather": 1}),
        ({"weights": {"balance": ["drug"]}}, {"weigh_cells": 1, "train": 4, "gather": 1}),
        ({"tasks": {"moa_fine": ...}}, {"encode_labels": 1, "train": TRAININGS}),
        ({"atlas": {"layer": "raw"}}, {"pack_plate": 5, "encode_labels": 1, "train": TRAININGS}),
        ({"atlas": {"simulate": {"cells_per_plate": 100}}}, {"simulate_plate": 5, "train": TRAININGS}),
    ],
)
def test_what_differs_is_made_again(forgotten, changes, expected):
    found = planned(forgotten, merged(SMALL, changes))
    assert expected.items() <= found.items() and (bool(found) == bool(expected))


def test_strategies_in_another_order_make_the_tables_again(forgotten):
    config = SMALL | {"strategies": dict(reversed(SMALL["strategies"].items()))}
    assert planned(forgotten, config) == {"gather": 1, "total": 1}


@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("training/evaluation", {"train": TRAININGS}),
        ("labels/weights", {"weigh_cells": 1, "train": TRAININGS}),
        ("simulation/design", {"simulate_plate": 5, "pack_plate": 5}),
        ("report/markdown", {}),
    ],
)
def test_edited_code_makes_what_it_decides_again(forgotten, tmp_path, module, rules):
    copy_repository(tmp_path)
    with open(tmp_path / f"workflow/scripts/cellshuffle/{module}.py", "a") as file:
        file.write("# an edit\n")
    options = ["--rerun-triggers", "params", "--snakefile", str(tmp_path / "Snakefile")]
    found = planned(forgotten, SMALL, *options)
    assert rules.items() <= found.items() and bool(found) == bool(rules)


def test_plates_packed_before_an_edit_of_that_code_are_named(forgotten, tmp_path):
    """To pack an atlas again takes hours."""
    copy_repository(tmp_path)
    with open(tmp_path / "workflow/scripts/cellshuffle/packing/pack.py", "a") as file:
        file.write("# an edit\n")
    options = ["--dry-run", "--rerun-triggers", "params", "--snakefile", str(tmp_path / "Snakefile")]
    output = snakemake(forgotten, SMALL, *TARGETS, *options).stdout
    assert "plate1.h5ad: was packed before the code in cellshuffle/packing was edited" in output
    assert "(and the same of 4 more)" in output and not re.search(r"^pack_plate +\d", output, re.MULTILINE)


def test_results_of_a_version_without_records_are_made_again(small_run, tmp_path):
    own = shutil.copytree(small_run, tmp_path / "run", symlinks=True)
    shutil.rmtree(own / "results/small/made")
    scores = read_json(own / SCORES)
    made_by = scores.pop("fingerprint")
    (own / SCORES).write_text(json.dumps(scores))
    snakemake(own, SMALL, SCORES, "--rerun-triggers", "params")
    assert read_json(own / SCORES)["fingerprint"] == made_by


def test_scores_of_another_recipe_are_not_gathered(own):
    """Not even where the record was copied along with them."""
    other = own / "results/small/train/streaming/seed1"
    shutil.copy(other / "metrics.json", own / SCORES)
    (own / TARGETS[0]).unlink()
    assert planned(own, SMALL)["train"] == 1
    words = [f"{SCORES}: no job of this run made this file, or it was changed since"]
    fails(words, own, SMALL, *TARGETS)
    (own / SCORES).unlink()
    snakemake(own, SMALL, *TARGETS)
    assert read_json(own / SCORES)["seed"] == 0


def test_a_table_that_no_run_made(own):
    for path in (own / TARGETS[0], own / "results/small/comparison.csv"):
        path.write_text("mine\n")
    targets = [*TARGETS, "results/small/comparison.md"]
    words = ["results/small/comparison.csv: no job of this run made this file", "delete it to make it again"]
    fails(words, own, SMALL, *targets)
    (own / "results/small/comparison.csv").unlink()
    changed = merged(SMALL, {"training": {"epochs": 1}})
    fails(["results/small/metrics.csv: no job of this run made this file"], own, changed, *targets)
    assert (own / TARGETS[0]).read_text() == "mine\n"


def test_edited_simulated_files(own):
    plate = own / "data/small" / SMALL["atlas"]["plate_file"].format(plate=4)
    with h5py.File(plate, "r+") as file:
        file["X/data"][3] += 1
    other = merged(SMALL, {"atlas": {"simulate": {"seed": 1}}})
    before = plate.read_bytes()
    fails([f"{plate.name}: no job of this run made this file"], own, other, *TARGETS)
    plate.unlink()
    table = own / "data/small/drug_metadata.csv"
    drugs = pd.read_csv(table, keep_default_na=False)
    drugs.loc[3, "moa-fine"] = "mine"
    drugs.to_csv(table, index=False)
    fails(["drug_metadata.csv: no job of this run made this file"], own, other, *TARGETS)
    assert "mine" in table.read_text() and before


def test_a_changed_count_of_a_packed_plate(own, capsys):
    plates = sorted((own / "results/small/packed").glob("*.h5ad"))
    main(["check", *map(str, plates)])
    assert capsys.readouterr().err.count(": as it was packed\n") == 5
    with h5py.File(plates[0], "r+") as file:
        file["X/data"][7] += 1
    with h5py.File(plates[1], "r+") as file:
        file["obs/drug/codes"][:2] = file["obs/drug/codes"][:2][::-1] + np.int8(1)
    assert changed(plates[0]) == ["X"] and changed(plates[1]) == ["obs"] and changed(plates[2]) == []
    with pytest.raises(SystemExit, match=f"{plates[0].name}: X changed since it was packed; delete it"):
        main(["check", *map(str, plates)])
    with h5py.File(plates[1]) as file:
        made_from = file.attrs["cellshuffle"]
    with pytest.raises(InputError, match="obs changed since it was packed"):
        check_origin(plates[1], made_from)


def test_plates_and_tables_from_the_future(sound):
    """Their times are compared for difference, not for order."""
    day = time.time() + 86_400
    for path in (sound / "atlas").iterdir():
        os.utime(path, (day, day))
    target = ["results/bad/metrics.csv"]
    for pack in (True, False):
        config = merged(SOUND, {"run": f"pack_{pack}", "atlas": {"pack": pack}})
        targets = [f"results/pack_{pack}/{name}" for name in ("metrics.csv", "weights/cells.npy")]
        snakemake(sound, config, *targets)
        assert planned(sound, config, targets=targets) == {}
    os.utime(sound / "atlas/plate2.h5ad", (day, day + 1))
    assert planned(sound, config, targets=targets)["train"] == 1 and target
