"""A training that is stopped goes on where it stood, to the byte, and reads nothing twice."""

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from cellshuffle import checkpoint, files, training
from cellshuffle.files import save_npy, whole, write_json
from cellshuffle.interruption import Stopped
from cellshuffle.job import run_job
from cellshuffle.plates import Plates
from test_plates import write_plate

STRATEGIES = {
    "buffer": {"sampler": "Streaming", "shuffle": True},
    "blocks": {"sampler": "BlockShuffling", "block_size": 4},
    "weighted": {"sampler": "BlockWeightedSampling", "block_size": 2},
}
BATCH, FETCH, EPOCHS = 8, 4, 3
N_TRAIN = 270
STEPS = -(-N_TRAIN // BATCH)  # an epoch's
SAME = ("metrics.json", "predictions.npz", "model.pt")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """Folder with three plates, labels and weights."""
    folder, generator = tmp_path_factory.mktemp("atlas"), np.random.default_rng(0)
    for number, n_cells in enumerate((150, 120, 60)):
        counts = sp.random_array((n_cells, 40), density=0.2, rng=generator).toarray()
        write_plate(folder / f"{number}.h5ad", np.ceil(9 * counts).astype("f4"), "csr", {}, "i4")
    for split, n_cells in (("train", N_TRAIN), ("test", 60)):
        codes = generator.integers(0, [3, 5], (n_cells, 2)).astype(np.uint16)
        save_npy(folder / f"{split}.npy", codes)
    save_npy(folder / "weights.npy", generator.random(N_TRAIN))
    write_json(folder / "classes.json", {"line": list("abc"), "drug": list("vwxyz")})
    return folder


def job_of(atlas, folder, strategy, **settings):
    settings = {
        "strategy": strategy,
        "seed": 3,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "fetch_factor": FETCH,
        "learning_rate": 0.01,
        "device": "cpu",
        "prefetch": 0,
    } | settings
    names = {"metrics": SAME[0], "predictions": SAME[1], "model": SAME[2], "history": "history.csv"}
    return {
        "strategy": strategy,
        "entry": STRATEGIES[strategy],
        "settings": settings,
        "plates": {"train": [atlas / "0.h5ad", atlas / "1.h5ad"], "test": [atlas / "2.h5ad"]},
        "max_cells": {"train": None, "test": None},
        "layer": None,
        "workers": 1,
        "labels": {name: atlas / f"{name}.npy" for name in ("train", "test")}
        | {"classes": atlas / "classes.json"},
        "weights": atlas / "weights.npy",
        "outputs": {name: str(folder / file) for name, file in names.items()}
        | {"checkpoint": str(folder / "checkpoint.pt")},
    }


def results(folder):
    return {name: (folder / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module")
def undisturbed(atlas, tmp_path_factory):
    """{strategy: content of the results}."""
    found = {}
    for strategy in STRATEGIES:
        folder = tmp_path_factory.mktemp(strategy)
        run_job(job_of(atlas, folder, strategy))
        found[strategy] = results(folder)
    return found


def at_step(monkeypatch, number, act):
    """Call `act` when the model takes its step `number`, counted over all epochs, from 1."""
    taken, original = [], training.losses_and_gradient

    def counting(*arguments):
        taken.append(1)
        if len(taken) == number:
            act()
        return original(*arguments)

    monkeypatch.setattr(training, "losses_and_gradient", counting)
    return taken


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_finished_training_leaves_only_its_results(atlas, tmp_path):
    run_job(job_of(atlas, tmp_path, "buffer"))
    assert {path.name for path in tmp_path.iterdir()} == {*SAME, "history.csv"}


@pytest.mark.parametrize("prefetch", [0, 16])
@pytest.mark.parametrize("step", [1, 5, STEPS, STEPS + 17, 3 * STEPS])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_sigterm_then_again(atlas, undisturbed, tmp_path, monkeypatch, strategy, step, prefetch):
    job = job_of(atlas, tmp_path, strategy, prefetch=prefetch)
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="start again to go on"):
        at_step(patch, step, terminate)
        run_job(job)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    held = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    done = held["epoch"] * STEPS + held["step"]
    assert step <= done <= step + 1  # at most the batch that was being taken, and one more
    read, original = [], Plates.fetch

    def counting(plates, cells):
        if len(plates) == N_TRAIN:
            read.append(len(cells))
        return original(plates, cells)

    with monkeypatch.context() as patch:
        patch.setattr(Plates, "fetch", counting)
        taken = at_step(patch, 0, None)
        run_job(job)
    assert len(taken) == EPOCHS * STEPS - done
    left = EPOCHS * N_TRAIN - held["epoch"] * N_TRAIN - held["step"] * BATCH
    assert sum(read) <= left + (BATCH * FETCH)
    assert results(tmp_path) == undisturbed[strategy]
    assert not (tmp_path / "checkpoint.pt").exists()


def test_stopped_again_and_again(atlas, undisturbed, tmp_path, monkeypatch):
    job = job_of(atlas, tmp_path, "weighted")
    stops = 0
    while not (tmp_path / "metrics.json").exists():
        with monkeypatch.context() as patch:
            at_step(patch, 10, terminate)
            try:
                run_job(job)
            except Stopped:
                stops += 1
    assert stops >= 8
    assert results(tmp_path) == undisturbed["weighted"]


class Crash(BaseException):
    """Stands for SIGKILL: nothing of the library catches it."""


@pytest.mark.parametrize("minutes", [1e-9, 10])
@pytest.mark.parametrize("step", [2, STEPS + 9, 3 * STEPS - 1])
def test_a_crash_goes_back_to_the_last_checkpoint(
    atlas, undisturbed, tmp_path, monkeypatch, step, minutes
):
    def crash():
        raise Crash

    job = job_of(atlas, tmp_path, "blocks", checkpoint_minutes=minutes)
    with monkeypatch.context() as patch, pytest.raises(Crash):
        at_step(patch, step, crash)
        run_job(job)
    with monkeypatch.context() as patch:
        taken = at_step(patch, 0, None)
        run_job(job)
    lost_since = step - 1 if minutes < 1 else (step - 1) // STEPS * STEPS  # by epoch otherwise
    assert len(taken) == EPOCHS * STEPS - lost_since
    assert results(tmp_path) == undisturbed["blocks"]


@pytest.mark.parametrize("where", ["model", "predictions", "history", "metrics"])
def test_a_crash_while_results_are_written(atlas, undisturbed, tmp_path, monkeypatch, where):
    job = job_of(atlas, tmp_path, "buffer")
    replaced, original = job["outputs"][where], os.replace

    def crash(source, target):
        if str(target) == replaced:
            raise Crash
        original(source, target)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(os, "replace", crash)
        run_job(job)
    assert not os.path.exists(replaced) and (tmp_path / "checkpoint.pt").exists()
    with monkeypatch.context() as patch:
        taken = at_step(patch, 0, None)
        run_job(job)
    assert not taken  # only tested again
    assert results(tmp_path) == undisturbed["buffer"]


def stopped(atlas, folder, monkeypatch, **settings):
    """A folder with the checkpoint of a training that was stopped; its job."""
    job = job_of(atlas, folder, "buffer", **settings)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        at_step(patch, 7, terminate)
        run_job(job)
    return job


def test_another_configuration_discards_the_checkpoint(
    atlas, undisturbed, tmp_path, monkeypatch, capsys
):
    stopped(atlas, tmp_path, monkeypatch, learning_rate=0.5)
    run_job(job_of(atlas, tmp_path, "buffer"))
    assert "checkpoint discarded, it belongs to another configuration" in capsys.readouterr().err
    assert results(tmp_path) == undisturbed["buffer"]


@pytest.mark.parametrize("what", ["plates", "labels", "version"])
def test_other_data_or_versions_discard_the_checkpoint(atlas, tmp_path, monkeypatch, capsys, what):
    copied, out = tmp_path / "atlas", tmp_path / "out"
    shutil.copytree(atlas, copied)
    job = stopped(copied, out, monkeypatch)
    if what == "plates":
        os.utime(copied / "1.h5ad", (1, 1))
    elif what == "labels":
        codes = np.load(copied / "train.npy")
        codes[0] = (codes[0] + 1) % 3
        save_npy(copied / "train.npy", codes)
    else:
        monkeypatch.setattr(checkpoint.scdataset, "__version__", "0")
    run_job(job)
    assert "checkpoint discarded" in capsys.readouterr().err
    assert not (out / "checkpoint.pt").exists()


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "other content"])
def test_a_broken_checkpoint_is_discarded(
    atlas, undisturbed, tmp_path, monkeypatch, capsys, damage
):
    job = stopped(atlas, tmp_path, monkeypatch)
    path = tmp_path / "checkpoint.pt"
    match damage:
        case "cut":
            os.truncate(path, path.stat().st_size // 2)
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not a checkpoint")
        case "pickle":
            path.write_bytes(pickle.dumps(Evil()))
        case "other content":
            torch.save([1, 2, 3], path)
    monkeypatch.chdir(tmp_path)
    run_job(job)
    assert "checkpoint discarded, it is not a whole checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()
    assert results(tmp_path) == undisturbed["buffer"]


def test_a_full_disk_leaves_the_last_checkpoint(atlas, undisturbed, tmp_path, monkeypatch):
    job = stopped(atlas, tmp_path, monkeypatch)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def torch_save(content, file):
        file.write(b"half")
        raise RuntimeError("unexpected pos 704 vs 598")  # what torch says of a full disk

    with monkeypatch.context() as patch, pytest.raises(OSError) as raised:
        patch.setattr(torch, "save", torch_save)
        patch.setattr(files, "_is_full", lambda folder: True)
        run_job(job)
    assert raised.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    run_job(job)
    assert results(tmp_path) == undisturbed["buffer"]


def test_leftovers_of_the_killed_are_removed_and_of_the_living_kept(tmp_path):
    program = (
        "import sys, os; from cellshuffle.files import whole\n"
        f"with whole({str(tmp_path / 'table.csv')!r}) as partial:\n"
        "    partial.write_text('half')\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(2)
    ]
    for other in others:
        assert other.stdout.readline() == b"ready\n"
    others[0].kill()
    others[0].wait()
    (tmp_path / ".partial-mine").write_text("of somebody else")
    with whole(tmp_path / "table.csv") as partial:
        partial.write_text("all of it")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3 and names[-1] == "table.csv"
    assert f".{others[1].pid}-" in "".join(names) and f".{others[0].pid}-" not in "".join(names)
    others[1].communicate()
    assert (tmp_path / "table.csv").read_text() == "half"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial-mine", "table.csv"]
