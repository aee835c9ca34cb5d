"""Malformed configurations and inputs: each ends in a line that says what is wrong, and nothing stays."""

import gzip
import json
import os
import pickle
import shutil

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from cellshuffle.comparison import read_predictions
from cellshuffle.errors import InputError
from cellshuffle.files import load_npy, load_npz, read_json
from conftest import merged, snakemake

CONFIG = {
    "run": "bad",
    "atlas": {
        "dir": "atlas",
        "plate_file": "plate{plate}.h5ad",
        "train_plates": [1, 2],
        "test_plates": [3],
    },
    "tasks": {
        "drug": {"column": "drug"},
        "moa": {
            "column": "drug",
            "lookup": {"table": "atlas/moa.csv", "key": "drug", "value": "moa"},
        },
    },
    "weights": {"balance": ["drug", "line"]},
    "strategies": {"streaming": {"sampler": "Streaming"}},
    "training": {"seeds": [0], "epochs": 1},
}
N_CELLS, N_GENES = 60, 30


def plate(number, n_cells=N_CELLS, genes=N_GENES):
    """A sound plate, other cells for every number."""
    generator = np.random.default_rng(number)
    obs = pd.DataFrame(
        {
            "drug": pd.Categorical([f"d{k % 4}" for k in range(n_cells)]),
            "line": pd.Categorical([f"l{k % 3}" for k in range(n_cells)]),
            "size": generator.random(n_cells),
        },
        index=[f"cell{number}_{k}" for k in range(n_cells)],
    )
    counts = sp.csr_matrix(generator.poisson(0.5, (n_cells, genes)).astype(np.float32))
    return anndata.AnnData(counts, obs, pd.DataFrame(index=[f"g{k}" for k in range(genes)]))


@pytest.fixture(scope="session")
def sound_atlas(tmp_path_factory):
    """Folder with three sound plates and the lookup table."""
    folder = tmp_path_factory.mktemp("sound")
    for number in (1, 2, 3):
        plate(number).write_h5ad(folder / f"plate{number}.h5ad")
    rows = [{"drug": f"d{k}", "moa": f"m{k % 2}"} for k in range(4)]
    pd.DataFrame(rows).to_csv(folder / "moa.csv", index=False)
    return folder


@pytest.fixture
def folder(sound_atlas, tmp_path):
    shutil.copytree(sound_atlas, tmp_path / "atlas")
    return tmp_path


def fails(words, *run, **options):
    """Assert that a run fails, with these words in what the user sees, and no traceback."""
    done = snakemake(*run, **options, check=False)
    assert done.returncode != 0, done.stdout
    for word in words:
        assert word in done.stdout, done.stdout
    assert "Traceback" not in done.stdout, done.stdout


