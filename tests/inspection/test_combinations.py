"""A split by combinations that cannot be, or that holds out what is learnt nowhere: one line each."""

import copy

import pandas as pd
import pytest
from cellshuffle.configuration import schema
from cellshuffle.configuration.consistency import inconsistencies
from cellshuffle.configuration.run import Run
from cellshuffle.inspection.atlas import check_atlas
from damage import rewrite
from runs import SCHEMA, SOUND, merged

HEAD = "line,drug\n"


def completed(folder, **split):
    atlas = {"dir": str(folder / "atlas"), "train_plates": [1, 2, 3], "test_plates": ..., "split": split}
    lookup = {"table": str(folder / "atlas/moa.csv")}
    config = merged(SOUND, {"atlas": atlas, "tasks": {"moa": {"lookup": lookup}}, "weights": ...})
    schema.fill_defaults(config, SCHEMA)
    return config


def checked(folder, text=None, columns=("line", "drug"), **split):
    """(errors, warnings) of the sound atlas; text: of the table."""
    if text is not None:
        (folder / "held_out.csv").write_text(text)
        split["table"] = str(folder / "held_out.csv")
    return check_atlas(Run(completed(folder, columns=list(columns), **split)).check_request())[:2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("line,dose\nl0,d0\n", "held_out.csv: has no column 'drug' (it has: line, dose)"),
        (HEAD, "held_out.csv: names no combination to test on; give each a row"),
        (HEAD + "l0,d0\nl1,\n", "row 2 below the header has no drug; give it one, or delete it"),
        (HEAD + "l0,d0\nl1\n", "held_out.csv: row 2 below the header has no drug"),
        (HEAD + "l0,d0\nl1,d1\nl0,d0\n", "held_out.csv: has l0 x d0 twice; delete all but one row of each"),
        (
            HEAD + "l0,d0\nL1,d1\nl9,d1\n",
            "table: no cell has the combination 'L1 x d1' (perhaps 'l1 x d1'), 'l9 x d1' of line x drug",
        ),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used(sound, text, words):
    errors, _ = checked(sound, text)
    assert len(errors) == 1 and words in errors[0]


def test_no_table_and_all_combinations(sound):
    errors, _ = checked(sound, table=str(sound / "nowhere.csv"))
    assert len(errors) == 1 and errors[0].endswith("nowhere.csv: there is no such table of combinations")
    every = "".join(f"l{k % 3},d{k % 4}\n" for k in range(12))
    errors, _ = checked(sound, HEAD + every)
    assert errors == [
        "atlas: split: the train split has no cells: all of the 12 combinations of line x drug are held out; "
        "name fewer in the table"
    ]
    errors, _ = checked(sound, fraction=1e-6)
    assert errors == [
        "atlas: split: the test split has no cells: none of the 12 combinations of line x drug are held out "
        "by fraction 1e-06 and seed 0; take other ones, or name combinations in a table"
    ]
    errors, _ = checked(sound, columns=("line", "batch"), fraction=0.5)
    assert len(errors) == 1 and "obs has no column 'batch'" in errors[0]


def test_cells_without_a_combination(sound):
    def lacking(obs):
        return obs.assign(line=obs["line"].where(obs["drug"] != "d1"))

    rewrite(sound / "atlas/plate2.h5ad", obs=lacking)
    errors, _ = checked(sound, fraction=0.3)
    assert errors == [
        "atlas: split: columns: 15 cells have no value in obs column 'line', so no combination; give them "
        "one, or leave the cells out: `missing: drop` under a task of it"
    ]


def test_what_is_held_out_and_what_is_never_trained_on(sound):
    errors, warnings = checked(sound, HEAD + "l0,d1\nl1,d1\nl2,d1\nl2,d3\n", ("line", "drug"))
    assert not errors
    held_out = "4 of 12 combinations of line x drug are tested on and never trained on, 60 of 180 cells"
    assert f"atlas: split: {held_out}" in warnings
    unseen = [line for line in warnings if "never seen in training" in line]
    assert unseen == [
        "tasks: drug: 1 of 2 classes of the test cells are never seen in training (75.0% of the test cells): "
        "d1; hold out fewer of their combinations"
    ]


def test_keys_that_do_not_go_together(sound):
    columns = {"columns": ["line"]}
    for split, words in (
        (columns, "or 'fraction', or 'columns' with either 'table' or 'fraction' (it has: columns)"),
        ({}, "(it has: none of them)"),
        ({"table": "t.csv"}, "(it has: table)"),
        (columns | {"column": "line", "fraction": 0.1}, "(it has: column, columns, fraction)"),
        (columns | {"table": "t.csv", "fraction": 0.1}, "(it has: columns, table, fraction)"),
        (columns | {"table": "t.csv", "test": ["l1"]}, "train, test and ignore name values of 'column',"),
        ({"fraction": 0.1, "ignore": ["l1"]}, "name values of 'column', which is not given"),
        (columns | {"table": "t.csv", "seed": 3}, "seed is that of a draw, which needs 'fraction'"),
    ):  # fmt: skip
        lines = list(inconsistencies(completed(sound, **copy.deepcopy(split))))
        assert len(lines) == 1 and lines[0].startswith("atlas: split: ") and words in lines[0], lines
    for split in ({"fraction": 0.1, "seed": 4}, columns | {"fraction": 0.1}, columns | {"table": "t.csv"}):
        assert not list(inconsistencies(completed(sound, **split)))


def test_whole_numbers_in_the_table(sound):
    """Obs holds real numbers, text says 5.0, Parquet has numbers: all the same dose."""
    for number in (1, 2, 3):
        doses = [1.0, 5.0] * 30
        rewrite(sound / f"atlas/plate{number}.h5ad", obs=lambda obs, doses=doses: obs.assign(dose=doses))
    tables = {
        "text": "line,dose\nl0,5.0\nl1,5\n",
        "parquet": pd.DataFrame({"line": ["l0", "l1"], "dose": [5.0, 5.0]}),
    }
    (sound / "text.csv").write_text(tables["text"])
    tables["parquet"].to_parquet(sound / "numbers.parquet")
    for name in ("text.csv", "numbers.parquet"):
        errors, warnings = checked(sound, None, ("line", "dose"), table=str(sound / name))
        assert not errors and any("2 of 6 combinations" in line for line in warnings), (name, errors)
