"""Plates whose genes differ, through the workflow: told, packed to one list, the same scores as without."""

import shutil

import anndata
import pandas as pd
from atlases import sound_plate
from runs import SOUND, fails, merged, snakemake

RESULT = "results/bad/train/streaming/seed0/metrics.json"


def packed_times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("results/bad/packed/*.h5ad")}


def test_an_aligned_run_is_that_of_plates_that_agree(sound):
    """Plates reordered by anndata; a further plate has the others packed again where it changes the list."""
    for number in (2, 3):
        plate = sound_plate(number)
        plate[:, ::-1].copy().write_h5ad(sound / f"atlas/plate{number}.h5ad")
    aligned = merged(SOUND, {"atlas": {"align": "intersection"}})
    fails(["plate2.h5ad: 30 genes differ", "atlas: align (`cellshuffle pack --align`)"], sound, SOUND, RESULT)
    done = snakemake(sound, aligned, RESULT)
    words = "atlas: align: plate2.h5ad, plate3.h5ad: their order changes"
    assert words in done.stdout
    log = (sound / "results/bad/logs/pack_plate/2.log").read_text()
    assert "plate 2: their order changes" in log
    other = sound / "other"
    for number in (1, 2, 3):
        (other / "atlas").mkdir(parents=True, exist_ok=True)
        sound_plate(number).write_h5ad(other / f"atlas/plate{number}.h5ad")
    shutil.copy(sound / "atlas/moa.csv", other / "atlas/moa.csv")
    snakemake(other, SOUND, RESULT)
    for name in ("metrics.json", "model.pt"):
        path = RESULT.replace("metrics.json", name)
        assert (sound / path).read_bytes() == (other / path).read_bytes()
    times = packed_times(sound)
    sound_plate(4).write_h5ad(sound / "atlas/plate4.h5ad")
    more = merged(aligned, {"atlas": {"train_plates": [1, 2, 4]}})
    snakemake(sound, more, "results/bad/labels/train.npy")
    assert packed_times(sound) == times | {"plate4.h5ad": packed_times(sound)["plate4.h5ad"]}
    sound_plate(4)[:, 5:].copy().write_h5ad(sound / "atlas/plate4.h5ad")
    snakemake(sound, more, "results/bad/labels/train.npy")
    log = (sound / "results/bad/logs/check_input.log").read_text()
    assert "plate1.h5ad: 5 of its 30 genes are dropped (g0, g1, g2, ...)\n" in log
    for number in (1, 2, 3, 4):
        packed = anndata.read_h5ad(sound / f"results/bad/packed/plate{number}.h5ad")
        pd.testing.assert_index_equal(packed.var_names, sound_plate(1).var_names[5:])
