"""The pipeline is killed at random moments, restarted each time, and ends as if nothing had happened."""

import os
import random
import shutil
import signal
import time
from collections import Counter

import pytest
from runs import running_rules, snakemake, start

CONFIG = {
    "run": "faults",
    "atlas": {
        "dir": "data",
        "plate_file": "plate{plate}.h5ad",
        "train_plates": [1, 2, 3, 4, 5],
        "test_plates": [14],
        "simulate": {"cells_per_plate": 400, "genes": 300, "cell_lines": 4, "drugs": 20, "seed": 0},
    },
    "tasks": {"cell_line": {"column": "cell_line"}, "drug": {"column": "drug"}},
    "strategies": {
        "streaming_buffer": {"sampler": "Streaming", "shuffle": True},
        "block_shuffling": {"sampler": "BlockShuffling", "block_size": 4},
        "true_weighted": {"sampler": "BlockWeightedSampling", "block_size": 1},
    },
    "training": {
        "seeds": [0],
        "epochs": 4,
        "batch_size": 8,
        "fetch_factor": 4,
        "checkpoint_minutes": 0.002,
    },
}
TARGETS = [
    f"results/faults/{name}" for name in ("metrics.csv", "comparison.csv", "comparison.md", "classes.csv")
]
PHASES = {  # which rules make up a phase
    "simulation": ["simulate_plate", "simulate_drug_metadata"],
    "packing": ["check_input", "pack_plate"],
    "labels": ["encode_labels", "weigh_cells"],
    "training": ["train"],
    "gathering": ["gather", "compare"],
}
SHORT = ["simulation", "packing", "training", "training"]
LONG = ["simulation"] * 3 + ["packing"] * 4 + ["labels"] * 3 + ["training"] * 8 + ["gathering"] * 2
# What differs between two runs: times, and what holds them.
UNLIKE = {"history.csv", "checked.json"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    snakemake(folder, CONFIG, *TARGETS)
    return folder


def made(folder):
    """{name: content} of everything a run made."""
    files = [path for part in ("data", "results") for path in (folder / part).rglob("*")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.is_file() and path.name not in UNLIKE
        if not {"logs", "benchmarks"} & set(path.parts)
    }


def same(folder, undisturbed):
    """Assert that both folders hold the same files to the byte, leftovers being files as well."""
    ours, theirs = made(folder), made(undisturbed)
    assert set(ours) == set(theirs)
    assert [name for name in theirs if ours[name] != theirs[name]] == []


def phase_of(rules):
    for phase, members in PHASES.items():
        if set(rules) & set(members):
            return phase
    return "between jobs"


def run_and_kill(folder, phase, generator):
    """Start the pipeline, kill all of it at a random moment of a phase, or of a later one.

    Returns the phase that was hit, None when the pipeline ended before.
    """
    with open(folder / "output.txt", "ab") as output:
        run = start(folder, CONFIG, *TARGETS, cores=2, output=output)
    order = ["between jobs", *PHASES]
    while run.poll() is None:
        if order.index(phase_of(running_rules(run.pid))) >= order.index(phase):
            break
        time.sleep(0.05)
    time.sleep(generator.uniform(0, 3.0 if phase == "training" else 0.4))
    hit = phase_of(running_rules(run.pid))
    if run.poll() is not None:
        assert run.returncode == 0, (folder / "output.txt").read_text()
        return None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return hit


def kill_often(folder, phases, seed):
    """Kill the pipeline once in each of `phases`, then let it end; how many kills hit which phase.

    Where it ends before it is killed, trainings and tables are deleted, and it is started for another kill.
    """
    generator, hits = random.Random(seed), Counter()
    for phase in phases:
        while (hit := run_and_kill(folder, phase, generator)) is None:
            shutil.rmtree(folder / "results/faults/train")
            for target in TARGETS:
                (folder / target).unlink()
        hits[hit] += 1
    snakemake(folder, CONFIG, *TARGETS)
    return hits


def test_killed_and_restarted_ends_the_same(undisturbed, tmp_path):
    hits = kill_often(tmp_path, SHORT, seed=1)
    assert hits[None] == 0 and hits["training"] > 0
    same(tmp_path, undisturbed)


@pytest.mark.skipif("FAULTS" not in os.environ, reason="long: `make test-faults`")
def test_killed_twenty_times_ends_the_same(undisturbed, tmp_path, capsys):
    seed = int(os.environ["FAULTS"]) or int(time.time())
    hits = kill_often(tmp_path, LONG, seed)
    with capsys.disabled():
        shown = ", ".join(f"{count} {phase}" for phase, count in hits.items())
        print(f"\n{hits.total() - hits[None]} kills (seed {seed}) hit: {shown}")
    assert hits.total() - hits[None] >= 20
    same(tmp_path, undisturbed)
