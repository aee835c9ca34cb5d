"""`make config` drafts a configuration that fits the files, passes the schema and says what it saw."""

import shutil
import subprocess
import sys

import anndata
import h5py
import numpy as np
import pytest
import yaml
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration.consistency import inconsistencies
from cellshuffle.configuration.run import Run
from cellshuffle.errors import InputError
from cellshuffle.inspection.atlas import check_atlas
from cellshuffle.planning.draft import draft
from cellshuffle.planning.plates import name_pattern
from cellshuffle.planning.proportions import proposed
from cellshuffle.simulation.counts import simulate_plate
from cellshuffle.simulation.parquet import simulate_parquet
from hypothesis import given
from hypothesis import strategies as st
from runs import REPOSITORY, SCHEMA, snakemake

KINDS = {
    "cell type": (["T", "B", "NK"], "categorical"),
    "donor": (["d1", "d2", "d10"], "string"),
    "yes": ([True, False], "boolean"),
    "n_genes": (list(range(60, 400)), "integer"),
}


def read(folder):
    """The drafted configuration, which must be without fault, and its text."""
    text = draft(folder)
    config = yaml.safe_load(text)
    assert configuration.schema_problems(config, SCHEMA) == []
    configuration.fill_defaults(config, SCHEMA)
    assert list(inconsistencies(config)) == []
    return config, text


@pytest.mark.parametrize(
    ("names", "pattern", "plates"),
    [
        (["plate1.h5ad", "plate10.h5ad", "plate2.h5ad"], "plate{plate}.h5ad", [1, 10, 2]),
        (["p10_x.h5ad", "p11_x.h5ad"], "{plate}_x.h5ad", ["p10", "p11"]),
        (["C144.h5ad", "C145.h5ad"], "{plate}.h5ad", ["C144", "C145"]),
        (["covid_C144_f.h5ad", "covid_C145_f.h5ad"], "covid_{plate}_f.h5ad", ["C144", "C145"]),
        (["Plate_1.h5ad", "Plate_2.h5ad"], "Plate_{plate}.h5ad", [1, 2]),
        (["liver.h5ad", "lung.h5ad"], "{plate}.h5ad", ["liver", "lung"]),
        (["d_liver_x.h5ad", "d_lung_x.h5ad"], "d_{plate}_x.h5ad", ["liver", "lung"]),
        (["a.h5ad", "ab.h5ad"], "{plate}.h5ad", ["a", "ab"]),
        (["x01.h5ad", "x02.h5ad"], "{plate}.h5ad", ["x01", "x02"]),
        (["x_01.h5ad", "x_02.h5ad"], "x_{plate}.h5ad", ["01", "02"]),
        (["only.h5ad"], "only.h5ad", ["all"]),
        (["Donor é.h5ad", "Donor ü.h5ad"], "Donor {plate}.h5ad", ["é", "ü"]),
        (["10X v2.h5ad", "10X v3.h5ad"], "10X {plate}.h5ad", ["v2", "v3"]),
    ],
)
def test_the_pattern_of_file_names(names, pattern, plates):
    assert name_pattern(names) == (pattern, plates)


@given(st.sets(st.from_regex(r"\A[a-c0-1_]{1,5}\Z"), min_size=2, max_size=5))
def test_pattern_and_plates_give_the_names_back(stems):
    names = sorted(f"{stem}.h5ad" for stem in stems)
    pattern, plates = name_pattern(names)
    assert [pattern.format(plate=plate) for plate in plates] == names


def test_a_folder_of_plates(tmp_path):
    for seed, plate in enumerate((1, 2, 10)):
        path = tmp_path / f"screen_{plate}.h5ad"
        write_atlas(path, counts_of(900, 20, seed), obs_of(900, seed, **KINDS))
    config, text = read(tmp_path)
    assert config["atlas"]["train_plates"] == [1, 2] and config["atlas"]["test_plates"] == [10]
    assert config["atlas"]["plate_file"] == "screen_{plate}.h5ad"
    columns = {task: entry["column"] for task, entry in config["tasks"].items()}
    assert columns == {"cell_type": "cell type"}
    assert "\n  # donor: {column: donor}  # tells where cells are from" in text and '\n  # "yes": ' in text
    assert "2,700 cells and 20 genes" in text and "#   cell type: 3 values (B " in text


