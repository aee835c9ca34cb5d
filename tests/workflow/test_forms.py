"""The same cells in every form in which atlases come, through the whole workflow, give the same metrics."""

import shutil

import h5py
import pytest
from atlases import STORES, sound_plate, write_store
from runs import SMALL, SOUND, fails, merged, snakemake

PLATES = {"train_plates": ["plate1", "plate4", "plate5", "plate13"], "test_plates": ["plate14"]}
RESULTS = ["metrics.csv", "weights/combinations.csv", "labels/classes.json"]
STRATEGY = {"random": {"sampler": "BlockShuffling", "block_size": 1}}


def of_parquet(**changes):
    """The small configuration of Parquet files, whose cells and labels are those of its h5ad files."""
    atlas = {"plate_file": "data", "plate_column": "plate", "simulate": {"form": "parquet"}} | PLATES
    tasks = {"cell_line": {"column": "cell_line_id"}}
    config = merged(SMALL, {"run": "parquet", "atlas": atlas, "tasks": tasks})
    config["tasks"]["moa_fine"]["lookup"]["table"] = "data/small/metadata/drug_metadata.parquet"
    return merged(config, changes)


@pytest.fixture(scope="module")
def parquet_run(tmp_path_factory):
    """Folder in which the small configuration has run from Parquet files."""
    folder = tmp_path_factory.mktemp("parquet")
    snakemake(folder, of_parquet(), *[f"results/parquet/{name}" for name in RESULTS])
    return folder


def test_parquet_files_give_the_metrics_of_the_h5ads(small_run, parquet_run):
    for name in RESULTS:
        made = [
            folder / "results" / run / name
            for folder, run in ((small_run, "small"), (parquet_run, "parquet"))
        ]
        assert made[0].read_bytes() == made[1].read_bytes(), name
    for plate in (1, 14):
        packed = small_run / f"results/small/packed/plate{plate}.h5ad"
        other = parquet_run / f"results/parquet/packed/plateplate{plate}.h5ad"
        with h5py.File(packed) as file, h5py.File(other) as same:
            for name in ("data", "indices", "indptr"):
                assert file["X"][name].dtype == same["X"][name].dtype
                assert (file["X"][name][:] == same["X"][name][:]).all()


@pytest.mark.parametrize(("key", "genes"), [("genes", range(10, 100)), ("align", range(150, 5, -2))])
def test_what_else_is_asked_gives_the_same_from_parquet(small_run, parquet_run, tmp_path, key, genes):
    """Genes and cells chosen, cells without a label left out, a task of an obs column."""
    file = tmp_path / "genes.txt"
    absent = "nowhere\n" * (key == "align")
    file.write_text(absent + "".join(f"GENE{k:05d}\n" for k in genes))
    drugs = ["DMSO_TF", *(f"Compound {k:03d}" for k in (1, 2, 3, 6, 7))]
    made = []
    for folder, config in ((small_run, SMALL), (parquet_run, of_parquet())):
        run = f"{key}-{config['run']}"
        lookup = {"table": "data/small/drug_metadata.csv", "extra": ...}
        asked = {"run": run, "atlas": {key: str(file), "where": {"drug": drugs}}}
        asked["tasks"] = {"moa_fine": {"lookup": lookup, "missing": "drop"}, "drug": ...}
        asked["tasks"]["sample"] = {"column": "sample"}
        own = merged(config, asked | {"weights": {"balance": ["sample"]}}) | {"strategies": STRATEGY}
        own["training"] = config["training"] | {"seeds": [0], "epochs": 1}
        names = [f"results/{run}/{name}" for name in RESULTS]
        snakemake(folder, own, *names)
        made.append([(folder / name).read_bytes() for name in names])
    assert made[0] == made[1]


def test_parquet_is_refused_in_one_line_where_it_cannot_be(parquet_run):
    unpacked = of_parquet(run="unpacked", atlas={"simulate": ..., "pack": False, "plate_column": ...})
    unpacked["atlas"] |= {"train_plates": ["data"], "test_plates": ["other"], "plate_file": "{plate}"}
    (parquet_run / "data/small/other").mkdir()
    target = "results/unpacked/labels/classes.json"
    fails(
        ["data: is no h5ad file; its cells are read once packed", "other: is a folder, but neither"],
        parquet_run,
        unpacked,
        target,
    )
    foreign = of_parquet(run="foreign", atlas={"dir": "data/foreign"})
    (parquet_run / "data/foreign/metadata").mkdir(parents=True)
    shutil.copy(parquet_run / "config.yaml", parquet_run / "data/foreign/metadata/gene_metadata.parquet")
    fails(["gene_metadata.parquet: was not simulated by cellshuffle"], parquet_run, foreign, target)
    named = of_parquet(atlas={"train_plates": [1]})
    fails(["atlas: plate '1' cannot be simulated; in Parquet they are plate1"], parquet_run, named, target)
    placed = of_parquet(atlas={"plate_file": "{plate}"})
    fails(
        ["give its name as plate_file, without {plate}, and `plate_column: plate`"],
        parquet_run,
        placed,
        target,
    )


def test_zarr_stores_of_every_form_give_the_metrics_of_the_h5ads(sound):
    """Genes in another order aligned; then to a list, with cells chosen and a task of an obs column."""
    (sound / "genes.txt").write_text("".join(f"g{k}\n" for k in range(3, 40)))  # some are in no plate
    atlas = {"align": "genes.txt", "where": {"line": ["l0", "l2"]}}
    tasks = {"moa": {"missing": "drop"}, "line": {"column": "line"}}
    asked = merged(SOUND, {"run": "asked", "atlas": atlas, "tasks": tasks})
    names = [
        f"results/{run}/{name}"
        for run in ("bad", "asked")
        for name in (
            "labels/classes.json",
            "train/streaming/seed0/metrics.json",
            "train/streaming/seed0/model.pt",
        )
    ]
    expected = None
    for form in ["h5ad", *STORES]:
        folder = sound / form
        (folder / "atlas").mkdir(parents=True)
        for name in ("atlas/moa.csv", "genes.txt"):
            shutil.copy(sound / name, folder / name)
        for number in (1, 2, 3):
            plate = sound_plate(number)[:, :: -1 if number == 2 else 1].copy()
            if form == "h5ad":
                plate.write_h5ad(folder / f"atlas/plate{number}.h5ad")
            else:
                write_store(plate, folder / f"atlas/plate{number}.zarr", form)
        place = "plate{plate}.h5ad" if form == "h5ad" else f"plate{{plate}}.zarr{'.zip' * ('zip' in form)}"
        for config in (merged(SOUND, {"atlas": {"align": "intersection"}}), asked):
            run = f"results/{config['run']}/"
            own = [name for name in names if name.startswith(run)]
            snakemake(folder, merged(config, {"atlas": {"plate_file": place}}), *own)
        made = [(folder / name).read_bytes() for name in names]
        expected = expected or made
        assert made == expected, form
