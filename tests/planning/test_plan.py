"""The plan before a run: counts equal those of the files, costs follow from them, risks are named."""

import os
from collections import Counter

import anndata
import h5py
import numpy as np
import pytest
import yaml
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.errors import InputError
from cellshuffle.packing.format import FORMAT_ATTRIBUTE
from cellshuffle.packing.pack import pack_plate
from cellshuffle.planning.calibration import calibrate
from cellshuffle.planning.plan import lines, packed_bytes, plan, risks, size
from cellshuffle.planning.proportions import proportion_risks, proposed
from cellshuffle.planning.survey import TAHOE, count_classes, survey
from runs import REPOSITORY, SMALL, snakemake

STRATEGIES = {
    "streaming": {"sampler": "Streaming"},
    "weighted": {"sampler": "BlockWeightedSampling", "block_size": 2, "total_size": 10},
}
MEMORY = {"streaming": 1000, "weighted": 2000}  # MB
TRAINING = {"seeds": [0, 1], "epochs": 3, "batch_size": 8, "fetch_factor": 2, "threads": 1,
            "learning_rate": 1e-3, "transform": "none", "device": "cpu", "prefetch": 2,
            "world_size": 1, "model": {"hidden": []}}  # fmt: skip


def configuration(run="own", **training):
    return {
        "run": run,
        "atlas": {"pack": True},
        "strategies": STRATEGIES,
        "training": TRAINING | training,
        "weights": {"min_count_baseline": 1000},
    }


def request_for(folder, plates, balance=("line",), tasks=("line",), max_cells=None, select=None):
    """What the workflow asks of an atlas of `plates`, {name: split}."""
    entries = [
        {
            "plate": name,
            "split": split,
            "source": str(folder / f"{name}.h5ad"),
            "packed": str(folder / "packed" / f"{name}.h5ad"),
            "select": select or {},
        }
        for name, split in plates.items()
    ]
    limits = {"train": None, "test": None} | (max_cells or {})
    return {
        "plates": entries,
        "layer": None,
        "transform": "none",
        "tasks": {task: {"column": task} for task in tasks},
        "balance": list(balance),
        "columns": [label for label in balance if label not in tasks],
        "max_cells": limits,
    }


@pytest.fixture
def atlas(tmp_path):
    """(folder, {plate: obs}) of two train plates and a test plate with a class of its own."""
    tables = {}
    for seed, (name, values) in enumerate({"a": "AB", "b": "BC", "c": "AD"}.items()):
        kinds = {"line": (list(values), "categorical"), "dose": ([1, 5], "integer")}
        tables[name] = obs_of(30 + seed, seed, **kinds)
        write_atlas(tmp_path / f"{name}.h5ad", counts_of(30 + seed, 200, seed), tables[name])
    return tmp_path, tables


PLATES = {"a": "train", "b": "train", "c": "test"}


def test_classes_are_counted_without_reading_cells(atlas):
    folder, _ = atlas
    paths = [folder / f"{name}.h5ad" for name in PLATES]
    (folder / "table.csv").write_text("line,group\nA,x\nB,x\nC,y\nD,y\n")
    lookup = {"table": str(folder / "table.csv"), "key": "line", "value": "group"}
    tasks = {"line": {"column": "line"}, "group": {"column": "line", "lookup": lookup}}
    assert count_classes(paths, tasks) == 4 + 2
    with pytest.raises(InputError, match="has no obs/dose/categories"):
        count_classes(paths, {"dose": {"column": "dose"}})


def test_counts_are_those_of_the_files(atlas):
    folder, tables = atlas
    found = survey(request_for(folder, PLATES, ["line", "dose"]))
    assert found.cells == {"train": 61, "test": 32} and found.n_genes == 200
    assert found.n_classes == {"line": 4} and found.unseen == {"line": ["D"]}
    train = [tuple(row) for name in "ab" for row in tables[name][["line", "dose"]].to_numpy()]
    expected = sorted(np.unique([f"{a} {b}" for a, b in train], return_counts=True)[1])
    assert sorted(found.combinations) == expected
    pilot = survey(request_for(folder, PLATES, max_cells={"train": 35}))
    assert pilot.cells == {"train": 35, "test": 32} and pilot.combinations.sum() == 35
    assert pilot.to_pack == 93


