"""The paths of a run, what packing keeps of a plate, and what tells that a file is another one."""

import os
import re

import pytest
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration.run import Run
from runs import SCHEMA, SMALL, SOUND, merged


def run_of(config, changes=None):
    """The Run of a configuration with changes and its defaults."""
    config = merged(config, changes or {})
    configuration.fill_defaults(config, SCHEMA)
    return Run(config)


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """A folder to be in, with the files of SOUND, one byte each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atlas").mkdir()
    for name in ("plate1.h5ad", "plate2.h5ad", "plate3.h5ad", "moa.csv"):
        (tmp_path / "atlas" / name).write_text("x")
    return tmp_path / "atlas"


def test_paths():
    run = run_of(SOUND)
    assert (run.folder, run.packed_folder) == ("results/bad", "results/bad/packed")
    assert run.plates == {"train": [1, 2], "test": [3]}
    assert run.published == [f"atlas/plate{number}.h5ad" for number in (1, 2, 3)]
    assert run.source_path(3) == "atlas/plate3.h5ad"
    assert run.plate_paths("train") == [f"results/bad/packed/plate{n}.h5ad" for n in (1, 2)]
    assert run_of(SOUND, {"atlas": {"pack": False}}).plate_paths("test") == ["atlas/plate3.h5ad"]
    assert run.lookup_tables == ["atlas/moa.csv"] and run.gene_list == []
    assert run.max_cells == {"train": None, "test": None}
    run = run_of(SOUND, {"atlas": {"packed_dir": "some/../where/", "genes": "genes.txt"}})
    assert run.packed_path(1) == "where/plate1.h5ad" and run.gene_list == ["genes.txt"]
    assert run_of(SMALL).drug_table == "data/small/drug_metadata.csv"


def test_balanced_labels_that_are_no_tasks_are_columns():
    run = run_of(SOUND)
    assert (run.balanced_labels, run.balanced_columns) == (["drug", "line"], ["line"])
    run = run_of(SOUND, {"weights": ...})  # the tasks that are columns themselves
    assert (run.balanced_labels, run.balanced_columns) == (["drug"], [])


def test_a_divided_plate_is_packed_twice():
    split = {"column": "sample", "test": ["s1"]}
    atlas = {
        "train_plates": ["a-b", 2],
        "test_plates": ...,
        "split": split,
        "plate_column": "plate",
    }
    run = run_of(SOUND, {"atlas": atlas})
    assert run.plates == {"train": ["a-b-train", "2-train"], "test": ["a-b-test", "2-test"]}
    assert run.published == ["atlas/platea-b.h5ad", "atlas/plate2.h5ad"]
    assert run.source_path("a-b-test") == run.source_path("a-b-train") == "atlas/platea-b.h5ad"
    selection = run.selection("a-b-test")
    assert selection["plate"] == {"column": "plate", "value": "a-b"}
    assert selection["split"]["side"] == "test" and selection["split"]["column"] == "sample"
    assert run_of(SOUND).selection(1) == {"genes": None}


def test_one_file_with_all_plates_is_published_once():
    run = run_of(SOUND, {"atlas": {"plate_file": "all.h5ad", "plate_column": "plate"}})
    assert run.published == ["atlas/all.h5ad"] and run.source_path(2) == "atlas/all.h5ad"


def test_another_file_has_another_stamp(atlas):
    run = run_of(SOUND)
    before = run.stamp("atlas/plate1.h5ad")
    os.utime(atlas / "plate1.h5ad", (1, 1))
    assert before != run.stamp("atlas/plate1.h5ad") == [1, 10**9]
    assert run.stamp("atlas/plate4.h5ad") is None
    assert run_of(SOUND, {"atlas": {"simulate": {}}}).stamp("atlas/plate1.h5ad") is None


def test_what_packed_plates_are_made_from(atlas):
    run = run_of(SOUND, {"atlas": {"layer": "counts"}})
    origins = run.origins()
    assert origins == [run.packed_from(plate) for plate in (1, 2, 3)]
    assert origins[0]["layer"] == "counts" and origins[0]["select"] == {"genes": None}
    os.utime(atlas / "plate2.h5ad", (1, 1))
    changed = [old != new for old, new in zip(origins, run.origins(), strict=True)]
    assert changed == [False, True, False]
    assert run_of(SOUND, {"atlas": {"pack": False}}).origins() == []


def test_the_order_of_cells_changes_with_the_order_of_plates(atlas):
    order = run_of(SOUND).cell_order()
    assert order["test"] == [["results/bad/packed/plate3.h5ad", None]]
    assert run_of(SOUND, {"atlas": {"train_plates": [2, 1]}}).cell_order() != order
    order = run_of(SOUND, {"atlas": {"pack": False}}).cell_order()
    assert order["test"] == [["atlas/plate3.h5ad", run_of(SOUND).stamp("atlas/plate3.h5ad")]]


def test_the_check_is_asked_about_every_plate_of_a_split():
    request = run_of(SOUND).check_request()
    assert [(plate["plate"], plate["split"]) for plate in request["plates"]] == [
        ("1", "train"),
        ("2", "train"),
        ("3", "test"),
    ]
    assert request["plates"][0]["packed"] == "results/bad/packed/plate1.h5ad"
    assert request["balance"] == ["drug", "line"] and request["columns"] == ["line"]
    plates = run_of(SOUND, {"atlas": {"pack": False}}).check_request()["plates"]
    assert {plate["packed"] for plate in plates} == {None}


NAMES = ["10X v2", "10X_v2", "10X  v2", "Spleen/left", "Spleen_left", "\xdc1", "U\u03081", "a..b", "..", "🧬",
         "x" * 300, " ", "-", "d1", "D1", "{x}", "*", "a-train", "$HOME", "'", '"', "p;rm", "10",
         "\u200b"]  # fmt: skip


@pytest.mark.parametrize("split", [None, {"fraction": 0.5}])
def test_plates_of_any_name_have_safe_paths_of_their_own(split):
    atlas = {"plate_file": "all.h5ad", "plate_column": "batch", "train_plates": NAMES, "split": split}
    run = run_of(SOUND, {"atlas": atlas | {"test_plates": ... if split else ["other plate"]}})
    paths = [run.packed_path(plate) for plates in run.plates.values() for plate in plates]
    assert len(set(map(str.lower, paths))) == len(paths) - (2 if split else 1)  # d1 and D1, as before
    for path in paths:
        assert re.fullmatch(r"results/bad/packed/plate[A-Za-z0-9][A-Za-z0-9_.-]{0,120}\.h5ad", path)
    for plate in NAMES:
        shown = f"{plate}-train" if split else plate
        assert shown in run.plates["train"]
        assert run.plate_of(run.file_names[shown]) == shown
        assert run.selection(shown)["plate"] == {"column": "batch", "value": plate}
    assert run_of(SOUND).packed_path(1) == "results/bad/packed/plate1.h5ad"
