"""A checkpoint goes on with its own training alone; any other file in its place is discarded."""

import errno
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
import trainings
from cellshuffle import files
from cellshuffle.training import checkpoint
from cellshuffle.training.job import run_job
from damage import Evil
from trainings import job_of, results, stopped


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    trainings.write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(atlas, tmp_path_factory):
    return trainings.undisturbed_results(atlas, tmp_path_factory.mktemp("undisturbed"))


def test_another_configuration_discards_the_checkpoint(atlas, undisturbed, tmp_path, monkeypatch, capsys):
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
        np.save(copied / "train.npy", codes)
    else:
        monkeypatch.setattr(checkpoint.scdataset, "__version__", "0")
    run_job(job)
    assert "checkpoint discarded" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "other content"])
def test_a_broken_checkpoint_is_discarded(atlas, undisturbed, tmp_path, monkeypatch, capsys, damage):
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
