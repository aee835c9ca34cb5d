"""Tables and figures from cached results on a fresh clone: only drawing rules, the same tables."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "results" / "reference"
DRAWING = {"gather", "compare", "summary", "figures"}
TABLES = ["metrics.csv", "comparison.csv", "comparison.md"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files that git has, or would have, at another place and with today's modification times."""
    if not REFERENCE.exists():
        pytest.skip("results/reference is not there yet")
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr + done.stdout


def rules_run(log):
    return set(re.findall(r"^(?:local)?rule (\w+):$", log, re.MULTILINE))


def test_only_drawing_rules_run_and_tables_are_identical(clone):
    cached = clone / "results" / "reference"
    committed = {name: (cached / name).read_bytes() for name in TABLES}
    for name in TABLES:
        (cached / name).unlink()
    log = snakemake(clone, "figures", "--config", "run=reference")
    ran = rules_run(log)
    assert ran and all(rule in DRAWING or rule.startswith("figure_") for rule in ran), ran
    for name, content in committed.items():
        assert (cached / name).read_bytes() == content, name
    drawn = sorted(path.name for path in (cached / "figures").glob("*.svg"))
    assert {"comparison.svg", "why.svg", "tradeoff.svg"} <= set(drawn)
    assert not (clone / "data").exists() and not (cached / "labels").exists()


def test_nothing_is_left_to_do(clone):
    assert "Nothing to be done" in snakemake(clone, "figures", "--config", "run=reference")


def test_cached_results_are_small():
    if not REFERENCE.exists():
        pytest.skip("results/reference is not there yet")
    size = sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file())
    assert size < 8 * 2**20
