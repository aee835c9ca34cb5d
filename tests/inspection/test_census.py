"""The census counts what pandas counts: classes, cells without one, gaps of lookup tables, combinations."""

from collections import Counter

import anndata
import numpy as np
import pandas as pd
import pytest
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.atlas.selection import select_cells
from cellshuffle.errors import InputError
from cellshuffle.inspection.atlas import check_atlas
from cellshuffle.inspection.census import Census
from cellshuffle.labels.codes import class_names, encode, plate_labels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LOOKUP = {"a": "x", "b": "x", "c": "y"}  # of drugs; "d" is lacking
VALUES = {"drug": "abcd", "line": "ABC", "batch": [1, 2, 10]}
SPLITS = {"train": ["p1", "p2"], "test": ["p3"]}


@st.composite
def tables(draw):
    """{plate: obs} of three small plates; drug and line may be missing, batch is an integer."""
    found = {}
    for plate in ("p1", "p2", "p3"):
        n_cells = draw(st.integers(1, 12))
        columns = {
            name: draw(st.lists(st.sampled_from(list(values)), min_size=n_cells, max_size=n_cells))
            for name, values in VALUES.items()
        }
        obs = pd.DataFrame(columns, index=[f"{plate}_{k}" for k in range(n_cells)])
        for column in ("drug", "line"):
            gaps = draw(st.lists(st.booleans(), min_size=n_cells, max_size=n_cells))
            rare = draw(st.booleans())
            obs[column] = obs[column].mask(np.array(gaps) & rare).astype("category")
        found[plate] = obs
    return found


def write(folder, obs):
    for seed, (plate, table) in enumerate(obs.items()):
        write_atlas(folder / f"{plate}.h5ad", counts_of(len(table), 4, seed), table)


def tasks_of(folder):
    (folder / "moa.csv").write_text("drug,moa\n" + "".join(f"{k},{v}\n" for k, v in LOOKUP.items()))
    lookup = {"table": str(folder / "moa.csv"), "key": "drug", "value": "moa"}
    return {"line": {"column": "line"}, "moa": {"column": "drug", "lookup": lookup}}