# What is changed in the configuration, and what the message says.
CONFIGURATIONS = {
    "unknown key": ({"strategy": {}}, ["unknown key 'strategy'", "'strategies'"]),
    "unknown atlas key": ({"atlas": {"train_plate": [1]}}, ["atlas", "'train_plates'"]),
    "wrong type": ({"training": {"epochs": "ten"}}, ["training: epochs", "a whole number"]),
    "no plates": ({"atlas": {"train_plates": []}}, ["atlas: train_plates: must not be empty"]),
    "no test plates": ({"atlas": {"test_plates": ...}}, ["'test_plates' is missing"]),
    "plate twice": ({"atlas": {"train_plates": [1, 1]}}, ["the same entry twice"]),
    "plate twice, as text": ({"atlas": {"train_plates": [1, "1"]}}, ["has the same plate twice"]),
    "plate in both splits": ({"atlas": {"test_plates": [2]}}, ["plate 2", "belongs to one"]),
    "plate is a path": ({"atlas": {"train_plates": ["../1"]}}, ["'../1' is not allowed"]),
    "no placeholder": ({"atlas": {"plate_file": "p.h5ad"}}, ["must contain {plate}"]),
    "odd placeholder": ({"atlas": {"plate_file": "{plate}{x}.h5ad"}}, ["a placeholder other"]),
    "no atlas": ({"atlas": ...}, ["'atlas' is missing"]),
    "atlas is a list": ({"atlas": [1]}, ["atlas", "a mapping of keys"]),
    "no tasks": ({"tasks": {"drug": ..., "moa": ...}}, ["tasks: must not be empty"]),
    "task without column": ({"tasks": {"drug": {"column": ...}}}, ["drug: 'column' is missing"]),
    "lookup without table": (
        {"tasks": {"moa": {"lookup": {"table": ...}}}},
        ["tasks: moa: lookup: 'table' is missing"],
    ),
    "task named like a path": ({"tasks": {"a/b": {"column": "drug"}}}, ["'a/b' is not allowed"]),
    "run named like a path": ({"run": "../elsewhere"}, ["'../elsewhere' is not allowed"]),
    "strategy with shell words": (
        {"strategies": {"a;touch b": {"sampler": "Streaming"}}},
        ["'a;touch b' is not allowed"],
    ),
    "no sampler": ({"strategies": {"mine": {"block_size": 4}}}, ["mine: 'sampler' is missing"]),
    "unknown sampler": ({"strategies": {"mine": {"sampler": "Magic"}}}, ["not one of Streaming"]),
    "no block size": (
        {"strategies": {"mine": {"sampler": "BlockShuffling"}}},
        ["mine: 'block_size' is missing"],
    ),
    "block size 0": (
        {"strategies": {"mine": {"sampler": "BlockShuffling", "block_size": 0}}},
        ["mine: block_size: 0 must be at least 1"],
    ),
    "key of another sampler": (
        {"strategies": {"mine": {"sampler": "Streaming", "block_size": 4}}},
        ["mine: unknown key 'block_size'"],
    ),
    "rounds without size": (
        {
            "strategies": {
                "mine": {"sampler": "BlockWeightedSampling", "block_size": 1, "replace": False}
            }
        },
        ["mine: replace: false needs sampling_size"],
    ),
    "braces in a path": ({"atlas": {"dir": "my{atlas}"}}, ["'my{atlas}' holds braces"]),
    "line break in a name": ({"run": "bad\n"}, ["line break"]),
    "nothing balanced": ({"weights": {"balance": []}}, ["weights: balance: must not be empty"]),
    "balanced label named like a column of the table": (
        {"weights": {"balance": ["drug", "count"]}},
        ["weights: balance: 'count' is a column of its own"],
    ),
    "no seeds": ({"training": {"seeds": []}}, ["training: seeds: must not be empty"]),
    "negative seed": ({"training": {"seeds": [-1]}}, ["-1 must be at least 0"]),
    "learning rate 0": ({"training": {"learning_rate": 0}}, ["0 must be above 0"]),
    "unknown transform": ({"training": {"transform": "sqrt"}}, ["'sqrt' is not one of none"]),
    "split and test plates": (
        {"atlas": {"split": {"fraction": 0.5}}},
        ["`split` divides the train plates"],
    ),
    "selection without packing": (
        {"atlas": {"pack": False, "genes": "genes.txt"}},
        ["genes selects while packing"],
    ),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_malformed_configuration(tmp_path, case):
    changes, words = CONFIGURATIONS[case]
    fails(["error: ", *words], tmp_path, merged(CONFIG, changes), "--dry-run")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("atlas: {dir: [", ["Config file"]),
        ("- 1\n- 2\n", ["Config file"]),
        ("run: !!python/object/apply:os.system ['touch pwned']\n", ["Config file"]),
    ],
    ids=["broken YAML", "a list", "YAML that runs a command"],
)
def test_configuration_that_is_none(tmp_path, text, words):
    fails(words, tmp_path, text, "--dry-run")
    assert not (tmp_path / "pwned").exists() and not (tmp_path / "results").exists()


def edit(path, change):
    """Apply `change` to the open HDF5 file."""
    with h5py.File(path, "r+") as file:
        change(file)


def rewrite(path, **changes):
    """Write a plate again with other X, obs or var: each a function of the old one."""
    cells = anndata.read_h5ad(path)
    parts = {"X": cells.X, "obs": cells.obs, "var": cells.var}
    parts |= {name: change(parts[name]) for name, change in changes.items()}
    anndata.AnnData(**parts).write_h5ad(path)