def test_one_file_is_divided_by_what_looks_like_plates(tmp_path):
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs_of(60, **KINDS), place="counts")
    config, _ = read(tmp_path)
    assert config["atlas"]["plate_column"] == "donor"
    assert config["atlas"]["train_plates"] == ["d1", "d2"]
    assert config["atlas"]["test_plates"] == ["d10"]
    assert config["atlas"]["layer"] == "counts"


def test_one_file_with_a_split_of_its_own_or_none(tmp_path):
    kinds = {"type": (["T", "B"], "categorical"), "split": (["train", "test"], "string")}
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs_of(60, **kinds))
    split = read(tmp_path)[0]["atlas"]["split"]
    assert (split["column"], split["train"], split["test"]) == ("split", ["train"], ["test"])
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs_of(60, type=kinds["type"]))
    assert read(tmp_path)[0]["atlas"]["split"]["fraction"] == 0.1


@pytest.mark.parametrize("n_train", [20, 400, 1500, 4999, 5000, 26_000, 95_000_000])
def test_settings_are_in_proportion_to_the_train_cells(n_train):
    """Steps as the demo takes them, of fetches that are neither most of the cells nor one minibatch."""
    own = proposed(n_train)
    fetch, steps = own["batch_size"] * own["fetch_factor"], n_train / own["batch_size"]
    assert own["fetch_factor"] >= 2 and fetch <= 1024
    assert n_train < 400 or fetch <= n_train / 10
    assert own["epochs"] == 100 or 4000 <= own["epochs"] * -(-steps // 1) < 4000 + steps + 1
    if n_train > 10**6:
        assert own == {"batch_size": 64, "fetch_factor": 16, "epochs": 1}


def test_the_draft_says_for_how_many_train_cells_it_is_made(tmp_path):
    for plate, n_cells in ((1, 700), (2, 400)):
        obs = obs_of(n_cells, plate, line=(["A", "B"], "string"))
        write_atlas(tmp_path / f"p{plate}.h5ad", counts_of(n_cells, 20, plate), obs)
    config, text = read(tmp_path)
    assert proposed(700).items() <= config["training"].items()
    assert "about 700 train cells" in text and "(batch_size x fetch_factor, 32 cells) is 4.6%" in text


def test_combinations_of_tasks_are_balanced_where_they_have_cells(tmp_path):
    """Two columns of three values are nine combinations, two of sixty are too many for 2,000 cells."""
    for n_values, balance in ((3, ["line", "drug"]), (60, ["line"])):
        values = [f"v{k}" for k in range(n_values)]
        obs = obs_of(2000, line=(values, "categorical"), drug=(values, "string"))
        write_atlas(tmp_path / "all.h5ad", counts_of(2000, 5), obs)
        config, text = read(tmp_path)
        assert config["weights"]["balance"] == balance
        sizes = obs.groupby(balance, observed=True).size()
        assert config["weights"]["min_count_baseline"] == int(0.9 * sizes.median())
        assert ("9 in all" in text) == (n_values == 3) and ("too few" in text) == (n_values == 60)


def test_what_the_matrices_hold_is_said(tmp_path):
    """And what to do about it; the transform stays `none`."""
    obs, counts = obs_of(60, line=(["A", "B"], "string")), counts_of(60, 20)
    path = tmp_path / "all.h5ad"
    for values, words, advice in (
        (
            counts,
            f"X: whole numbers up to {counts.max()}, counts it seems",
            "cp10k_log1p evens out",
        ),
        (np.log1p(counts), "X: fractions up to 1.", "These are not counts"),
        (counts - 0.5, "X: values from -0.5 to", "These are not counts"),
        (counts * np.nan, "X: holds NaN or infinite values", "These are not counts"),
    ):
        write_atlas(path, values, obs)
        config, text = read(tmp_path)
        assert f"#   {words}" in text and advice in text
        assert config["training"]["transform"] == "none"
    write_atlas(path, counts, obs, place="raw")
    text = read(tmp_path)[1]
    assert "#   X: nothing but zeros" in text and "#   raw: whole numbers" in text
    write_atlas(path, counts, obs, place="spliced")
    with h5py.File(path, "r+") as file:
        del file["X"]
    assert read(tmp_path)[0]["atlas"]["layer"] == "spliced"


def test_a_run_has_the_name_of_its_configuration(tmp_path):
    """So that drafts of one folder, or of one called as the demo is, do not write over each other."""
    folder = tmp_path / "demo"
    write_atlas(folder / "all.h5ad", counts_of(60, 20), obs_of(60, **KINDS))
    assert read(folder)[0]["run"] == "demo_draft"
    assert yaml.safe_load(draft(folder, "second try"))["run"] == "second_try"


@pytest.mark.parametrize("real", [0, 1, 2])
def test_columns_whose_type_differs_are_counted_over_all_files(tmp_path, real):
    """Whole numbers, in one file with a missing value and so real numbers there: the same values."""
    labels = []
    for plate in range(3):
        obs = obs_of(60, plate, line=(["A", "B"], "string"), leiden=([0, 1, 2], "integer"))
        if plate == real:
            obs["leiden"] = obs["leiden"].astype(float)
            obs.loc[obs.index[0], "leiden"] = np.nan
        labels += obs["leiden"].dropna().tolist()
        write_atlas(tmp_path / f"p{plate}.h5ad", counts_of(60, 20, plate), obs)
    config, text = read(tmp_path)
    assert list(config["tasks"]) == ["line"]
    assert "\n  # leiden: {column: leiden, missing: drop}" in text
    values = ", ".join(f"{value} {labels.count(value)}" for value in range(3))
    assert f"leiden: 3 values ({values}); 1 cell has none\n" in text


def test_no_column_that_all_files_have(tmp_path):
    """The message says so, and what there is instead; a column of some files is no task."""
    for plate, name in enumerate(("cell_type", "celltype", "CellType")):
        obs = obs_of(60, plate, **{name: (["T", "B"], "categorical")})
        write_atlas(tmp_path / f"p{plate}.h5ad", counts_of(60, 20, plate), obs)
    each = "p0.h5ad: cell_type; p1.h5ad: celltype; p2.h5ad: CellType"
    with pytest.raises(InputError, match=f"no obs column is in all files .{each}"):
        draft(tmp_path)
    obs = obs_of(60, celltype=(["T", "B"], "categorical"), cell_type=(["T", "B"], "string"))
    write_atlas(tmp_path / "p1.h5ad", counts_of(60, 20), obs)
    (tmp_path / "p2.h5ad").unlink()
    config, text = read(tmp_path)
    assert list(config["tasks"]) == ["cell_type"] and "#   celltype: only in p1.h5ad\n" in text


def test_what_cannot_be_used_is_said_in_a_line(tmp_path):
    with pytest.raises(InputError, match=r"has no \*\.h5ad files, zarr stores or Parquet files: it is empty"):
        draft(tmp_path)
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs_of(60, n=(range(60), "integer")))
    config, text = read(tmp_path)
    assert config["tasks"]["my_task"]["column"] == "FILL_IN" and "#   n: " in text


