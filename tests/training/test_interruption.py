"""A training that is stopped goes on where it stood, to the byte, and reads nothing twice."""

import os
import signal
import subprocess
import sys

import pytest
import torch
import trainings
from cellshuffle.atlas.plates import Plates
from cellshuffle.errors import Stopped
from cellshuffle.files import atomic_write
from cellshuffle.training.interruption import stop_signal
from cellshuffle.training.job import run_job
from trainings import (
    BATCH,
    EPOCHS,
    FETCH,
    N_TRAIN,
    SAME,
    STEPS,
    STRATEGIES,
    at_step,
    job_of,
    results,
    stopped,
    terminate,
)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    trainings.write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(atlas, tmp_path_factory):
    return trainings.undisturbed_results(atlas, tmp_path_factory.mktemp("undisturbed"))


def test_a_training_whose_end_went_unnoticed_is_not_done_again(atlas, tmp_path, monkeypatch):
    """Snakemake was killed, the training went on and ended: the outputs are deleted as incomplete."""
    job = job_of(atlas, tmp_path, "buffer")
    run_job(job)
    first = results(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*SAME, "history.csv", "checkpoint.pt"}
    for name in (*SAME, "history.csv"):
        (tmp_path / name).unlink()
    monkeypatch.setattr("cellshuffle.training.loop.take_step", None)
    run_job(job)
    assert results(tmp_path) == first


def test_hidden_layers_resume_to_the_byte_with_any_number_of_threads(atlas, tmp_path, monkeypatch):
    """Wide enough that torch would share the products out among threads."""
    run_job(job_of(atlas, tmp_path / "whole", "buffer", hidden=[300, 90]))
    stopped(atlas, tmp_path / "cut", monkeypatch, hidden=[300, 90])
    run_job(job_of(atlas, tmp_path / "cut", "buffer", hidden=[300, 90], threads=3))
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    model = torch.load(tmp_path / "cut/model.pt", weights_only=True)
    assert [tuple(weight.shape) for weight, _ in model["layers"]] == [(300, 90), (90, 8)]
    run_job(job_of(atlas, tmp_path / "linear", "buffer"))
    assert set(torch.load(tmp_path / "linear/model.pt", weights_only=True)) == set(model) - {"layers"}


def test_more_epochs_go_on_from_fewer(atlas, tmp_path, undisturbed):
    run_job(job_of(atlas, tmp_path, "blocks", epochs=EPOCHS - 1))
    run_job(job_of(atlas, tmp_path, "blocks"))
    assert results(tmp_path) == undisturbed["blocks"]


def test_fewer_epochs_begin_anew(atlas, tmp_path, capsys):
    run_job(job_of(atlas, tmp_path, "blocks"))
    run_job(job_of(atlas, tmp_path, "blocks", epochs=EPOCHS - 1))
    assert f"after epoch {EPOCHS - 1} of {EPOCHS - 1}" in capsys.readouterr().err


def test_ctrl_c_then_again(atlas, undisturbed, tmp_path, monkeypatch):
    job = job_of(atlas, tmp_path, "weighted")
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="start again to go on"):
        at_step(patch, 5, lambda: os.kill(os.getpid(), signal.SIGINT))
        run_job(job)
    run_job(job)
    assert results(tmp_path) == undisturbed["weighted"]


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
def test_a_crash_goes_back_to_the_last_checkpoint(atlas, undisturbed, tmp_path, monkeypatch, step, minutes):
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


def test_leftovers_of_the_killed_are_removed_and_of_the_living_kept(tmp_path):
    program = (
        "import sys, os; from cellshuffle.files import atomic_write\n"
        f"with atomic_write({str(tmp_path / 'table.csv')!r}) as partial:\n"
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
    with atomic_write(tmp_path / "table.csv") as partial:
        partial.write_text("all of it")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3 and names[-1] == "table.csv"
    assert f".{others[1].pid}-" in "".join(names) and f".{others[0].pid}-" not in "".join(names)
    others[1].communicate()
    assert (tmp_path / "table.csv").read_text() == "half"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial-mine", "table.csv"]


def test_a_second_sigterm_does_not_kill():
    """Linux sends one for each thread of a parent that was killed; who stops has yet to say so."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with stop_signal() as stop_requested:
        assert not stop_requested()
    assert before == {number: signal.getsignal(number) for number in before}
    try:
        with stop_signal() as stop_requested:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop_requested()
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before[signal.SIGTERM])
    assert signal.getsignal(signal.SIGINT) == before[signal.SIGINT]