def test_cells_without_a_label_are_no_class(atlas):
    """They are left out of classes and combinations; the largest risk is that the run will be refused."""
    folder, tables = atlas
    for name in "ab":
        tables[name].loc[tables[name].index[:3], "line"] = np.nan
        write_atlas(folder / f"{name}.h5ad", counts_of(len(tables[name]), 200), tables[name])
    found = survey(request_for(folder, PLATES, ["line", "dose"]))
    train = [row for name in "ab" for row in tables[name].dropna().itertuples(index=False)]
    assert sorted(found.combinations) == sorted(Counter(train).values())
    assert found.cells == {"train": 61, "test": 32} and found.n_classes == {"line": 4}
    assert len(found.problems) == 1 and "3 cells have no value in obs column 'line'" in found.problems[0]
    named = risks(found, {"disk": 1, "disk_free": 2, "jobs_at_once": 1, "memory": 1, "machine_memory": 2,
                          "strategies": {}}, configuration(), "cpu")  # fmt: skip
    assert named[0] == f"The run will be refused: {found.problems[0]}"


def test_keys_that_a_lookup_table_lacks_are_no_class(atlas):
    folder, tables = atlas
    (folder / "table.csv").write_text("line,group\nA,x\nC,y\n")
    lookup = {"table": str(folder / "table.csv"), "key": "line", "value": "group"}
    request = request_for(folder, PLATES, ["group"])
    request |= {"tasks": {"group": {"column": "line", "lookup": lookup}}, "columns": []}
    found = survey(request)
    count = Counter(value for name in "ab" for value in tables[name]["line"])
    assert sorted(found.combinations) == sorted([count["A"], count["C"]])
    assert found.n_classes == {"group": 2} and found.unseen == {}
    assert [f"no group for '{key}'" in line for key, line in zip("BD", found.problems, strict=True)]
    (folder / "table.csv").unlink()
    with pytest.raises(InputError, match="there is no such lookup table"):
        survey(request)


def test_a_plate_that_cannot_be_read_is_an_error(atlas):
    folder, _ = atlas
    (folder / "a.h5ad").write_text("no h5ad")
    (folder / "b.h5ad").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.h5ad: not a readable HDF5(.|\n)*b\.h5ad: is an empty file"):
        survey(request_for(folder, PLATES))


def test_plates_in_another_format_are_to_be_packed(atlas):
    folder, _ = atlas
    for name in PLATES:
        pack_plate(folder / f"{name}.h5ad", folder / "packed" / f"{name}.h5ad", note="{}")
    with h5py.File(folder / "packed/a.h5ad", "r+") as file:
        del file.attrs[FORMAT_ATTRIBUTE]
    assert survey(request_for(folder, PLATES)).to_pack == 30


def test_disk_is_what_packing_takes(atlas):
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    indices = 0
    for name in PLATES:
        pack_plate(folder / f"{name}.h5ad", folder / "packed" / f"{name}.h5ad", note="{}")
        indices += counts_of(30 + "abc".index(name), 200, "abc".index(name)).astype(bool).sum()
    assert packed_bytes(found) == pytest.approx(4 * indices + 8 * 93, rel=1e-6)
    assert survey(request_for(folder, PLATES)).to_pack == 0


def test_divided_plates_are_counted_by_side(atlas):
    folder, tables = atlas
    split = {"column": "dose", "train": [1], "test": [5], "side": "train"}
    request = request_for(folder, {"a": "train"}, select={"split": split})
    found = survey(request)
    assert found.cells["train"] == (tables["a"]["dose"] == 1).sum()