def test_what_is_no_folder_of_h5ad_files_is_told_so(tmp_path):
    """A file, nothing, one folder too high, files of another kind: what it is, and what to give instead."""
    (tmp_path / "below").mkdir()
    cases = {tmp_path / "absent": "there is no such folder", tmp_path / "below": "it is empty"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other/matrix.mtx").write_text("")
    (tmp_path / "other/._p1.h5ad").write_text("")
    cases[tmp_path / "other"] = r"has no .* \(it has matrix.mtx\); convert them"
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/p1.h5ad.gz").write_text("")
    cases[tmp_path / "packed"] = "p1.h5ad.gz is compressed or not complete"
    write_atlas(tmp_path / "deep/data/p1.h5ad", counts_of(60, 20), obs_of(60, **KINDS))
    cases[tmp_path / "deep"] = f"but {tmp_path}/deep/data has; give that: ATLAS={tmp_path}/deep/data"
    cases[tmp_path / "deep/data/p1.h5ad"] = f"is a file; give the folder it is in: ATLAS={tmp_path}/deep/data"
    for place, words in cases.items():
        with pytest.raises(InputError, match=words):
            draft(place)


def test_files_that_differ_in_genes_or_matrices_are_told_so(tmp_path):
    for plate, n_genes in ((1, 20), (2, 20), (3, 19)):
        obs = obs_of(60, plate, line=(["A", "B"], "string"))
        write_atlas(
            tmp_path / f"p{plate}.h5ad", counts_of(60, n_genes, plate), obs, place="counts" * (plate == 1)
        )
    config, text = read(tmp_path)
    assert "# 1 of 3 files differ from p1.h5ad in their genes or the order of these." in text
    assert "the 19 genes that all have; `union` would keep all 20" in text
    assert config["atlas"]["align"] == "intersection"
    assert "p2.h5ad has no matrix counts, which p1.h5ad has" in text
    other = anndata.read_h5ad(tmp_path / "p2.h5ad")
    other.var_names = [f"other{k}" for k in range(20)]
    other.write_h5ad(tmp_path / "p2.h5ad")
    config, text = read(tmp_path)
    assert config["atlas"]["align"] == "none"
    assert f"THE GENES DIFFER, so a run will be refused: {tmp_path}/p2.h5ad: none of its 20 genes" in text


@pytest.fixture(scope="module")
def in_all_forms(tmp_path_factory):
    """Folders of the same 3 x 300 cells: h5ad, zarr stores, stores in archives, Parquet files."""
    folder = tmp_path_factory.mktemp("forms")
    sizes = {"cells_per_plate": 300, "genes": 40, "cell_lines": 3, "drugs": 12, "seed": 0}
    simulate_parquet(folder / "parquet/data", folder / "parquet/metadata", [1, 4, 5], **sizes)
    for name in ("h5ad", "zarr", "zip"):
        (folder / name).mkdir()
    for plate in (1, 4, 5):
        simulate_plate(folder / f"h5ad/plate{plate}.h5ad", plate, **sizes)
        cells = anndata.read_h5ad(folder / f"h5ad/plate{plate}.h5ad")
        cells.write_zarr(folder / f"zarr/plate{plate}.zarr")
        shutil.make_archive(
            folder / f"zip/plate{plate}.zarr", "zip", root_dir=folder / f"zarr/plate{plate}.zarr"
        )
    return folder


FORMS = {  # words on it, plate_file, plates
    "h5ad": ("3 h5ad files", "plate{plate}.h5ad", [1, 4, 5]),
    "zarr": ("3 zarr stores", "plate{plate}.zarr", [1, 4, 5]),
    "zip": ("3 zarr stores", "plate{plate}.zarr.zip", [1, 4, 5]),
    "parquet": ("1 folder of Parquet files", "data", ["plate1", "plate4", "plate5"]),
    "parquet/data": ("1 folder of Parquet files", "data", ["plate1", "plate4", "plate5"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_plates_is_recognised(in_all_forms, form):
    """And what is drafted for it passes the check of the input."""
    words, pattern, plates = FORMS[form]
    config, text = read(in_all_forms / form)
    assert f"Drafted from {words} with 900 cells and 40 genes" in text
    atlas = config["atlas"]
    assert atlas["plate_file"] == pattern and atlas["dir"] == str(in_all_forms / form.split("/")[0])
    assert atlas["train_plates"] + atlas["test_plates"] == plates
    assert atlas.get("plate_column") == ("plate" if pattern == "data" else None)
    columns = {task["column"] for task in config["tasks"].values()}
    assert {"drug", "cell_line_id" if pattern == "data" else "cell_line"} <= columns
    errors, _, checked = check_atlas(Run(config).check_request())
    assert not errors and sum(plate["n_cells"] for plate in checked) == 900


def test_a_folder_of_several_forms_is_drafted_for_one(in_all_forms, tmp_path):
    shutil.copytree(in_all_forms / "zarr/plate1.zarr", tmp_path / "plate1.zarr")
    shutil.copy(in_all_forms / "h5ad/plate4.h5ad", tmp_path)
    config, text = read(tmp_path)
    assert config["atlas"]["plate_file"] == "plate4.h5ad"
    assert "# Left out: 1 zarr store beside them." in text
    with pytest.raises(InputError, match=f"is a zarr store; give the folder it is in: ATLAS={tmp_path}"):
        draft(tmp_path / "plate1.zarr")


def test_all_strategies_are_written_out(tmp_path):
    """So that a line more is a strategy more, in a draft and in every configuration of the repository."""
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs_of(60, **KINDS))
    drafted = yaml.safe_load(draft(tmp_path))
    assert drafted["strategies"] == SCHEMA["properties"]["strategies"]["default"]
    for path in REPOSITORY.glob("config/*.yaml"):
        shipped = yaml.safe_load(path.read_text())
        assert "strategies" in shipped or path.name == "pilot.yaml", path  # laid over another


def test_the_command_writes_a_file_that_the_workflow_takes(tmp_path):
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs_of(60, **KINDS))
    target, script = tmp_path / "own.yaml", REPOSITORY / "workflow/scripts/draft_config.py"
    command = [sys.executable, str(script), str(tmp_path), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"make run CONFIG={target}" in done.stdout and "\nrun: own\n" in done.stdout
    snakemake(tmp_path, yaml.safe_load(target.read_text()), "--dry-run", "--quiet", "rules")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "is there already" in again.stderr