def replace(file, name, values):
    del file[name]
    file[name] = values


def without_a_drug(obs):
    return obs.assign(drug=obs["drug"].where(obs.index != "cell1_4"))


def words_for_counts(file):
    replace(file, "X/data", np.array([b"many"] * len(file["X/data"])))


def value(number):
    def change(counts):
        counts = counts.copy()
        counts.data[0] = number
        return counts

    return change


def to_csc(atlas):
    rewrite(atlas / "plate1.h5ad", X=sp.csc_matrix)


def truncate(atlas):
    path = atlas / "plate1.h5ad"
    os.truncate(path, path.stat().st_size // 2)


def link_out(file):
    del file["X/data"]
    file["X/data"] = h5py.ExternalLink("plate2.h5ad", "/X/data")


def link_out_of_obs(file):
    del file["obs/drug/codes"]
    file["obs/drug/codes"] = h5py.ExternalLink("plate2.h5ad", "/obs/drug/codes")


def stored_elsewhere(file):
    del file["X/data"]
    file["X"].create_dataset("data", (5,), np.float32, external=[("/etc/hostname", 0, 20)])


def claim_cells(file):
    file["X"].attrs["shape"] = np.array([10**15, N_GENES])


def claim_values(file):
    for name in ("data", "indices"):
        del file["X"][name]
        file["X"].create_dataset(name, (10**12,), np.int32, chunks=(10**6,))
    file["X/indptr"][-1:] = 10**12 if file["X/indptr"].dtype.itemsize == 8 else 2**31 - 1


def unsort(file):
    pointers = file["X/indptr"][:]
    pointers[5] = pointers[9]
    file["X/indptr"][:] = pointers


def beyond(file):
    file["X/indices"][3] = N_GENES + 7


def unlink(path):
    path.unlink()
    return path


PLATES_OF_A_COLUMN = {"train_plates": ["l9"], "test_plates": ["l1"]}
LOG1P = {"training": {"transform": "log1p"}}
# What is done to the atlas (a function of its folder), the configuration, and what the message says.
INPUTS = {
    "missing plate": (
        lambda a: unlink(a / "plate2.h5ad"),
        {},
        ["plate2.h5ad: there is no such plate"],
    ),
    "broken link": (
        lambda a: unlink(a / "plate2.h5ad").symlink_to("nowhere"),
        {},
        ["no such plate", "a link to nowhere"],
    ),
    "truncated plate": (truncate, {}, ["plate1.h5ad: truncated"]),
    "empty file": (lambda a: (a / "plate1.h5ad").write_bytes(b""), {}, ["is an empty file"]),
    "text file": (lambda a: (a / "plate1.h5ad").write_text("x" * 999), {}, ["not a readable HDF5"]),
    "pickle": (
        lambda a: (a / "plate1.h5ad").write_bytes(pickle.dumps([1] * 99)),
        {},
        ["not a readable HDF5"],
    ),
    "gzipped plate": (
        lambda a: (a / "plate1.h5ad").write_bytes(gzip.compress((a / "plate1.h5ad").read_bytes())),
        {},
        ["not a readable HDF5"],
    ),
    "a folder": (lambda a: unlink(a / "plate1.h5ad").mkdir(), {}, ["plate1.h5ad: is not a file"]),
    "a pipe": (lambda a: os.mkfifo(unlink(a / "plate1.h5ad")), {}, ["plate1.h5ad: is not a file"]),
    "HDF5, but no h5ad": (
        lambda a: edit(a / "plate1.h5ad", lambda f: f.__delitem__("X")),
        {},
        ["plate1.h5ad: has no X", "obs"],
    ),
    "no obs": (
        lambda a: edit(a / "plate1.h5ad", lambda f: f.__delitem__("obs")),
        {},
        ["plate1.h5ad: has no obs"],
    ),
    "no such layer": (lambda a: None, {"atlas": {"layer": "counts"}}, ["has no layers/counts"]),
    "no such column": (
        lambda a: None,
        {"tasks": {"tissue": {"column": "tissue"}}},
        ["obs has no column 'tissue'", "drug, line, size", "the same of 2 more"],
    ),
    "balanced column missing": (
        lambda a: None,
        {"weights": {"balance": ["batch"]}},
        ["obs has no column 'batch'"],
    ),
    "real numbers as labels": (
        lambda a: None,
        {"tasks": {"size": {"column": "size"}}},
        ["'size' holds real numbers"],
    ),
    "missing values": (
        lambda a: rewrite(
            a / "plate1.h5ad", obs=lambda o: o.assign(drug=o["drug"].where(o.index != "cell1_4"))
        ),
        {},
        ["1 cells have no value in obs column 'drug'"],
    ),
    "codes beyond categories": (
        lambda a: edit(a / "plate1.h5ad", lambda f: f["obs/drug/codes"].__setitem__(0, 9)),
        {},
        ["codes beyond its categories"],
    ),
    "label not in lookup": (
        lambda a: (a / "moa.csv").write_text("drug,moa\nd0,m0\nd1,m1\nd2,m0\n"),
        {},
        ["no moa for 'd3' (45 cells)", "extra: {d3: <class>}"],
    ),
    "no lookup table": (
        lambda a: unlink(a / "moa.csv"),
        {},
        ["moa.csv: there is no such lookup table"],
    ),
    "lookup without column": (
        lambda a: (a / "moa.csv").write_text("drug,mechanism\nd0,m0\n"),
        {},
        ["has no column 'moa'", "drug, mechanism"],
    ),
    "two classes of a drug": (
        lambda a: (a / "moa.csv").write_text("drug,moa\nd0,m0\nd0,m1\n"),
        {},
        ["'d0' has two values of moa"],
    ),
    "no class of a drug": (
        lambda a: (a / "moa.csv").write_text("drug,moa\nd0,\n"),
        {},
        ["'d0' has no moa"],
    ),
    "lookup is no Parquet": (
        lambda a: (a / "moa.parquet").write_text("drug,moa\n"),
        {"tasks": {"moa": {"lookup": {"table": "atlas/moa.parquet"}}}},
        ["not a readable Parquet file"],
    ),
    "other genes": (
        lambda a: rewrite(a / "plate2.h5ad", var=lambda v: v.rename({"g3": "G3", "g5": "G5"})),
        {},
        ["plate2.h5ad: 2 genes differ", "g3 / G3"],
    ),
    "fewer genes": (
        lambda a: plate(2, genes=20).write_h5ad(a / "plate2.h5ad"),
        {},
        ["plate2.h5ad: 20 genes, but"],
    ),
    "NaN": (lambda a: rewrite(a / "plate1.h5ad", X=value(np.nan)), {}, ["NaN or infinite values"]),
    "infinite": (
        lambda a: rewrite(a / "plate1.h5ad", X=value(np.inf)),
        {},
        ["NaN or infinite values"],
    ),
    "negative logarithm": (
        lambda a: rewrite(a / "plate1.h5ad", X=value(-2)),
        LOG1P,
        ["holds negative values", "transform: none"],
    ),
    "no counts": (
        lambda a: rewrite(a / "plate1.h5ad", X=value(0.25)),
        {"training": {"transform": "cp10k_log1p"}},
        ["no counts (such as 0.25)"],
    ),
    "words for counts": (
        lambda a: edit(
            a / "plate1.h5ad", lambda f: replace(f, "X/data", np.array([b"a"] * len(f["X/data"])))
        ),
        {},
        ["not numbers"],
    ),
    "gene index out of range": (
        lambda a: edit(a / "plate1.h5ad", beyond),
        {},
        ["gene index 37 is out of range"],
    ),
    "unsorted indptr": (lambda a: edit(a / "plate1.h5ad", unsort), {}, ["indptr is not sorted"]),
    "short indices": (
        lambda a: edit(a / "plate1.h5ad", lambda f: replace(f, "X/indices", f["X/indices"][:-5])),
        {},
        ["do not fit together"],
    ),
    "more cells in obs": (
        lambda a: edit(a / "plate1.h5ad", lambda f: replace(f, "obs/_index", f["obs/_index"][:-5])),
        {},
        ["60 rows in X but 55 cells in obs"],
    ),
    "absurd shape": (lambda a: edit(a / "plate1.h5ad", claim_cells), {}, ["cannot be right"]),
    "absurd claim": (
        lambda a: edit(a / "plate1.h5ad", claim_values),
        {},
        ["claims 1000000000000 values"],
    ),
    "no cells": (
        lambda a: plate(2, n_cells=0).write_h5ad(a / "plate2.h5ad"),
        {},
        ["plate2.h5ad: has no cells"],
    ),
    "same file twice": (
        lambda a: os.link(a / "plate1.h5ad", unlink(a / "plate2.h5ad")),
        {},
        ["plate2.h5ad: holds the same cells as atlas/plate1.h5ad"],
    ),
    "copy saved anew": (
        lambda a: anndata.read_h5ad(a / "plate1.h5ad").write_h5ad(
            a / "plate2.h5ad", compression="gzip"
        ),
        {},
        ["plate2.h5ad: holds the same cells as atlas/plate1.h5ad"],
    ),
    "external link": (lambda a: edit(a / "plate1.h5ad", link_out), {}, ["a link to another file"]),
    "external link in obs": (
        lambda a: edit(a / "plate1.h5ad", link_out_of_obs),
        {},
        ["a link to another file"],
    ),
    "external storage": (
        lambda a: edit(a / "plate1.h5ad", stored_elsewhere),
        {},
        ["stored in another file"],
    ),
    "CSC without packing": (to_csc, {"atlas": {"pack": False}}, ["CSC", "pack: true"]),
    "no such value of the plate column": (
        lambda a: None,
        {
            "atlas": {
                "plate_file": "plate1.h5ad",
                "plate_column": "line",
                "train_plates": ["l9"],
                "test_plates": ["l1"],
            }
        },
        ["'line' has no value 'l9'", "l0, l1, l2"],
    ),
    "no such value of the split column": (
        lambda a: None,
        {"atlas": {"split": {"column": "line", "test": ["l9"]}, "test_plates": ...}},
        ["'line' has none of the test values l9"],
    ),
    "unknown genes": (
        lambda a: (a / "genes.txt").write_text("g1\nTP53\n"),
        {"atlas": {"genes": "atlas/genes.txt"}},
        ["1 of 2 genes of atlas/genes.txt are not", "TP53", "the same of 2 more"],
    ),
    "no gene file": (
        lambda a: None,
        {"atlas": {"genes": "atlas/genes.txt"}},
        ["genes.txt", "one gene a line"],
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_malformed_input(folder, case):
    damage, changes, words = INPUTS[case]
    damage(folder / "atlas")
    fails(words, folder, merged(CONFIG, changes), "results/bad/checked.json", cores=1)
    assert not [
        path for path in (folder / "results").rglob("*") if path.suffix != ".log" and path.is_file()
    ]


def test_all_findings_come_at_once(folder):
    atlas = folder / "atlas"
    truncate(atlas)
    unlink(atlas / "plate2.h5ad")
    rewrite(atlas / "plate3.h5ad", X=value(np.nan), obs=lambda obs: obs.drop(columns="line"))
    (atlas / "moa.csv").write_text("drug,moa\nd0,m0\nd0,m1\n")
    words = ["plate1.h5ad: truncated", "plate2.h5ad: there is no", "has two values", "NaN"]
    fails(words, folder, CONFIG, cores=1)


def test_the_first_rule_stops_everything(folder):
    edit(folder / "atlas/plate3.h5ad", beyond)
    fails(["plate3.h5ad: X: gene index 37"], folder, CONFIG, cores=1)
    assert not list((folder / "results").rglob("*.h5ad"))


def test_unseen_classes_are_a_warning(folder):
    new = {"d0": "d8", "d1": "d9"}
    rewrite(
        folder / "atlas/plate3.h5ad",
        obs=lambda obs: obs.assign(drug=obs["drug"].astype(str).replace(new).astype("category")),
    )
    config = merged(CONFIG, {"tasks": {"moa": ...}})
    done = snakemake(folder, config, "results/bad/checked.json", cores=1)
    warning = (
        "2 of 4 classes of the test cells are never seen in training (50.0% of the test cells)"
    )
    assert warning in done.stdout
    checked = json.loads((folder / "results/bad/checked.json").read_text())
    assert warning in checked["warnings"][0]
    assert [row["n_cells"] for row in checked["plates"]] == [N_CELLS] * 3


def test_a_changed_plate_is_packed_and_encoded_again(folder):
    classes = "results/bad/labels/classes.json"
    snakemake(folder, CONFIG, classes)
    packed = {
        path.name: path.stat().st_mtime_ns
        for path in (folder / "results/bad/packed").glob("*.h5ad")
    }
    path = folder / "atlas/plate2.h5ad"
    before = path.stat()
    other = plate(2, n_cells=N_CELLS + 1)
    other.obs["drug"] = pd.Categorical(["d0"] * 60 + ["d3"])
    other.write_h5ad(path)
    os.utime(
        path, ns=(before.st_atime_ns, before.st_mtime_ns - 10**12)
    )  # older than what it replaces
    snakemake(folder, CONFIG, classes)
    again = {
        path.name: path.stat().st_mtime_ns
        for path in (folder / "results/bad/packed").glob("*.h5ad")
    }
    assert {name for name in packed if packed[name] != again[name]} == {"plate2.h5ad"}
    assert "2,61" in (folder / "results/bad/labels/plates.csv").read_text()


def test_packed_plates_of_another_run_are_not_mixed_in(folder):
    config = merged(CONFIG, {"atlas": {"packed_dir": str(folder / "packed")}})
    classes = "results/bad/labels/classes.json"
    snakemake(folder, config, classes)
    (folder / "other").mkdir()
    (folder / "other/atlas").symlink_to(folder / "atlas")
    (folder / "genes.txt").write_text("g1\ng2\n")
    packed = [path.stat().st_mtime_ns for path in sorted((folder / "packed").glob("*.h5ad"))]
    snakemake(folder / "other", config, classes)
    again = [path.stat().st_mtime_ns for path in sorted((folder / "packed").glob("*.h5ad"))]
    assert packed == again  # the same settings: used as they are
    shutil.rmtree(folder / "other/results")
    shutil.rmtree(folder / "other/.snakemake")
    os.utime(folder / "genes.txt", (1, 1))
    other = merged(config, {"atlas": {"genes": str(folder / "genes.txt")}})
    words = ["packed/plate1.h5ad: was packed from other cells or genes by another run"]
    fails(words, folder / "other", other, classes, cores=1)


def test_labels_that_are_a_pickle_are_refused(folder):
    model = "results/bad/train/streaming/seed0/metrics.json"
    snakemake(folder, CONFIG, "results/bad/labels/classes.json")

    for name in ("train.npy", "test.npy"):
        (folder / "results/bad/labels" / name).write_bytes(pickle.dumps(Evil()))
    words = ["not a plain .npy array", "delete it to make it again"]
    fails(words, folder, CONFIG, model, "--rerun-triggers", "mtime", cores=1)
    assert not (folder / "pwned").exists() and not (folder / model).exists()


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("reader", [load_npy, load_npz, read_json, read_predictions])
@pytest.mark.parametrize(
    "kind", ["pickle", "objects", "archive of objects", "text", "nothing", "cut"]
)
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


def test_labels_that_do_not_fit_are_refused(folder):
    model = "results/bad/train/streaming/seed0/metrics.json"
    snakemake(folder, CONFIG, "results/bad/labels/classes.json")
    codes = np.load(folder / "results/bad/labels/train.npy")
    codes[7, 0] = 99
    np.save(folder / "results/bad/labels/train.npy", codes)
    words = ["cell 7 has code 99 for task 'drug', which has 4 classes"]
    fails(words, folder, CONFIG, model, "--rerun-triggers", "mtime", cores=1)
    assert not (folder / model).exists()


def test_a_loss_that_is_not_finite_stops_the_training(folder):
    model = "results/bad/train/streaming/seed0/metrics.json"
    for number in (1, 2, 3):
        rewrite(folder / f"atlas/plate{number}.h5ad", X=lambda x: x * np.float32(3e37))
    words = ["strategy streaming", "the loss is not finite at step", "learning rate 0.0001"]
    fails(words, folder, CONFIG, model, cores=1)
    assert not (folder / model).exists()
    assert not list((folder / "results").rglob("model.pt"))
