"""What a person reads: at the start, at the end, when something fails, and nothing with --quiet."""

import pytest
import torch
from cellshuffle.console import STARTED_AGAIN
from cellshuffle.jobs.messages import (
    LOCKED,
    end_lines,
    failure_lines,
    snakemake_error_lines,
    start_lines,
)
from runs import SMALL, merged, snakemake

NEW = {"run": "told", "strategies": {"streaming": {"sampler": "Streaming"}}}
TARGET = "results/told/train/streaming/seed0/metrics.json"


@pytest.fixture
def config():
    config = merged(SMALL, {"training": {"seeds": [0], "epochs": 1}})
    config["atlas"] |= {"train_plates": [1]}
    config["atlas"]["simulate"] |= {"cells_per_plate": 100}
    return config | NEW


def test_start_and_end_of_a_run_are_told_in_words(tmp_path, config):
    done = snakemake(tmp_path, config, "--quiet", "rules", "--", TARGET)
    assert "run told: 2 plates, 200 cells, 1 strategy with 1 seed" in done.stdout
    assert "profile" not in done.stdout
    assert "2 plates to simulate, 2 plates to pack, 1 training and labels" in done.stdout
    assert "logs: results/told/logs/, one a job" in done.stdout
    assert "cells/s" in (tmp_path / "results/told/logs/train/streaming/seed0.log").read_text()


def test_a_failure_ends_with_its_line_and_its_log(tmp_path, config):
    config["training"]["learning_rate"] = 1e38
    done = snakemake(tmp_path, config, "--quiet", "all", "--", TARGET, check=False)
    assert done.returncode == 1
    assert "run told" not in done.stdout  # quiet
    error, *last = [line for line in done.stdout.splitlines() if line.strip()][-3:]
    assert error.startswith("error: strategy streaming, seed 0: the loss is not finite")
    assert "learning_rate" in error and done.stdout.count("not finite") == 1
    assert last == [
        "train, strategy streaming, seed 0 failed, for the reason above",
        "its log: results/told/logs/train/streaming/seed0.log",
    ]


def test_a_failure_does_not_stop_what_does_not_depend_on_it(tmp_path, config):
    failing = {name: {"sampler": "Streaming", "learning_rate": 1e38} for name in "abc"}
    config["strategies"] = failing | {"streaming": {"sampler": "Streaming"}}
    targets = [TARGET.replace("streaming", name) for name in config["strategies"]]
    done = snakemake(tmp_path, config, "--", *targets, cores=1, check=False)
    assert done.returncode == 1 and done.stdout.count("error: strategy") == len(failing)
    assert [(tmp_path / target).exists() for target in targets] == [False, False, False, True]


def test_more_draws_than_memory_holds_are_one_line(tmp_path, config):
    many = {"sampler": "BlockWeightedSampling", "block_size": 1, "total_size": 10**12}
    config["strategies"] = {"streaming": many}
    done = snakemake(tmp_path, config, "--quiet", "all", "--", TARGET, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert "total_size: 1,000,000,000,000 draws take 8e+03 GB of memory, this machine has" in line
    assert not (tmp_path / "data").exists()  # before the first job


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_line(tmp_path, config):
    config["training"]["device"] = "cuda"
    done = snakemake(tmp_path, config, "--quiet", "all", "--", TARGET, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line == "error: training: device: 'cuda' is asked for, but PyTorch finds no GPU here"
    assert "train, strategy streaming, seed 0 failed, for the reason above" in done.stdout


def test_work_that_is_done_is_not_announced():
    config = {"run": "r", "strategies": {"a": 1, "b": 2}, "training": {"seeds": [0, 1]}}
    rules = ["compare", "draw_figures", "all"]
    lines = list(start_lines("results/r", config, 14, None, rules))
    assert lines[0] == "cellshuffle, run r: 14 plates, 2 strategies with 2 seeds"
    assert lines[1] == "to do: tables and figures"
    for rules, words in (
        (["train", "encode_labels"], "1 training and labels"),
        (["check_input"], "the check"),
    ):
        assert f"to do: {words}" in list(start_lines("results/r", config, 14, None, rules))[1]


def test_the_end_names_what_was_asked_for(tmp_path):
    """A comparison of an earlier run is not that of the training that has just ended."""
    (tmp_path / "comparison.md").write_text("")
    text = "\n".join(end_lines(str(tmp_path), {"encode_labels", "train"}))
    assert "comparison.md" not in text and "--report" not in text and f"results  {tmp_path}/" in text
    text = "\n".join(end_lines(str(tmp_path), {"train", "gather", "compare"}))
    assert "comparison.md" in text and "figures/" not in text


LOCK = "LockException:\nError: Directory cannot be locked. Please make sure that no other Snakemake process"
TRACEBACK = """Traceback (most recent call last):
  File "persistence.py", line 3, in lock
    open(path)
PermissionError: [Errno 13] Permission denied: '.snakemake/locks'
"""


@pytest.mark.parametrize(
    ("exception", "text", "lines"),
    [
        ("LockException", LOCK, [f"error: {LOCKED}"]),
        (
            "WorkflowError",
            'WorkflowError in rule a in file "b", line 3:\nerror: c\nd',
            ["error: c", "error: d"],
        ),
        (
            "KeyError",
            "Traceback (most recent call last):\n  File a\nKeyError: 'b'\n",
            ["error: KeyError: 'b'"],
        ),
        (
            "PermissionError",
            TRACEBACK,
            [
                "error: .snakemake/locks: permission denied; the files of a run must be readable and "
                "results/ writable"
            ],
        ),
        ("WorkflowError", "WorkflowError:\nAt least one job did not complete successfully.", []),
    ],
)
def test_what_snakemake_raises_is_said_in_our_words(exception, text, lines):
    assert snakemake_error_lines(exception, text) == lines


def test_the_line_that_matters_of_every_failed_job(tmp_path):
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    log.write_text(
        f"error: an earlier attempt\n{STARTED_AGAIN}\nreading\nerror: plate 3: truncated\n"
        "error: plate 4: truncated\nafterwards\n"
    )
    other.write_text(f"error: the disk is full\n{STARTED_AGAIN}\nTraceback\nKeyError: 'x'\n\n")
    failed = [("train", {"seed": "0"}, str(log)), ("pack", {}, str(other)), ("gather", {}, None)]
    lines = list(failure_lines(failed, seen=False))  # on a cluster; here the jobs have said it themselves
    assert lines[0].startswith("gather failed without saying why: it was killed")
    assert lines[1:] == [
        "pack failed: KeyError: 'x'",
        f"its log: {other}",
        "train, seed 0 failed: plate 3: truncated (and 1 more, in its log)",
        f"its log: {log}",
    ]
    assert "train, seed 0 failed, for the reason above" in list(failure_lines(failed))


def test_a_job_that_said_nothing_wrong_has_not_failed_for_what_it_said(tmp_path):
    """Snakemake failed it afterwards, or it was killed."""
    (tmp_path / "log").write_text("900 cells on 3 plates: nothing wrong\n")
    for seen in (True, False):
        line, log = failure_lines([("check_input", {}, str(tmp_path / "log"))], seen)
        assert "nothing wrong" not in line and "failed without saying why" in line
        assert log == f"its log: {tmp_path / 'log'}"


def test_one_fault_that_stops_many_jobs_is_not_told_many_times():
    lines = list(failure_lines([("train", {"seed": str(k)}, None) for k in range(5)]))
    assert len(lines) == 4 and lines[-1] == "and 2 more jobs failed"