def test_times_follow_from_the_rates(atlas):
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    rates = {"pack": 10, "train": 100, "load": {"streaming": 50, "weighted": 1e6}, "device": "cpu"}
    costs = plan(found, rates, configuration(), MEMORY, folder, cores=2, threads=1)
    streaming = costs["strategies"]["streaming"]
    assert streaming["epoch"] == pytest.approx(61 / 50 + 32 / 100, rel=1e-4)  # trained and tested
    assert streaming["training"] == pytest.approx(3 * (61 / 50 + 32 / 100), rel=1e-4)
    assert costs["strategies"]["weighted"]["epoch"] == pytest.approx((10 + 32) / 100, rel=1e-3)
    assert costs["memory"] == 2e9
    assert costs["pack"] == pytest.approx(93 / 10 / 2)
    seeds = sum(cost["seeds"] for cost in costs["strategies"].values())
    assert costs["total"] == pytest.approx(costs["pack"] + seeds / 2)
    both = plan(found, rates | {"train_linear": 40}, configuration(), MEMORY, folder, cores=2, threads=1)
    linear = 2 * 3 * (61 / 40 + 32 / 40 + (10 + 32) / 40)
    assert both["linear"] == pytest.approx(linear / 2, rel=1e-3)
    assert both["total"] == pytest.approx(costs["total"] + linear / 2, rel=1e-3)


def test_tuning_is_priced_at_every_rate_that_is_no_strategys_own(atlas):
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    rates = {"pack": 10, "train": 100, "load": {"streaming": 50, "weighted": 1e6}, "device": "cpu"}
    own = {"streaming": STRATEGIES["streaming"] | {"epochs": 5}, "weighted": STRATEGIES["weighted"]}
    once = configuration() | {"strategies": own}
    tuned = once | {"tune": {"learning_rate": [1e-4, 1e-3, 1e-2], "validation": {"fraction": 0.1}}}
    before, after = (plan(found, rates, c, MEMORY, folder, cores=2, threads=1) for c in (once, tuned))
    assert before["strategies"]["streaming"]["training"] == pytest.approx(5 * (61 / 50 + 32 / 100), rel=1e-4)
    assert (before["trainings"], after["trainings"]) == (2 * 2, 2 * 3 * 2)
    for name in own:  # two of the three rates come on top of the strategies' own
        costs = before["strategies"][name], after["strategies"][name]
        assert costs[1]["seeds"] == pytest.approx(3 * costs[0]["seeds"])


def test_without_a_loader_of_its_own_a_training_loads_between_its_steps(atlas):
    """The rate of training is measured with loading in order; another order costs what it takes more."""
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    load = {"streaming": 400, "weighted": 200}
    rates = {"pack": 10, "train": 100, "in_order": 400, "load": load, "device": "cpu"}
    costs = plan(found, rates, configuration(prefetch=0), MEMORY, folder, cores=2, threads=1)["strategies"]
    assert costs["streaming"]["cells_per_second"] == pytest.approx(100)
    assert costs["weighted"]["cells_per_second"] == pytest.approx(1 / (1 / 100 + 1 / 200 - 1 / 400))
    assert [cost["loading"] for cost in costs.values()] == [400, 200]


def test_columns_agree_where_times_are_short(atlas):
    """An epoch of a tenth of a second is no second: as many of them are a training, and those the seeds."""
    folder, _ = atlas
    found, config = survey(request_for(folder, PLATES)), configuration(epochs=100)
    load = {"streaming": 1e6, "weighted": 1e6}
    rates = {"pack": 9, "train": 820, "in_order": 1e6, "load": load, "device": "cpu"}
    costs = plan(found, rates, config, MEMORY, folder, cores=1, threads=1)
    table = [line.split() for line in lines(found, costs, config, rates)]
    row = next(words for words in table if words[:1] == ["streaming"])
    assert row[-6:] == ["0.11", "s", "11", "s", "23", "s"]


