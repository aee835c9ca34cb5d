"""What `make` hands on to the commands it calls: any path as one word, the run by its real name."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from atlases import sound_plate
from runs import REPOSITORY

ODD = "my 'first' run, #1 (a & b)"
FORMS = {
    "quoted key": '"run": mine\natlas: {}\n',
    "flow mapping": "{atlas: {run: inner}, run: 'mine'}\n",
    "JSON": json.dumps({"atlas": {"run": "inner"}, "run": "mine"}, indent="\t"),
    "comment": "atlas: {}\nrun:   mine  # run: other\n",
    "none": "atlas:\n  run: inner\n",
}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A function that calls make, where Snakemake is a script that writes down its arguments."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / "workflow").symlink_to(REPOSITORY / "workflow")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    commands = {
        "python": f'exec "{sys.executable}" "$@"',
        "snakemake": 'printf "%s\\n" "$@" >> said',
    }
    for name, command in commands.items():
        (tmp_path / ".venv/bin" / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    (tmp_path / "requirements.txt").touch()
    (tmp_path / ".venv/.complete").touch()
    for run in ("mine", "demo"):
        (tmp_path / "results" / run).mkdir(parents=True)
        (tmp_path / "results" / run / "comparison.md").write_text(f"the table of {run}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def call(*arguments):
        command = ["make", *arguments, "CORES=1"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.mark.parametrize("form", FORMS)
def test_the_table_is_that_of_the_run(make, tmp_path, form):
    (tmp_path / "own.json").write_text(FORMS[form])
    run = "demo" if form == "none" else "mine"
    said = make("run", "CONFIG=own.json")
    assert f"the table of {run}" in said and f"report   results/{run}/report.html" in said
    assert f"results/{run}/report.html" in (tmp_path / "said").read_text().splitlines()


def test_a_path_is_one_word(make, tmp_path):
    (tmp_path / "home").mkdir()
    for folder in (".", "home"):
        (tmp_path / folder / f"{ODD}.yaml").write_text("run: mine\n")
    for target in ("run", "plan"):
        said = make(target, f"CONFIG={ODD}.yaml")
        assert target == "plan" or "the table of mine" in said
        assert f"{ODD}.yaml" in (tmp_path / "said").read_text().splitlines()
        (tmp_path / "said").unlink()
    assert "the table of mine" in make("run", f"CONFIG=~/{ODD}.yaml")
    assert f"{tmp_path}/home/{ODD}.yaml" in (tmp_path / "said").read_text().splitlines()
    (tmp_path / "results/mine/comparison.csv").touch()
    make("reference", f"CONFIG={ODD}.yaml")
    assert "reference" in (tmp_path / "results/reference/config.yaml").read_text()


def test_a_folder_of_plates_is_one_word(make, tmp_path):
    (tmp_path / ODD).mkdir()
    sound_plate(1).write_h5ad(tmp_path / ODD / "all.h5ad")
    said = make("config", f"ATLAS={ODD}", f"CONFIG=of {ODD}.yaml")
    assert yaml.safe_load((tmp_path / f"of {ODD}.yaml").read_text())["atlas"]["dir"] == ODD
    (next_step,) = [line for line in said.splitlines() if line.startswith("  make plan")]
    subprocess.run(next_step, shell=True, cwd=tmp_path, check=True, env=os.environ)
    assert f"of {ODD}.yaml" in (tmp_path / "said").read_text().splitlines()
