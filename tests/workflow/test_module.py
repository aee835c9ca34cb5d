"""Another workflow uses this one as a module, from a folder of its own, as docs/architecture.md shows."""

import re

import pytest
import yaml
from cellshuffle.files import read_json
from runs import REPOSITORY, SMALL, merged, snakemake_in

PAGE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
TARGET = """
rule all:
    default_target: True
    input:
        "results/small/train/streaming/seed0/metrics.json",
        "results/small/metrics.csv",
    output: "done.txt"
    shell: "cp {input[0]} {output}"
"""


@pytest.fixture
def other_workflow(tmp_path):
    """Folder of a workflow whose own configuration has this one's as a section."""
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    shown = shown.replace("path/to/cellshuffle", str(REPOSITORY))
    (tmp_path / "Snakefile").write_text(shown + TARGET)
    sizes = {"simulate": {"cells_per_plate": 60}, "train_plates": [1]}
    orders = merged(SMALL, {"atlas": sizes, "training": {"seeds": [0], "epochs": 1}})
    orders["strategies"] = {"streaming": {"sampler": "Streaming"}}
    orders["figures"] = {"published": True}
    (tmp_path / "analysis.yaml").write_text(yaml.safe_dump({"orders": orders}))
    return tmp_path


def test_another_workflow_trains_with_this_one(other_workflow):
    snakemake_in(other_workflow)
    assert read_json(other_workflow / "done.txt")["n_test"] == 60


def test_every_path_of_the_report_survives(other_workflow):
    plan = snakemake_in(other_workflow, "--dry-run", "--quiet", "rules", "--", "cellshuffle_all")
    for rule in ("cellshuffle_figure_comparison", "cellshuffle_summary", "cellshuffle_check_input"):
        assert rule in plan
