"""The pipeline on a real SLURM: jobs submitted, killed in every way there is, numbers unchanged."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slurm_cluster
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "profiles" / "slurm"
STRATEGIES = {
    "streaming": {"sampler": "Streaming", "shuffle": False},
    "random_sampling": {"sampler": "BlockShuffling", "block_size": 1},
    "true_weighted": {"sampler": "BlockWeightedSampling", "block_size": 1},
}
FASTER = ["--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "10"]
# A job that takes the whole node from those in `main`.
URGENT = ["sbatch", "-p", "urgent", "-c", "4", "--mem", "100", "-o", "/dev/null", "--wrap", "true"]
MISSING = slurm_cluster.missing_programs()
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"SLURM is not installed here (no {', '.join(MISSING)}): nothing tested"
)


def write_config(folder):
    """The embedded run, smaller and with more epochs; returns the path of its file."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["run"] = "small"
    config["atlas"] |= {"train_plates": [1, 4, 5], "test_plates": [14]}
    config["atlas"]["simulate"] |= {"genes": 1000}
    config["strategies"] = STRATEGIES
    config["training"] |= {"seeds": [0], "epochs": 60, "device": "cpu", "prefetch": 0}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def snakemake(folder, *arguments, env=None):
    """Start snakemake on the pipeline, working in `folder`; its output goes to a file there."""
    command = [sys.executable, "-m", "snakemake", "results/small/comparison.csv", "--nocolor"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", write_config(folder), *arguments]
    with open(folder / "snakemake.out", "w") as out:
        return subprocess.Popen(list(map(str, command)), env=env, stdout=out, stderr=out)


def finish(process, folder, seconds=600):
    """Wait for snakemake to succeed; return what it printed."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    text = (folder / "snakemake.out").read_text()
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=60)
        pytest.fail(f"snakemake did not end within {seconds} s:\n{text[-5000:]}")
    assert process.returncode == 0, text[-5000:]
    return text


def wait_for(condition, process, seconds=400):
    """What condition() returns once it is true; fails when snakemake ends first."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert process.poll() is None, "snakemake ended too early"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


def training_process(log):
    """Process id of the training that writes this log, None if there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b".train.py" not in (entry / "cmdline").read_bytes():
                continue
            for file in (entry / "fd").iterdir():
                if os.readlink(file) == str(log):
                    return int(entry.name)
    return None


def freeze(folder, strategies, process, epochs):
    """Stop the trainings of these strategies for now, each once so many of its epochs are done."""
    running = {folder / f"results/small/logs/train/{name}/seed0.log" for name in strategies}

    def all_stopped():
        for log in list(running):
            if log.exists() and len(re.findall(r"epoch \d+ of \d+:", log.read_text())) >= epochs:
                pid = training_process(log)
                if pid:  # none: the log is that of the job before
                    os.kill(pid, signal.SIGSTOP)
                    running.remove(log)
        return not running

    wait_for(all_stopped, process)


def job_of(slurm, strategy, state="RUNNING"):
    """SLURM's number of a strategy's training job in this state."""
    jobs = [j for j in slurm.jobs() if j["comment"] == f"rule_train_wildcards_{strategy}_0"]
    return next((job["id"] for job in jobs if job["state"] == state), None)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Folder of the same run on this machine, never interrupted."""
    folder = tmp_path_factory.mktemp("local")
    finish(snakemake(folder, "--cores", "2"), folder)
    return folder


@pytest.fixture
def slurm():
    with slurm_cluster.running_slurm() as cluster:
        yield cluster
    assert slurm_cluster.processes_of(cluster.folder) == []


def test_interrupted_on_slurm_same_bytes_as_local(local, slurm, tmp_path):
    process = snakemake(tmp_path, "--profile", PROFILE, *FASTER, env=slurm.env)
    try:
        # everything running is preempted: SLURM itself puts it back in the queue
        freeze(tmp_path, STRATEGIES, process, 2)
        first = {strategy: job_of(slurm, strategy) for strategy in STRATEGIES}
        slurm.run(*URGENT)
        wait_for(lambda: all(job_of(slurm, s, "PENDING") for s in STRATEGIES), process)

        # then one training is cancelled, one is given too little time
        freeze(tmp_path, ["streaming", "random_sampling"], process, 4)
        assert job_of(slurm, "streaming") == first["streaming"]
        slurm.run("scancel", first["streaming"])
        slurm.run("scontrol", "update", f"JobId={first['random_sampling']}", "TimeLimit=1")
        finish(process, tmp_path)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

    trained = [job for job in slurm.jobs() if job["comment"].startswith("rule_train_")]
    states = {(job["comment"].split("_wildcards_")[1], job["state"]) for job in trained}
    assert states == {
        ("streaming_0", "CANCELLED"),
        ("streaming_0", "COMPLETED"),
        ("random_sampling_0", "TIMEOUT"),
        ("random_sampling_0", "COMPLETED"),
        ("true_weighted_0", "COMPLETED"),
    }
    for job in trained:  # SLURM's own log of completed batch jobs knows every one of them
        assert (job["id"], job["state"]) in slurm.ended()
    for strategy in STRATEGIES:  # a log begins anew with every start
        log = tmp_path / f"results/small/logs/train/{strategy}/seed0.log"
        (epoch,) = re.findall(r"continuing from the checkpoint: epoch (\d+)", log.read_text())
        assert int(epoch) >= (3 if strategy == "true_weighted" else 7)
    assert_same_numbers(local, tmp_path)


def test_cancelled_to_make_room_same_bytes_as_local(local, tmp_path):
    """Where SLURM cancels what it preempts and does not start it again, the run does."""
    with slurm_cluster.running_slurm("CANCEL") as slurm:
        process = snakemake(tmp_path, "--profile", PROFILE, *FASTER, env=slurm.env)
        try:
            freeze(tmp_path, STRATEGIES, process, 2)
            first = {job_of(slurm, strategy) for strategy in STRATEGIES}
            slurm.run(*URGENT)
            wait_for(lambda: slurm.ended() & {(job, "PREEMPTED") for job in first}, process)
            finish(process, tmp_path)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert {(job, state) for job in first for state in ("PREEMPTED", "COMPLETED")} <= slurm.ended()
    assert_same_numbers(local, tmp_path)


def assert_same_numbers(ours, theirs):
    """Every file of scores, predictions and weights has the same bytes in both runs."""
    files = [ours / "results/small/metrics.csv"]
    for name in ("metrics.json", "predictions.npz", "model.pt"):
        files += sorted((ours / "results/small/train").rglob(name))
    assert len(files) == 1 + 3 * len(STRATEGIES)
    for file in files:
        assert (theirs / file.relative_to(ours)).read_bytes() == file.read_bytes(), file
