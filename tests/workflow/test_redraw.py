"""Tables and figures from cached results on a fresh clone: only drawing rules, the same tables."""

import shutil

import yaml
from runs import REPOSITORY, fails, finished, merged, snakemake, snakemake_in

DRAWING = {"gather", "compare", "draw_figures", "draw_confusions", "summary", "figures"}


def test_only_drawing_rules_run_and_tables_are_identical(redrawn):
    assert redrawn.rules == DRAWING
    cached = redrawn.folder / "results/reference"
    for name, content in redrawn.tables.items():
        assert (cached / name).read_bytes() == content, name
    drawn = {path.name for path in (cached / "figures").glob("*.svg")}
    assert {"comparison.svg", "why.svg", "tradeoff.svg"} <= drawn
    assert not (redrawn.folder / "data").exists() and not (cached / "labels").exists()


def test_nothing_is_left_to_do(redrawn):
    output = snakemake_in(redrawn.folder, "figures", "--config", "run=reference")
    assert "Nothing to be done" in output


def test_cached_results_are_small():
    files = [path for path in (REPOSITORY / "results/reference").rglob("*") if path.is_file()]
    assert len(files) > 50 and sum(path.stat().st_size for path in files) < 8 * 2**20


def test_published_numbers_are_marked(redrawn, tmp_path):
    shutil.copytree(redrawn.folder, tmp_path / "clone")
    run = tmp_path / "clone/results/reference"
    with open(run / "config.yaml", "a") as file:
        file.write("figures: {published: true}\n")
    drawing = "results/reference/figures/comparison.svg"
    snakemake_in(tmp_path / "clone", drawing, "--config", "run=reference")
    words = "published for Tahoe-100M"
    assert words in (tmp_path / "clone" / drawing).read_text()
    assert words not in (redrawn.folder / drawing).read_text()


def test_another_configuration_is_not_thrown_away(tmp_path):
    """A configuration named like cached results is theirs, however it writes down the defaults."""
    shutil.copytree(REPOSITORY / "results/reference", tmp_path / "results/reference")
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    words = ["error: run: reference has cached results of another configuration", "another name"]
    other = merged(config, {"run": "reference", "training": {"epochs": 3}})
    fails(words, tmp_path, other, "figures", "--dry-run")
    fails(words, tmp_path, other | {"run": "mine"}, "figures", "--config", "run=reference", "-n")
    same = merged(config, {"run": "reference", "atlas": {"max_train_cells": ..., "layer": None}})
    snakemake(tmp_path, same, "figures", "--dry-run")
    changed = ["figures", "--config", "figures={task: drug}", "-n"]
    snakemake(tmp_path, same, *changed)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(other))
    plain = ["--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1", "figures", "--dry-run"]
    assert words[0] in finished(plain, tmp_path, check=False).stdout
    finished([*plain, "--config", "run=reference"], tmp_path)
