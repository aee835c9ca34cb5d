"""What every job asks a scheduler for: said by its own rule, and enough for the whole atlas."""

from collections import Counter

import pytest
from cellshuffle.training.settings import Execution
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
    options = ["--dry-run", "--nocolor"]
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
        # Left open: 12 trainings do not fit on eight cores with a loader each, two do.
        ({"workers": 3}, False, 1),
        ({"seeds": [0]}, True, 1),
        ({"device": "cuda"}, True, 2),
    ],
)
def test_a_training_asks_for_the_threads_that_it_uses(tmp_path, training, pack, threads):
    config = merged(SMALL, {"training": training, "atlas": {"pack": pack}})
    done = snakemake(tmp_path, config, "--dry-run", "--nocolor", cores=8)
    assert {job["threads"] for job in jobs_of(done.stdout)["train"]} == {str(threads)}


def test_batches_are_prepared_ahead_where_every_training_has_a_core_for_it():
    """`prefetch` left open, by the number of trainings and cores; what is said is done."""
    execution = Execution()
    for trainings, cores, expected in (
        (1, 2, 32),
        (2, 2, 0),
        (2, 4, 32),
        (18, 35, 0),
        (18, 36, 32),
        (18, None, 32),
    ):
        decided = execution.decided(trainings, cores, 1, True)
        assert decided.prefetch == expected, (trainings, cores)
        threads = decided.threads_per_node(1, True)
        assert (
            execution.limited_to(threads, 1).prefetch == expected
        )  # as the job does that gets these threads
    assert execution.decided(2, 6, 2, True).prefetch == 0 and execution.decided(2, 8, 2, True).prefetch == 32
    assert Execution(prefetch=4).decided(18, 1, 1, True).prefetch == 4
    assert Execution(prefetch=4).limited_to(1, 1).prefetch == 0