def test_findings_of_the_check_lead_the_plan(tmp_path):
    """Genes that differ and a split without cells, as `check_input` says them."""
    for name, n_genes in (("a", 200), ("b", 199)):
        obs = obs_of(30, ord(name), line=(["A", "B"], "categorical"))
        write_atlas(tmp_path / f"{name}.h5ad", counts_of(30, n_genes, ord(name)), obs)
    rates = {"pack": 9, "train": 9, "in_order": 9, "load": dict.fromkeys(STRATEGIES, 9), "device": "cpu"}
    for plates, words in (
        ({"a": "train", "b": "test"}, "genes"),
        ({"a": "train"}, "test split has no cells"),
    ):
        found = survey(request_for(tmp_path, plates))
        costs = plan(found, rates, configuration(), MEMORY, tmp_path, cores=1, threads=1)
        said = list(lines(found, costs, configuration(), rates))
        assert said[1].startswith("THE RUN WILL BE REFUSED: ") and words in said[1]
        assert any(line.startswith("largest risk  The run will be refused: ") for line in said)


def test_this_machine_is_measured_and_the_plan_says_everything(atlas, tmp_path):
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    (tmp_path / "block").mkdir()
    training = TRAINING | {"model": {"hidden": [30, 8]}}
    rates = calibrate(found, STRATEGIES, training, tmp_path / "block", linear=True)
    assert min(rates["pack"], rates["train"], rates["train_linear"], *rates["load"].values()) > 0
    costs = plan(found, rates, configuration(), MEMORY, folder, cores=1, threads=1)
    text = "\n".join(lines(found, costs, configuration(), rates))
    for word in (
        "61 to train on, 32 to test on",
        "line 4 classes",
        "weighted",
        "largest risk",
        "linear model",
    ):
        assert word in text


def test_packing_is_priced_by_the_form_of_the_plates(tmp_path, monkeypatch):
    """The first cells of a zarr store are packed, not those of a made-up h5ad."""
    write_atlas(tmp_path / "p1.h5ad", counts_of(60, 20), obs_of(60, line=(["A", "B"], "categorical")))
    anndata.read_h5ad(tmp_path / "p1.h5ad").write_zarr(tmp_path / "p1.zarr")
    request = request_for(tmp_path, {"p1": "train"})
    request["plates"][0]["source"] = str(tmp_path / "p1.zarr")
    packed = []

    def noted(source, *arguments):
        packed.append(str(source))
        pack_plate(source, *arguments)

    monkeypatch.setattr("cellshuffle.planning.calibration.pack_plate", noted)
    monkeypatch.setattr("cellshuffle.planning.calibration.SECONDS", 0.01)
    (tmp_path / "block").mkdir()
    found = survey(request)
    rates = calibrate(found, STRATEGIES, TRAINING, tmp_path / "block")
    assert packed[0] == str(tmp_path / "p1.zarr") and rates["pack"] > 0 and not found.can_be_unpacked


def test_risks_name_what_goes_wrong(atlas):
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    rates = {"pack": 1, "train": 1e-3, "load": {"streaming": 9, "weighted": 9}, "device": "cpu"}
    config = configuration(device="cuda")
    costs = plan(found, rates, config, MEMORY, folder, cores=1, threads=1)
    costs["disk"], costs["memory"] = costs["disk_free"] + 1, costs["machine_memory"] + 1
    named = risks(found, costs, config, "cpu")
    for position, word in enumerate(
        ("disk is too small", "of memory", "more than a day", "D): no strategy", "A fetch",
         "next to nothing", "GPU", "baseline")
    ):  # fmt: skip
        assert word in named[position]


def risks_of(n_train, **training):
    """Risks of that many train cells for a strategy that shuffles its fetches, and one that does not."""
    strategies = {"streaming": STRATEGIES["streaming"], "block": {"sampler": "BlockShuffling"}}
    settings = {"batch_size": 64, "fetch_factor": 16, "epochs": 10, "learning_rate": 1e-4}
    return proportion_risks(n_train, strategies, TRAINING | settings | training)


