"""What the whole atlas would ask a cluster for: a dry run, on placeholders of the plates' sizes."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

pytest.importorskip("snakemake_executor_plugin_slurm", reason="requirements-slurm.txt is missing")
ROOT = Path(__file__).parents[2]
PLATE_BYTES = 314 * 10**9 // 14


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Printed plan of config/tahoe.yaml: {rule: [{resource: value} of every job]}."""
    folder = tmp_path_factory.mktemp("tahoe")
    atlas = yaml.safe_load((ROOT / "config" / "tahoe.yaml").read_text())["atlas"]
    data = folder / atlas["dir"]
    data.mkdir(parents=True)
    for plate in range(1, 15):
        path = data / atlas["plate_file"].format(plate=plate)
        path.touch()
        os.truncate(path, PLATE_BYTES)  # all hole, no bytes
    (data / "drug_metadata.parquet").touch()
    published = folder / "results" / "published"
    published.parent.mkdir()
    published.symlink_to(ROOT / "results" / "published")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nocolor"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--profile", ROOT / "profiles/slurm", "--configfile", ROOT / "config/tahoe.yaml"]
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {}
    for block in re.split(r"\n\s*(?=(?:local)?rule \w+:\n)", done.stdout + done.stderr):
        rule = re.match(r"(?:local)?rule (\w+):", block)
        resources = re.search(r"resources: (.*)", block)
        if rule and resources:
            pairs = dict(item.split("=", 1) for item in resources[1].split(", ") if "=" in item)
            pairs["threads"] = (re.search(r"threads: (\d+)", block) or [0, "1"])[1]
            jobs.setdefault(rule[1], []).append(pairs)
    return jobs


def test_job_counts(plan):
    counts = Counter({rule: len(jobs) for rule, jobs in plan.items()})
    expected = {"pack_plate": 14, "encode_labels": 1, "weigh_cells": 1, "train": 18, "gather": 1}
    assert {rule: counts[rule] for rule in expected} == expected


def test_every_job_asks_for_time_memory_and_disk(plan):
    for rule, jobs in plan.items():
        for job in jobs:
            assert rule == "all" or {"mem_mb", "runtime", "disk_mb", "threads"} <= set(job), rule


def test_training_asks_for_one_gpu_and_what_was_measured(plan):
    for job in plan["train"]:
        assert job["gpu"] == "1"
        assert 3_000 < int(job["mem_mb"]) < 16_000
        assert 30 < int(job["runtime"]) < 24 * 60
    assert not any(int(job.get("gpu", 0)) for job in plan["pack_plate"])


def test_packing_streams(plan):
    for job in plan["pack_plate"]:
        assert int(job["mem_mb"]) <= 2_000
        assert 50_000 < int(job["disk_mb"]) < 120_000  # 6.8 million cells of 8.4 kB
