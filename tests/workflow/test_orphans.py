"""What a run has started ends with it, whichever of its processes is killed."""

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

import pytest
from runs import SMALL, SOUND, fails, merged, running_rules, snakemake, start

SCORES = "results/bad/train/streaming/seed0/metrics.json"
ENDLESS = merged(SOUND, {"training": {"epochs": 10**6, "checkpoint_minutes": 60}})
TWO = merged(ENDLESS, {"training": {"world_size": 2}})


def processes_of(folder, word):
    """{PID: parent's PID} of living processes that work in a folder and have a word in their command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            inside = os.path.realpath(process / "cwd") == str(folder)
            if inside and state != "Z" and word in (process / "cmdline").read_text():
                found[int(process.name)] = int(parent)
    return found


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def all_end(folder):
    """Assert that soon no process of a killed run works in the folder."""
    wait_until(lambda: not processes_of(folder, ""), 20)


@contextlib.contextmanager
def held(path):
    """Hold the lock of a job, which waits for it, so that it can be killed at leisure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def kill(run, whole_group):
    (os.killpg if whole_group else os.kill)(run.pid, signal.SIGKILL)
    run.communicate()


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("rule", ["simulate_plate", "pack_plate"])
def test_plates(sound, tmp_path, rule, whole_group):
    simulates = rule == "simulate_plate"
    config = SMALL if simulates else SOUND
    name = SMALL["atlas"]["plate_file"].format(plate=1)
    target = f"data/small/{name}" if simulates else "results/bad/packed/plate1.h5ad"
    path = sound / target
    with held(path.with_name(f".{path.name}.lock")):
        run = start(sound, config, target, cores=1)
        wait_until(lambda: rule in running_rules(run.pid))
        kill(run, whole_group)
        all_end(sound)
    assert not path.exists() and not list(path.parent.glob(".partial-*"))
    snakemake(sound, config, target)
    assert [file.name for file in path.parent.glob(".*")] == []


def training(folder, config, n_workers):
    """Start a training that has no end; returns once it is under way."""
    run = start(folder, config, SCORES, cores=2)
    log = folder / "results/bad/logs/train/streaming/seed0.log"
    wait_until(lambda: log.exists() and "epoch 2 of" in log.read_text())
    assert len(processes_of(folder, "cellshuffle.training.job")) == n_workers
    return run


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_training(sound, whole_group):
    run = training(sound, ENDLESS, 0)
    kill(run, whole_group)
    all_end(sound)
    assert (sound / SCORES).with_name("checkpoint.pt").exists() and not (sound / SCORES).exists()
    log = (sound / "results/bad/logs/train/streaming/seed0.log").read_text()
    assert whole_group or "told to stop" in log


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_training_of_several_processes(sound, whole_group):
    """torchrun's processes are in sessions of their own, which no kill of the group reaches."""
    run = training(sound, TWO, 3)  # torchrun has the name in its command as well
    kill(run, whole_group)
    all_end(sound)


@pytest.mark.parametrize("who", ["the launcher", "a process"])
def test_killed_of_several_processes(sound, who):
    run = training(sound, TWO, 3)
    processes = processes_of(sound, "cellshuffle.training.job")
    (launcher,) = set(processes.values()) & set(processes)
    worker = next(pid for pid, parent in processes.items() if parent == launcher)
    os.kill(launcher if who == "the launcher" else worker, signal.SIGKILL)
    output, _ = run.communicate()
    all_end(sound)
    assert run.returncode == 1 and "Traceback" not in output, output
    lines = {line for line in output.splitlines() if line.startswith("error: ")}  # a log is shown again
    word = (
        "torchrun was killed by SIGKILL" if who == "the launcher" else f"(PID {worker}, counted from 0) was"
    )
    assert len(lines) == 1 and word in min(lines), output


def test_several_nodes_without_slurm(sound, monkeypatch):
    """Whether or not its commands are installed."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    several = merged(SOUND, {"training": {"world_size": 2, "nodes": 2}})
    fails(["training: nodes: 2 needs SLURM", "train on one node"], sound, several, SCORES)
    assert not (sound / "results/bad/packed").exists()