def test_a_fetch_of_most_cells_and_a_training_of_few_steps_are_risks():
    fetch, steps = risks_of(1500, epochs=1)
    assert "1,024 cells) holds 68% of the train cells in block:" in fetch
    assert "try batch_size 16, fetch_factor 4" in fetch
    assert "takes 24 steps" in steps and "epochs to about 42" in steps
    assert len(risks_of(1500, epochs=42)) == 1 and len(risks_of(1500, learning_rate=1e-2)) == 1
    assert risks_of(26_000) == []
    only_in_order = {"streaming": {"sampler": "Streaming", "shuffle": False}}
    assert proportion_risks(1500, only_in_order, TRAINING | {"epochs": 100}) == []


@pytest.mark.parametrize("n_train", [400, 1500, 5000, 26_000, 10**8])
def test_what_is_drafted_is_no_risk(n_train):
    assert risks_of(n_train, **proposed(n_train)) == []


def test_what_sets_the_pace_is_said(atlas):
    folder, _ = atlas
    found = survey(request_for(folder, PLATES))
    said = "The model, not loading, sets the pace of all strategies"
    for reading in (50, 5000):
        load = {"streaming": reading, "weighted": 9000}
        rates = {"pack": 9, "train": 100, "load": load, "device": "cpu"}
        costs = plan(found, rates, configuration(), MEMORY, folder, cores=1, threads=1)
        text = "\n".join(lines(found, costs, configuration(), rates))
        assert costs["strategies"]["streaming"]["paced_by"] == {50: "loading", 5000: "model"}[reading]
        assert costs["strategies"]["weighted"]["paced_by"] == "model"
        assert (f"{said}; loading alone would reach 5,000 to 9,000 cells/s" in text) == (reading > 100)
        assert "one training runs at a time; this machine has" in text


def test_an_absent_atlas_is_an_error_unless_its_sizes_are_published(tmp_path):
    with pytest.raises(InputError, match="no such plate"):
        survey(request_for(tmp_path, PLATES))


@pytest.mark.parametrize("name", ["tahoe", "tahoe_parquet"])
def test_full_tahoe_is_planned_without_its_files(tmp_path, name):
    """config/tahoe.yaml, and that of its Parquet files, as they are: the full-size facts of the atlas."""
    config = yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text())
    done = snakemake(tmp_path, config, "--quiet", "all", "--", "plan")
    for word in ("95.6 million to train on", "5,050,000 to test on", "62,710", "drug 380 classes",
                 "846 GB for packed plates", "true_weighted", "at most 19,000"):  # fmt: skip
        assert word in done.stdout
    assert TAHOE["cells"] == 100_648_790 and not os.path.exists(tmp_path / f"results/{name}/packed")
    assert (", or pack: false" in done.stdout) == (name == "tahoe")  # Parquet is always packed


def test_simulated_atlas_is_planned_before_it_exists(tmp_path):
    plates = {"1": "train", "14": "test"}
    found = survey(request_for(tmp_path, plates, ["drug"], ["drug"]), SMALL["atlas"]["simulate"])
    assert found.cells == {"train": 300, "test": 300} and found.n_classes == {"drug": 20}


def test_sizes_are_said_in_three_figures():
    assert [size(n) for n in (846.04e9, 2.1e12, 70.04e6)] == ["846 GB", "2.1 TB", "70 MB"]


def test_an_atlas_that_is_divided_is_planned_before_it_exists(tmp_path):
    """A draw is of its share; how a column or a table divides is not known, and said not to be."""
    sizes = SMALL["atlas"]["simulate"]
    plates = {"1-train": "train", "1-test": "test"}
    for split, cells in (
        ({"fraction": 0.25, "seed": 0}, {"train": 225, "test": 75}),
        ({"columns": ["drug"], "fraction": 0.25, "seed": 0}, {"train": 225, "test": 75}),
        ({"columns": ["drug"], "table": "held_out.csv"}, {"train": 300, "test": 300}),
    ):
        found = survey(request_for(tmp_path, plates, ["drug"], ["drug"], select={"split": split}), sizes)
        assert found.cells == cells
        assert [note.startswith("atlas: split: how the cells divide") for note in found.notes] == (
            [True] if "table" in split else []
        )
