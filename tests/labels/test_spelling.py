"""One class in two spellings: whole real numbers are integers, other spellings are warned of."""

import numpy as np
import pandas as pd
import pytest
from atlases import counts_of, write_atlas
from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.atlas.names import name_of, names_of
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError
from cellshuffle.inspection.census import Census
from cellshuffle.labels.lookup import read_lookup
from cellshuffle.labels.spelling import plain, spellings
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1))
def test_whole_real_numbers_have_the_names_of_integers(numbers):
    for dtype in (np.int64, np.float64, object):
        assert names_of(np.array(numbers).astype(dtype)).tolist() == list(map(str, numbers))
    assert [name_of(float(number)) for number in numbers] == list(map(str, numbers))


def test_other_values_keep_their_names():
    values = [0.05, np.float32(0.05), True, np.True_, b"\xc3\x84", "1.0", float("inf"), -0.0, 5.0, 1e20]
    names = ["0.05", "0.05", "True", "True", "Ä", "1.0", "inf", "0", "5", "1" + 20 * "0"]
    assert [name_of(value) for value in values] == names
    assert name_of(None) is name_of(float("nan")) is name_of(np.float32("nan")) is None


@pytest.mark.parametrize("make", [
    lambda s: s, lambda s: s.astype(float), lambda s: s.astype(np.float32), lambda s: s.astype("category"),
    lambda s: s.astype(float).astype("category"), lambda s: s.astype("Int64"),
])  # fmt: skip
@pytest.mark.parametrize("missing", [False, True])
def test_whole_numbers_in_every_form_of_a_column(tmp_path, make, missing):
    numbers = pd.Series(np.random.default_rng(0).integers(-2, 12, 40), [f"c{k}" for k in range(40)])
    column = make(numbers)
    if missing and column.dtype == int:
        return  # cannot hold one
    expected = numbers.astype(str).tolist()
    if missing:
        column.iloc[3], expected[3] = None, None
    write_atlas(tmp_path / "p.h5ad", counts_of(40, 4), pd.DataFrame({"leiden": column}))
    with open_h5ad(tmp_path / "p.h5ad") as file:
        codes, names = column_codes(file, "leiden")
    assert [None if code < 0 else names[code] for code in codes] == expected


def test_numbers_that_are_not_whole_are_no_labels(tmp_path):
    obs = pd.DataFrame({"size": [1.0, 2.5], "inf": [1.0, np.inf]}, ["a", "b"])
    obs["dose"] = pd.Categorical([0.5, 5.0])
    write_atlas(tmp_path / "p.h5ad", counts_of(2, 4), obs)
    with open_h5ad(tmp_path / "p.h5ad") as file:
        for column in ("size", "inf"):
            with pytest.raises(InputError, match="holds real numbers, not labels"):
                column_codes(file, column)
        assert column_codes(file, "dose")[1].tolist() == ["0.5", "5"]


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
def test_lookup_tables_that_a_missing_value_made_real(tmp_path, form):
    """Keys and classes; pandas writes 2 as 2.0 where the column lacks a value."""
    table = pd.DataFrame({"key": [0, 1, None], "value": [7, None, 8]})
    path = tmp_path / f"t.{form}"
    if form == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if form == "tsv" else ",")
    lookup = {"table": str(path), "key": "key", "value": "value", "extra": {2.0: 9, 3: 9.0}}
    found = read_lookup(lookup)
    assert found["0"] == "7" and found["2"] == found["3"] == "9"
    assert {"1", "1.0", "None", "nan"}.isdisjoint(found)


def test_a_text_table_with_both_spellings_of_a_key_keeps_both(tmp_path):
    (tmp_path / "t.csv").write_text("key,value\n1,x\n1.0,y\n2.0,z\n")
    found = read_lookup({"table": str(tmp_path / "t.csv"), "key": "key", "value": "value"})
    assert found == {"1": "x", "1.0": "y", "2.0": "z", "2": "z"}
    (tmp_path / "t.csv").write_text("key,value\n2.0,x\n2.00,y\n")
    with pytest.raises(InputError, match="'2' has two values of value: 'x' and 'y'"):
        read_lookup({"table": str(tmp_path / "t.csv"), "key": "key", "value": "value"})


SAME = ["T cell", "t cell", " T cell", "T cell ", "T  cell", "\uff34 cell", "T\u200b cell", "T\xa0cell"]


def test_what_may_be_one_name():
    assert len({plain(name) for name in SAME}) == 1
    assert spellings([*SAME, "T cells", "B"]) == [SAME]
    assert spellings(["1", "2", "1.0", "01", "10"]) == [["1", "1.0"]]
    assert spellings(["Mu\u0308ller", "M\xfcller", "STRASSE", "stra\xdfe"]) == [
        ["Mu\u0308ller", "M\xfcller"], ["STRASSE", "stra\xdfe"]
    ]  # fmt: skip


def test_text_for_a_missing_value_is_warned_of(tmp_path):
    obs = pd.DataFrame({"line": ["nan"] * 3 + ["None", "A", "nano"]}, [f"c{k}" for k in range(6)])
    write_atlas(tmp_path / "p.h5ad", counts_of(6, 4), obs)
    census = Census({"line": {"column": "line"}})
    with open_h5ad(tmp_path / "p.h5ad") as file:
        census.add(file, "train")
    words = [line.split(" is a class")[0] for line in census.missing_word_lines()]
    assert words == ["tasks: line: 'None' (1 cells)", "tasks: line: 'nan' (3 cells)"]


def test_the_census_warns_of_both_spellings_with_their_counts(tmp_path):
    """Of classes, and of values and keys of a lookup table that have other classes."""
    drugs = ["DMSO"] * 3 + ["dmso "] * 2 + ["x"] * 5
    lines = ["M\xfcller"] * 4 + ["Mu\u0308ller"] * 6
    obs = pd.DataFrame({"drug": drugs, "line": lines}, [f"c{k}" for k in range(10)])
    write_atlas(tmp_path / "p.h5ad", counts_of(10, 4), obs)
    tasks = {"line": {"column": "line"}, "moa": {"column": "drug", "lookup": {"value": "moa"}}}
    lookup = {"DMSO": "control", "dmso ": "drug", "x": "drug", "X": "other", "y": "a", "Y": "b"}
    census = Census(tasks, ["drug"], ["drug"], {"moa": lookup})
    with open_h5ad(tmp_path / "p.h5ad") as file:
        assert census.add(file, "train") == []
    end = "differ in spelling alone (case, blanks, Unicode form or number); are they one?"
    assert list(census.spelling_lines()) == [
        f"tasks: line: the classes 'Mu\\u0308ller' (6 cells) and 'M\\xfcller' (4 cells) {end}",
        f"tasks: moa: the keys 'DMSO' (3 cells) and 'dmso ' (2 cells) {end}",
        f"tasks: moa: the keys 'x' (5 cells) and 'X' (0 cells) {end}",
        f"weights: balance: drug: the classes 'DMSO' (3 cells) and 'dmso ' (2 cells) {end}",
    ]
