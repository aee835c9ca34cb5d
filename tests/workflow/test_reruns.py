"""What is made again when the configuration changes: all that the change can alter, and nothing else."""

import re
import shutil

import pytest
from runs import SMALL, copy_repository, merged, snakemake, training_files

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


def planned(folder, changes, *options):
    """{rule: jobs} that would run in the finished folder with a changed configuration."""
    options = [*TARGETS, "--dry-run", "--quiet", "rules", *options]
    done = snakemake(folder, merged(SMALL, changes), *options)
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