@given(tables(), st.integers(1, 40), st.sampled_from([None, 1, 10]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_counts_are_those_of_pandas(tmp_path, obs, limit, batch):
    """batch: as with plate_column, only the cells of one of its values are used."""
    write(tmp_path, obs)
    census = Census(tasks_of(tmp_path), ["batch"], ["moa", "batch"], {"moa": LOOKUP},
                    {"train": limit, "test": None})  # fmt: skip
    problems, used = [], {}
    for split, plates in SPLITS.items():
        parts = []
        for plate in plates:
            rows = np.flatnonzero(obs[plate]["batch"] == batch) if batch else None
            with open_h5ad(str(tmp_path / f"{plate}.h5ad")) as file:
                problems += census.add(file, split, rows)
            part = obs[plate] if rows is None else obs[plate].iloc[rows]
            parts.append(part.astype(object).assign(plate=plate))
        used[split] = pd.concat(parts, ignore_index=True)[: limit if split == "train" else None]
        used[split]["moa"] = used[split]["drug"].map(LOOKUP).astype(object)
    everything = pd.concat(used.values())
    assert census.cells == {split: len(table) for split, table in used.items()}
    for split, table in used.items():
        assert census.classes[split] == {
            name: Counter(table[name].dropna().astype(str)) for name in ("line", "moa", "batch")
        }
    train = used["train"].dropna(subset=["moa", "batch"])
    assert census.combinations == Counter(zip(train["moa"], train["batch"].astype(str), strict=True))
    for column in ("line", "drug"):
        gaps = everything[everything[column].isna()]
        assert census.unlabelled[column] == len(gaps)
        lines = [line for line in problems if f"'{column}'" in line]
        counts = [f"{plate}.h5ad: {n} cells" for plate, n in gaps.groupby("plate").size().items()]
        assert len(lines) == len(counts) and all(map(str.__contains__, lines, counts))
    lacking = (everything["drug"] == "d").groupby(everything["plate"]).sum()
    lacking = sorted(lacking[lacking > 0].tolist())
    assert sorted(census.not_in_lookup.get(("moa", "d"), [])) == lacking
    only = {
        task: sorted(set(used["test"][task].dropna()) - set(used["train"][task].dropna()))
        for task in ("line", "moa")
    }
    assert census.only_in_test() == {task: names for task, names in only.items() if names}


@given(tables(), st.integers(1, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_encoding_counts_as_the_census_does(tmp_path, obs, limit):
    """The same classes, cells and cut, where every cell has a label; the same lines where one has none."""
    write(tmp_path, obs)
    tasks = tasks_of(tmp_path)
    paths = [str(tmp_path / f"{plate}.h5ad") for plate in SPLITS["train"]]
    census = Census(tasks, lookups={"moa": LOOKUP}, max_cells={"train": limit})
    problems = []
    for path in paths:
        with open_h5ad(path) as file:
            problems += census.add(file, "train")
    if problems or census.not_in_lookup:
        with pytest.raises(InputError) as error:
            plate_labels(paths, tasks, limit)
        assert not problems or str(error.value) in problems
        return
    for task, found in plate_labels(paths, tasks, limit).items():
        names = class_names(found)
        assert names == sorted(census.classes["train"][task])
        counts = np.bincount(np.concatenate(list(encode(found, names))), minlength=len(names))
        expected = [census.classes["train"][task][name] for name in names]
        assert counts.tolist() == expected and counts.sum() == census.cells["train"]


def request_for(folder, select, **changes):
    """A request for two plates that are the sides of one file's cells."""
    plates = [
        {"plate": f"all-{side}", "split": side, "source": str(folder / "all.h5ad"), "packed": None,
         "select": select | {"split": {"side": side, "column": "fold", "train": ["u"], "test": ["t"]}}}
        for side in ("train", "test")
    ]  # fmt: skip
    request = {"plates": plates, "layer": None, "transform": "none", "columns": []}
    request |= {"tasks": {"line": {"column": "line"}}, "balance": ["line"]}
    return request | {"max_cells": {"train": None, "test": None}} | changes


def test_the_check_counts_divided_plates_by_side(tmp_path):
    obs = obs_of(60, line=(["A", "B"], "categorical"), fold=(["t", "u"], "string"))
    obs.loc[obs.index[-3:], "line"] = np.nan
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs)
    errors, _, plates = check_atlas(request_for(tmp_path, {}))
    sizes = obs["fold"].value_counts()
    assert [plate["n_cells"] for plate in plates] == [sizes["u"], sizes["t"]]
    missing = obs["line"].isna().groupby(obs["fold"]).sum()
    assert [line.split("all.h5ad: ")[1].split(" cells")[0] for line in errors] == [
        str(missing[fold]) for fold in "ut" if missing[fold]
    ]
    data = anndata.read_h5ad(tmp_path / "all.h5ad")
    data[~obs["line"].isna()].write_h5ad(tmp_path / "all.h5ad")
    pilot = {"train": 5, "test": None}
    errors, _, plates = check_atlas(request_for(tmp_path, {}, max_cells=pilot))
    assert errors == [] and plates[0]["n_cells"] > 5


def test_packed_sizes_are_those_of_the_selected_cells_and_genes(tmp_path):
    obs = obs_of(400, line=(["A", "B"], "categorical"), fold=(["t", "u"], "string"))
    write_atlas(tmp_path / "all.h5ad", np.ones((400, 20), int), obs)
    (tmp_path / "genes.txt").write_text("gene1\ngene3\n")
    request = request_for(tmp_path, {"genes": str(tmp_path / "genes.txt")})
    rows = select_cells(request["plates"][0]["source"], None, **request["plates"][0]["select"]).rows
    errors, _, plates = check_atlas(request)
    assert errors == [] and plates[0]["packed_size"] == len(rows) * (2 * 4 + 8)


def test_combinations_too_many_to_count(tmp_path):
    """They are not counted, rather than held in memory; the check says so in a line."""
    names = [f"c{k}" for k in range(16)]
    obs = obs_of(40, **{name: (list(range(20)), "integer") for name in names})
    write_atlas(tmp_path / "p.h5ad", counts_of(40, 4), obs)
    census = Census({}, names, names)
    with open_h5ad(tmp_path / "p.h5ad") as file:
        assert census.add(file, "train") == []
    assert census.combinations is None and census.cells["train"] == 40


def test_plates_of_a_column_stored_as_real_numbers(tmp_path):
    """Whole numbers, as a missing value leaves them; another spelling of a plate is warned of."""
    kinds = {
        "line": (["A", "B"], "categorical"),
        "batch": ([1, 2, None], "float"),
        "name": (["d1", "D1 "], "string"),
    }
    obs = obs_of(60, **kinds)
    write_atlas(tmp_path / "all.h5ad", counts_of(60, 20), obs)
    request = request_for(tmp_path, {})
    for column, values in (("batch", ("1", "2")), ("name", ("d1", "D1 "))):
        for plate, value in zip(request["plates"], values, strict=True):
            plate |= {"plate": value, "select": {"plate": {"column": column, "value": value}}}
        errors, warnings, plates = check_atlas(request)
        assert errors == []
        counts = obs[column].map(str if column == "name" else "{:.0f}".format).value_counts()
        assert [plate["n_cells"] for plate in plates] == [counts[value] for value in values]
        line = "atlas: plate_column: the plates"
        assert [line for warning in warnings if line in warning] == [line] * (column == "name")
    request["plates"][0]["select"]["plate"]["value"] = "d3"
    assert "obs column 'name' has no value 'd3' (it has: D1 , d1)" in check_atlas(request)[0][0]
