"""Files of a run that have changed, are another run's, or are not what they should be."""

import os
import pickle
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from atlases import sound_plate
from cellshuffle.analysis.comparison import read_predictions
from cellshuffle.errors import InputError
from cellshuffle.files import load_npy, load_npz, read_json
from damage import Evil, beyond, edit, rewrite, unsort
from runs import SOUND, fails, merged, snakemake


def test_a_changed_plate_is_packed_and_encoded_again(sound):
    classes = "results/bad/labels/classes.json"
    snakemake(sound, SOUND, classes)
    packed = {path.name: path.stat().st_mtime_ns for path in (sound / "results/bad/packed").glob("*.h5ad")}
    path = sound / "atlas/plate2.h5ad"
    before = path.stat()
    other = sound_plate(2, n_cells=61)
    other.obs["drug"] = pd.Categorical(["d0"] * 60 + ["d3"])
    other.write_h5ad(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 10**12))  # older than what it replaces
    snakemake(sound, SOUND, classes)
    again = {path.name: path.stat().st_mtime_ns for path in (sound / "results/bad/packed").glob("*.h5ad")}
    assert {name for name in packed if packed[name] != again[name]} == {"plate2.h5ad"}
    assert "2,61" in (sound / "results/bad/labels/plates.csv").read_text()


def test_packed_plates_of_another_run_are_not_mixed_in(sound):
    config = merged(SOUND, {"atlas": {"packed_dir": str(sound / "packed")}})
    classes = "results/bad/labels/classes.json"
    snakemake(sound, config, classes)
    (sound / "other").mkdir()
    (sound / "other/atlas").symlink_to(sound / "atlas")
    (sound / "genes.txt").write_text("g1\ng2\n")
    packed = [path.stat().st_mtime_ns for path in sorted((sound / "packed").glob("*.h5ad"))]
    snakemake(sound / "other", config, classes)
    again = [path.stat().st_mtime_ns for path in sorted((sound / "packed").glob("*.h5ad"))]
    assert packed == again  # the same settings: used as they are
    shutil.rmtree(sound / "other/results")
    shutil.rmtree(sound / "other/.snakemake")
    os.utime(sound / "genes.txt", (1, 1))
    other = merged(config, {"atlas": {"genes": str(sound / "genes.txt")}})
    words = ["packed/plate1.h5ad: was packed from other cells or genes by another run"]
    fails(words, sound / "other", other, classes, cores=1)


def test_runs_that_share_packed_plates_pack_once(sound):
    """A pilot in the same folder, and then the first run again."""
    config = merged(SOUND, {"atlas": {"packed_dir": "packed"}})
    scores = "results/{}/train/streaming/seed0/metrics.json"
    snakemake(sound, config, scores.format("bad"))
    packed = {path: path.stat().st_mtime_ns for path in (sound / "packed").glob("*.h5ad")}
    snakemake(sound, config | {"run": "pilot"}, scores.format("pilot"))
    done = snakemake(sound, config, scores.format("bad"), "--dry-run")
    assert packed == {path: path.stat().st_mtime_ns for path in (sound / "packed").glob("*.h5ad")}
    assert not re.search("^rule (pack_plate|encode_labels|train):", done.stdout, re.MULTILINE)


def test_labels_that_are_a_pickle_are_refused(sound):
    model = "results/bad/train/streaming/seed0/metrics.json"
    snakemake(sound, SOUND, "results/bad/labels/classes.json")

    for name in ("train.npy", "test.npy"):
        (sound / "results/bad/labels" / name).write_bytes(pickle.dumps(Evil()))
    words = ["not a plain .npy array", "delete it to make it again"]
    fails(words, sound, SOUND, model, "--rerun-triggers", "mtime", cores=1)
    assert not (sound / "pwned").exists() and not (sound / model).exists()


@pytest.mark.parametrize("reader", [load_npy, load_npz, read_json, read_predictions])
@pytest.mark.parametrize("kind", ["pickle", "objects", "archive of objects", "text", "nothing", "cut"])
def test_files_that_are_not_what_they_should_be(tmp_path, monkeypatch, reader, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file"
    with open(path, "wb") as file:
        match kind:
            case "pickle":
                pickle.dump(Evil(), file)
            case "objects":
                np.save(file, np.array([Evil()], object), allow_pickle=True)
            case "archive of objects":
                np.savez(file, tasks=np.array([Evil()], object))
            case "text":
                file.write(b"no such thing")
            case "cut":
                np.savez(file, tasks=np.arange(1000))
                file.truncate(900)
    with pytest.raises(InputError, match="delete it to"):
        reader(path)
    assert os.listdir() == ["file"]


def test_labels_that_do_not_fit_are_refused(sound):
    model = "results/bad/train/streaming/seed0/metrics.json"
    snakemake(sound, SOUND, "results/bad/labels/classes.json")
    codes = np.load(sound / "results/bad/labels/train.npy")
    codes[7, 0] = 99
    np.save(sound / "results/bad/labels/train.npy", codes)
    words = ["cell 7 has code 99 for task 'drug', which has 4 classes"]
    fails(words, sound, SOUND, model, "--rerun-triggers", "mtime", cores=1)
    assert not (sound / model).exists()


def test_a_loss_that_is_not_finite_stops_the_training(sound):
    model = "results/bad/train/streaming/seed0/metrics.json"
    for number in (1, 2, 3):
        rewrite(sound / f"atlas/plate{number}.h5ad", X=lambda x: x * np.float32(3e37))
    words = ["strategy streaming", "the loss is not finite at step", "learning rate 0.0001"]
    fails(words, sound, SOUND, model, cores=1)
    assert not (sound / model).exists()
    assert not list((sound / "results").rglob("model.pt"))


def test_a_changed_setting_is_seen_though_another_run_shares_the_plates(sound):
    config = merged(SOUND, {"atlas": {"packed_dir": "packed"}})
    scores = "results/{}/train/streaming/seed0/metrics.json"
    for run in ("bad", "other"):
        snakemake(sound, config | {"run": run}, scores.format(run))
    more = merged(config, {"training": {"learning_rate": 0.5}})
    done = snakemake(sound, more, scores.format("bad"), "--dry-run")
    assert re.search("^rule train:", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "words"),
    [(beyond, "a gene index is not between 0 and 29"), (unsort, "indptr goes down, or too far, at row 5")],
)
def test_a_damaged_packed_plate_is_to_be_packed_again(sound, change, words):
    model = "results/bad/train/streaming/seed0/metrics.json"
    snakemake(sound, SOUND, "results/bad/labels/classes.json")
    path = "results/bad/packed/plate2.h5ad"
    edit(sound / path, change)
    words = [f"{path}: {words}; delete it to pack it again"]
    fails(words, sound, SOUND, model, "--rerun-triggers", "params", cores=1)
