"""Files of a person that lie where a run would write: it stops before anything is made or deleted."""

import shutil

import pytest
from atlases import sound_plate
from cellshuffle.errors import InputError
from cellshuffle.inspection.atlas import check_atlas
from cellshuffle.inspection.ownership import is_simulated, is_simulated_table
from cellshuffle.packing.origin import check_origin
from runs import SMALL, SOUND, fails, merged, snakemake

TARGET = "results/bad/labels/classes.json"


def contents(folder):
    """{path: bytes} of every file in a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_plates_where_packed_ones_go(sound):
    (sound / "mine").mkdir()
    for number in (2, 3):
        shutil.copy(sound / f"atlas/plate{number}.h5ad", sound / "mine")
    before = contents(sound / "mine")
    config = merged(SOUND, {"atlas": {"packed_dir": "mine"}})
    words = [
        "error: mine/plate2.h5ad: was not packed by cellshuffle, or is damaged, and packing would "
        "overwrite it; move it away, or choose another atlas: packed_dir (and the same of 1 more)"
    ]
    for force in ([], ["-F"]):
        fails(words, sound, config, TARGET, *force)
        assert contents(sound / "mine") == before
    for path in before:
        path.unlink()
    snakemake(sound, config, TARGET)
    snakemake(sound, config, TARGET, "-F", "--dry-run")


def test_the_check_of_the_input_sees_them_too(sound):
    """For a Snakemake without h5py, which cannot look itself."""
    path, packed = sound / "atlas/plate1.h5ad", sound / "packed.h5ad"
    shutil.copy(path, packed)
    plate = {
        "plate": "1",
        "split": "train",
        "source": str(path),
        "packed": str(packed),
        "select": {},
    }
    request = {"plates": [plate], "layer": None, "transform": "none", "tasks": {}}
    request |= {"balance": [], "columns": [], "max_cells": {"train": None, "test": None}}
    errors, _, _ = check_atlas(request)
    assert any(line.startswith(f"{packed}: was not packed by cellshuffle") for line in errors)
    with pytest.raises(InputError, match="move it away, or choose another") as told:
        check_origin(packed, "{}")
    assert "delete" not in str(told.value)


def test_published_plates_in_the_folder_of_packed_ones(sound):
    (sound / "atlas/sub").mkdir()
    for number in (1, 2, 3):
        shutil.move(sound / f"atlas/plate{number}.h5ad", sound / "atlas/sub")
    (sound / "link").symlink_to("atlas/sub")
    before = contents(sound / "atlas")
    atlas = {"plate_file": "sub/plate{plate}.h5ad", "packed_dir": "link"}
    words = ["link/plate1.h5ad is a published plate, which packing would overwrite; choose another"]
    fails(words, sound, merged(SOUND, {"atlas": atlas}), TARGET, "-F")
    assert contents(sound / "atlas") == before


REAL = "data/small/plate5_filt_Vevo_Tahoe100M_WServicesFrom_ParseGigalab.h5ad"
TABLE = "data/small/drug_metadata.csv"


@pytest.mark.parametrize(("name", "option"), [(REAL, "-F"), (REAL, "--delete-all-output"), (TABLE, "-F")])
def test_published_files_where_simulated_ones_go(tmp_path, name, option):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    if name == REAL:
        sound_plate(5).write_h5ad(path)
    else:
        path.write_text("drug,moa-fine\nAbemaciclib,CDK inhibitor\n")
    before = contents(tmp_path / "data")
    words = [
        f"{name}: was not simulated by cellshuffle",
        "remove atlas: simulate from the configuration",
    ]
    fails(words, tmp_path, SMALL, "results/small/labels/classes.json", option)
    assert contents(tmp_path / "data") == before


def test_simulated_files_are_known(small_run, sound_atlas, tmp_path):
    plates = list((small_run / "data/small").glob("*.h5ad"))
    assert len(plates) == 5 and all(map(is_simulated, plates))
    assert is_simulated_table(small_run / TABLE)
    assert not is_simulated(sound_atlas / "plate1.h5ad")
    (tmp_path / "other").write_bytes(b"\0\xff")
    for path in (tmp_path / "other", tmp_path / "nothing", tmp_path):
        assert not is_simulated(path) and not is_simulated_table(path)
