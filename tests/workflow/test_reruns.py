"""What is made again when the configuration changes: all that the change can alter, and nothing else."""

import os
import re
import shutil

import pytest
from atlases import sound_plate
from runs import SMALL, SOUND, copy_repository, merged, snakemake, training_files

TARGETS = [
    *training_files(SMALL["strategies"], SMALL["training"]["seeds"]),
    "results/small/metrics.csv",
]
SEEDS = len(SMALL["training"]["seeds"])


@pytest.fixture(scope="module")
def finished(small_run, tmp_path_factory):
    """A copy of the finished small run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(small_run, folder, symlinks=True)
    return folder


def planned(folder, changes, *options, base=SMALL, targets=TARGETS):
    """{rule: jobs} that would run in the finished folder with a changed configuration."""
    options = [*targets, "--dry-run", "--quiet", "rules", *options]
    done = snakemake(folder, merged(base, changes), *options)
    counts = re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(n) for rule, n in counts if rule != "total"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"threads": 2, "prefetch": 0, "workers": 1, "checkpoint_minutes": 1}},
        {"atlas": {"scratch": "/tmp"}},
        {"compare": {"bootstrap": 200}},
    ],
)
def test_what_decides_no_number_makes_nothing_again(finished, changes):
    assert planned(finished, changes) == {}


def test_other_weights_touch_weighted_strategies_alone(finished):
    found = planned(finished, {"weights": {"balance": ["drug"]}})
    assert found["train"] == 2 * SEEDS and found["weigh_cells"] == 1
    assert "encode_labels" not in found and "pack_plate" not in found


@pytest.mark.parametrize("training", [{"world_size": 2}, {"learning_rate": 0.5}, {"epochs": 3}])
def test_what_decides_numbers_trains_again(finished, training):
    found = planned(finished, {"training": training})
    assert found == {"train": len(SMALL["strategies"]) * SEEDS, "gather": 1}


def test_another_task_is_encoded_and_trained(finished):
    found = planned(finished, {"tasks": {"second": {"column": "drug"}}})
    assert found["encode_labels"] == 1 and found["train"] == len(SMALL["strategies"]) * SEEDS
    assert "pack_plate" not in found


def test_another_version_learns_again(finished, tmp_path):
    """What is compared in a table was made by the same code; plates stay packed."""
    copy_repository(tmp_path)
    options = ["--rerun-triggers", "params", "--snakefile", str(tmp_path / "Snakefile")]
    assert planned(finished, {}, *options) == {}
    version = tmp_path / "workflow/scripts/cellshuffle/__init__.py"
    version.write_text(version.read_text().replace('__version__ = "', '__version__ = "9'))
    found = planned(finished, {}, *options)
    assert found["train"] == len(SMALL["strategies"]) * SEEDS and found["encode_labels"] == 1
    assert "pack_plate" not in found


def test_another_simulated_atlas_is_made_and_packed(finished):
    found = planned(finished, {"atlas": {"simulate": {"seed": 1}}})
    assert found["simulate_plate"] == found["pack_plate"] == 5
    assert found["check_input"] == found["simulate_drug_metadata"] == found["encode_labels"] == 1


# A run on plates of a person, with a list of genes and a folder of packed plates that runs may share.
OWN = merged(
    SOUND,
    {
        "atlas": {"genes": "genes.txt", "packed_dir": "packed"},
        "strategies": {"weighted": {"sampler": "BlockWeightedSampling", "block_size": 2}},
    },
)
N_PLATES, N_STRATEGIES = 3, 2
# What follows from labels that are made again; the weights are those of all strategies.
FROM_LABELS = {"encode_labels": 1, "weigh_cells": 1, "train": N_STRATEGIES, "gather": 1}


@pytest.fixture(scope="module")
def own_run(sound_atlas, tmp_path_factory):
    """Folder in which OWN has run to its table."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(sound_atlas, folder / "atlas")
    (folder / "genes.txt").write_text("".join(f"g{k}\n" for k in range(20)))
    snakemake(folder, OWN, "results/bad/metrics.csv")
    return folder


