"""Jobs that SLURM cancelled to make room: those of Snakemake in its folder are put back, no others."""

import os
import time

from cellshuffle.jobs.preemption import preempted_jobs, requeue_preempted

# As `squeue --format="%i %k %Z"` prints them: number, comment, folder.
QUEUE = """\
7 rule_train_wildcards_streaming_0 /home/ann/my atlas
8 rule_train_wildcards_streaming_0 /home/ann/other
9 (null) /home/ann/my atlas
10  /home/ann/my atlas
11 rule_figures /home/ann/my atlas
"""


def stand_in(folder, monkeypatch, squeue="cat queue.txt"):
    """Programs in place of SLURM's; `scontrol` writes down what it was asked for."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (folder / "queue.txt").write_text(QUEUE)
    for name, line in {"squeue": squeue, "scontrol": 'echo "$@" >> asked.txt'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)


def test_only_jobs_of_snakemake_in_its_folder(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch)
    assert preempted_jobs("/home/ann/my atlas") == ["7", "11"]
    assert preempted_jobs("/work") == []


def test_they_are_put_back(tmp_path, monkeypatch, capsys):
    stand_in(tmp_path, monkeypatch)
    requeue_preempted("/home/ann/other", pause=1)
    end = time.monotonic() + 60
    while "job 8 was preempted" not in capsys.readouterr().err:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (tmp_path / "asked.txt").read_text().splitlines()[0] == "requeue 8"


def test_a_slurm_that_does_not_answer(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, squeue="exit 1")
    assert preempted_jobs("/home/ann/other") == []
