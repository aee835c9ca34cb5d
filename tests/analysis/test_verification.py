"""`make verify` tells exact, within the spread, and not apart."""

import copy
import shutil

import pytest
import synthetic_run
from cellshuffle.analysis import reference, verification
from cellshuffle.errors import InputError
from cellshuffle.files import read_json, write_json


@pytest.fixture
def folder(tmp_path):
    return synthetic_run.write_run(tmp_path, synthetic_run.make_config(2, 3))


def test_three_verdicts(folder):
    theirs = verification.trainings(folder)
    assert verification.verify(theirs, theirs)[0] == verification.EXACTLY
    ours = copy.deepcopy(theirs)
    ours["streaming", 0]["scores"]["drug"]["macro_f1"] += 0.001
    verdict, difference = verification.verify(ours, theirs)
    assert verdict == verification.WITHIN
    assert difference == "scores differ by at most 1e-03, in streaming drug macro_f1 seed 0; losses identical"
    ours["streaming", 0]["scores"]["drug"]["macro_f1"] += 0.9
    ours["streaming", 1]["order_sha256"][0] = "f" * 64
    verdict, difference = verification.verify(ours, theirs)
    assert verdict == verification.NOT
    assert difference.startswith("the cells came in another order in 1 of 6 trainings; ")
    assert "mean streaming drug macro_f1 differs by 0.3003, allowed" in difference
    assert verification.verify(theirs | {("own", 0): {}}, theirs)[0] == verification.EXACTLY
    del ours["streaming", 0]
    assert verification.verify(ours, theirs) == (
        verification.NOT,
        "missing here: streaming seed 0",
    )


def test_another_processor(folder, tmp_path, capsys):
    """Losses that differ in the last digits, in many trainings, are said in one line."""
    theirs = tmp_path / "reference"
    shutil.copytree(folder, theirs)
    for k in range(3):
        path = folder / f"train/streaming/seed{k}/metrics.json"
        job = read_json(path)
        job["scores"]["drug"]["loss"] += (k + 1) * 1e-9
        write_json(path, job)
    assert verification.main(folder, theirs) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    words = "scores identical; losses differ by at most 3e-09, in streaming drug loss seed 2"
    assert f"{words} (another processor)." in out


def test_one_line_and_an_exit_code(folder, tmp_path, capsys):
    assert verification.main(folder, folder) == 0
    assert "reproduces the reference exactly" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds no results"):
        verification.main(folder, tmp_path / "nothing")


def test_what_is_cached(folder, tmp_path):
    (tmp_path / "config.yaml").write_text("run: demo\n")
    for name in (
        "comparison.csv",
        "comparison.md",
        "metrics.csv",
        "train/streaming/seed0/model.pt",
    ):
        (folder / name).write_text("x")
    target = tmp_path / "cached"
    files = reference.copy_results(folder, target, tmp_path / "config.yaml")
    assert verification.main(folder, target) == 0
    assert len([f for f in files if f.name == "predictions.npz"]) == 6
    assert not list(target.rglob("*.pt"))
    assert (target / "config.yaml").read_text() == "run: cached\n"
    with pytest.raises(InputError, match="no finished run"):
        reference.copy_results(tmp_path / "nothing", target, tmp_path / "config.yaml")
