"""Another workflow uses this one as a module, from a folder of its own, as docs/architecture.md shows."""

import re

import pytest
import yaml
from cellshuffle.files import read_json
from runs import REPOSITORY, SMALL, merged, snakemake, snakemake_in

PAGE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
OWN = """
rule {name}:
    input:
        "results/small/train/streaming/seed0/metrics.json",
        "results/small/metrics.csv",
    output: "done.txt"
    shell: "cp {{input[0]}} {{output}}"
"""
# Where the caller's own target stands: before what the page shows, after it, or between its statements.
ORDERS = {
    "rule all first": lambda shown: OWN.format(name="all") + shown,
    "rule all last": lambda shown: shown + OWN.format(name="all"),
    "rule all between": lambda shown: shown.replace("\nuse rule", OWN.format(name="all") + "\nuse rule"),
    "another rule before": lambda shown: OWN.format(name="mine") + shown,
    "a default target said": lambda shown: (
        shown + "\nrule other:\n    output: 'other.txt'\n"
        + OWN.format(name="all").replace(":\n", ":\n    default_target: True\n", 1)
    ),
}  # fmt: skip


@pytest.fixture
def other_workflow(tmp_path):
    """Folder of a workflow whose own configuration has this one's as a section."""
    (shown,) = re.findall(r"```python\n(configfile.*?)```", PAGE, re.DOTALL)
    shown = shown.replace("path/to/cellshuffle", str(REPOSITORY))
    (tmp_path / "shown").write_text(shown)
    (tmp_path / "Snakefile").write_text(ORDERS["rule all last"](shown))
    sizes = {"simulate": {"cells_per_plate": 60}, "train_plates": [1]}
    orders = merged(SMALL, {"atlas": sizes, "training": {"seeds": [0], "epochs": 1}})
    orders["strategies"] = {"streaming": {"sampler": "Streaming"}}
    orders["figures"] = {"published": True}
    (tmp_path / "analysis.yaml").write_text(yaml.safe_dump({"orders": orders}))
    return tmp_path


def test_another_workflow_trains_with_this_one(other_workflow):
    snakemake_in(other_workflow)
    assert read_json(other_workflow / "done.txt")["n_test"] == 60


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_the_default_target_stays_the_callers(other_workflow, order, snakefile):
    """In every order of the file; and nothing is said of rules that the caller does not have."""
    shown = (
        (other_workflow / "shown").read_text().replace(f"{REPOSITORY}/Snakefile", f"{REPOSITORY}/{snakefile}")
    )
    (other_workflow / "Snakefile").write_text(ORDERS[order](shown))
    plan = snakemake_in(other_workflow, "--dry-run", "--quiet", "rules")
    jobs = job_counts(plan)
    assert jobs["mine" if "another" in order else "all"] == "1" and "other" not in jobs
    assert jobs["cellshuffle_train"] == "1" and "cellshuffle_compare" not in jobs
    assert "localrules" not in plan


def test_every_path_of_the_report_survives(other_workflow):
    plan = snakemake_in(other_workflow, "--dry-run", "--quiet", "rules", "--", "cellshuffle_all")
    for rule in ("cellshuffle_draw_figures", "cellshuffle_summary", "cellshuffle_check_input"):
        assert rule in plan


def job_counts(plan):
    """{rule: jobs} of what a dry run printed."""
    return dict(re.findall(r"^(\w+) +(\d+)$", plan, re.MULTILINE))


def test_the_snakefile_where_catalogues_look_plans_the_same(other_workflow):
    """By itself, where it has the default target too, and as a module."""
    options, name = ["--dry-run", "--quiet", "rules"], REPOSITORY / "workflow/Snakefile"
    expected = job_counts(snakemake(other_workflow / "plain", SMALL, *options).stdout)
    found = snakemake(other_workflow / "plain", SMALL, *options, "--snakefile", str(name)).stdout
    assert job_counts(found) == expected and int(expected["total"]) > 25
    module = [*options, "--", "cellshuffle_all"]
    expected = job_counts(snakemake_in(other_workflow, *module))
    path = other_workflow / "Snakefile"
    path.write_text(path.read_text().replace(f"{REPOSITORY}/Snakefile", str(name)))
    assert str(name) in path.read_text()
    assert job_counts(snakemake_in(other_workflow, *module)) == expected