@pytest.fixture
def own(own_run, tmp_path):
    """A copy of it, for a test to change."""
    shutil.copytree(own_run, tmp_path / "own")
    return tmp_path / "own"


def planned_own(folder, changes=None, *options, run="bad", file="metrics.csv"):
    changes = {"run": run} | (changes or {})
    return planned(folder, changes, *options, base=OWN, targets=[f"results/{run}/{file}"])


def replace_plate(folder, number):
    """Another plate in place of one, older than the one that was there."""
    path = folder / f"atlas/plate{number}.h5ad"
    before = path.stat()
    sound_plate(number, n_cells=61).write_h5ad(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 10**12))


def test_of_own_plates_nothing_is_made_again(own_run):
    changes = {"atlas": {"scratch": "/tmp"}, "training": {"threads": 2}}
    assert planned_own(own_run, changes) == {}


def test_other_weights_redo_only_weighted_strategies(own_run):
    """One of the balanced labels is no task: a column of the plates, which the check looks at too."""
    found = planned_own(own_run, {"weights": {"balance": ["drug"]}})
    assert found == {"weigh_cells": 1, "train": 1, "gather": 1}


@pytest.mark.parametrize("changes", [{"train_plates": [2, 1]}, {"max_train_cells": 70}])
def test_other_cells_of_the_same_plates_are_not_packed_again(own_run, changes):
    found = planned_own(own_run, {"atlas": changes})
    assert found == {"check_input": 1} | FROM_LABELS


@pytest.mark.parametrize("changes", [{"layer": "counts"}, {"genes": ...}])
def test_another_selection_packs_every_plate(own_run, changes):
    found = planned_own(own_run, {"atlas": changes})
    assert found == {"check_input": 1, "pack_plate": N_PLATES} | FROM_LABELS


def test_another_list_of_genes_packs_every_plate(own):
    path = own / "genes.txt"
    path.write_text("".join(f"g{k}\n" for k in range(1, 21)))
    os.utime(path, (1, 1))
    assert planned_own(own) == {"check_input": 1, "pack_plate": N_PLATES} | FROM_LABELS


def test_a_changed_plate_is_packed_alone(own):
    replace_plate(own, 2)
    assert planned_own(own) == {"check_input": 1, "pack_plate": 1} | FROM_LABELS
    assert planned_own(own, {"atlas": {"layer": "counts"}})["pack_plate"] == N_PLATES
    found = planned_own(own, {"atlas": {"pack": False, "genes": ...}})
    assert found == {"check_input": 1} | FROM_LABELS


def test_the_check_alone_packs_nothing_again(own):
    (own / "results/bad/checked.json").unlink()
    assert planned_own(own, file="checked.json") == {"check_input": 1}
    replace_plate(own, 2)
    assert planned_own(own) == {"check_input": 1, "pack_plate": 1} | FROM_LABELS


def test_a_second_run_uses_the_packed_plates(own):
    """And then both see a changed plate; the second packs, the first makes what follows from it."""
    assert planned_own(own, run="second") == {"check_input": 1} | FROM_LABELS
    snakemake(own, OWN | {"run": "second"}, "results/second/labels/classes.json")
    assert planned_own(own) == {}
    replace_plate(own, 2)
    for run in ("bad", "second"):
        assert planned_own(own, run=run)["pack_plate"] == 1
    snakemake(own, OWN | {"run": "second"}, "results/second/labels/classes.json")
    assert planned_own(own) == {"check_input": 1} | FROM_LABELS


def test_another_format_packs_every_plate(own, tmp_path):
    """As a new version of the workflow has it."""
    copy_repository(tmp_path / "clone")
    options = ["--rerun-triggers", "params", "--snakefile", str(tmp_path / "clone/Snakefile")]
    assert planned_own(own, {}, *options) == {}
    rules = tmp_path / "clone/workflow/rules/atlas.smk"
    text = rules.read_text()
    assert "        format=FORMAT,\n" in text
    rules.write_text(text.replace("        format=FORMAT,\n", "        format=2,\n"))
    found = planned_own(own, {}, *options)
    assert found == {"pack_plate": N_PLATES} | FROM_LABELS
