"""What every job asks a scheduler for: said by its own rule, and enough for the whole atlas."""

from collections import Counter

import pytest
from dry_runs import jobs_of, write_placeholders
from runs import REPOSITORY, SMALL, merged, snakemake

# Rules without a script: Snakemake runs them itself.
NOTES = {"all", "pass_check"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """{rule: what each of its jobs asks for} of config/tahoe.yaml, with no profile to fill gaps."""
    folder = tmp_path_factory.mktemp("tahoe")
    write_placeholders(folder)
    config = (REPOSITORY / "config/tahoe.yaml").read_text()
    options = ["--dry-run", "--nocolor", "--workflow-profile", "none"]
    return jobs_of(snakemake(folder, config, *options, cores=64).stdout)


def test_every_job_of_the_whole_atlas_is_planned(plan):
    counts = Counter({rule: len(jobs) for rule, jobs in plan.items()})
    expected = {"pack_plate": 14, "encode_labels": 1, "weigh_cells": 1, "train": 18, "gather": 1}
    expected |= {"check_input": 1, "diversity": 1, "compare": 1, "draw_figures": 1, "draw_confusions": 1}
    assert {rule: counts[rule] for rule in expected} == expected


def test_every_rule_asks_for_time_memory_and_disk_itself(plan):
    missing = {
        rule: sorted({"mem_mb", "runtime", "disk_mb"} - set(job))
        for rule, jobs in plan.items()
        for job in jobs
        if rule not in NOTES
    }
    assert len(missing) > 10
    assert {rule: lacking for rule, lacking in missing.items() if lacking} == {}


def test_training_asks_for_one_gpu_and_what_was_measured(plan):
    for job in plan["train"]:
        assert job["gpu"] == "1" and job["threads"] == "2"
        assert 3_000 < int(job["mem_mb"]) < 16_000
        assert 30 < int(job["runtime"]) < 24 * 60
    assert not any(int(job.get("gpu", 0)) for job in plan["pack_plate"])


def test_packing_streams(plan):
    for job in plan["pack_plate"]:
        assert int(job["mem_mb"]) <= 2_000
        assert 50_000 < int(job["disk_mb"]) < 120_000  # 6.8 million cells of 8.4 kB


@pytest.mark.parametrize(
    ("training", "pack", "threads"),
    [
        ({"threads": 1, "prefetch": 0}, True, 1),
        ({"threads": 1, "prefetch": 32}, True, 2),
        ({"threads": 3, "prefetch": 32}, True, 4),
        ({"threads": 1, "prefetch": 32, "workers": 3}, False, 4),
        ({"threads": 1, "prefetch": 0, "workers": 3}, False, 1),
    ],
)
def test_a_training_asks_for_the_threads_that_it_uses(tmp_path, training, pack, threads):
    config = merged(SMALL, {"training": training, "atlas": {"pack": pack}})
    done = snakemake(tmp_path, config, "--dry-run", "--nocolor", cores=8)
    assert {job["threads"] for job in jobs_of(done.stdout)["train"]} == {str(threads)}
