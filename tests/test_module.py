"""Another workflow uses this one as a module, from a folder of its own."""

import subprocess
import sys

import pytest
import yaml
from cellshuffle.files import read_json
from conftest import REPOSITORY, SMALL, merged

SNAKEFILE = """
configfile: "analysis.yaml"

module cellshuffle:
    snakefile: "{repository}/Snakefile"
    config: config["orders"]

use rule * from cellshuffle as cellshuffle_*

rule all:
    default_target: True
    input:
        "results/small/train/streaming/seed0/metrics.json",
        "results/small/metrics.csv",
    output: "done.txt"
    shell: "cp {{input[0]}} {{output}}"
"""


@pytest.fixture
def other_workflow(tmp_path):
    """Folder of a workflow whose own configuration has this one's as a section."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(repository=REPOSITORY))
    sizes = {"simulate": {"cells_per_plate": 60}, "train_plates": [1]}
    orders = merged(SMALL, {"atlas": sizes, "training": {"seeds": [0], "epochs": 1}})
    orders["strategies"] = {"streaming": {"sampler": "Streaming"}}
    orders["figures"] = {"published": True}
    (tmp_path / "analysis.yaml").write_text(yaml.safe_dump({"orders": orders}))
    return tmp_path


def run_in(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_another_workflow_trains_with_this_one(other_workflow):
    run_in(other_workflow)
    assert read_json(other_workflow / "done.txt")["n_test"] == 60


def test_every_path_of_the_report_survives(other_workflow):
    plan = run_in(other_workflow, "--dry-run", "--quiet", "rules", "--", "cellshuffle_all")
    for rule in ("cellshuffle_figure_comparison", "cellshuffle_summary", "cellshuffle_check_input"):
        assert rule in plan
