"""Rows that a plate consists of: by plate, by labels and by side, as pandas would choose them."""

from collections import Counter

import numpy as np
import pandas as pd
from atlases import counts_of, drawn_obs, write_atlas
from cellshuffle.atlas.selection import select_cells
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLUMNS = {
    "batch": ["10X v2", "Spleen/left", None],
    "drug": ["a", "b", "c", None],
    "dose": [1.0, 5.0, None],
    "fold": ["train", "test", "val", None],
}
SIDES = {"train": ["train"], "test": ["test"], "ignore": ["val", None]}
# In the first cell, so that both are there and text.
FIRST = {"batch": "10X v2", "drug": "a"}
TYPES = {"batch": "category", "drug": "category", "dose": float, "fold": "category"}


def numbers(obs, mask):
    return np.flatnonzero(mask.to_numpy()).tolist()


@given(
    drawn_obs(COLUMNS, FIRST, TYPES),
    st.booleans(),
    st.lists(st.sampled_from(["drug", "some drugs", "dose"]), unique=True),
    st.sampled_from([None, "column", "fraction"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_rows_are_those_of_pandas(tmp_path, obs, of_plate, labelled, split):
    path = tmp_path / "p.h5ad"
    write_atlas(path, counts_of(len(obs), 3), obs)
    here = obs["batch"] == "10X v2" if of_plate else obs["drug"].isin(["x"]) | True
    masks = {
        "drug": obs["drug"].notna(),
        "some drugs": obs["drug"].isin(["a", "c"]),
        "dose": obs["dose"] == 5,
    }
    entries = {
        "drug": {"column": "drug", "values": None},
        "some drugs": {"column": "drug", "values": ["a", "c", "never"]},
        "dose": {"column": "dose", "values": ["5"]},
    }
    labels = pd.DataFrame({name: masks[name] for name in labelled}, obs.index).all(axis=1)
    options = {"where": [entries[name] for name in labelled]}
    options |= {"plate": {"column": "batch", "value": "10X v2"}} if of_plate else {}
    if split is None:
        chosen = select_cells(path, None, **options)
        if chosen.rows is None:
            assert not of_plate and not labelled
        else:
            assert chosen.rows.tolist() == numbers(obs, here & labels)
            assert chosen.lacking == [int((here & ~masks[name]).sum()) for name in labelled]
        return
    rule = {"column": "fold"} | SIDES if split == "column" else {"fraction": 0.5, "seed": 3}
    sides = {s: select_cells(path, None, **options, split=rule | {"side": s}) for s in ("train", "test")}
    if split == "column":
        for side, chosen in sides.items():
            of_side = here & (obs["fold"] == side)
            assert chosen.rows.tolist() == numbers(obs, of_side & labels)
            assert chosen.lacking == [int((of_side & ~masks[name]).sum()) for name in labelled]
            folds = obs.loc[here & labels, "fold"].astype(object)
            assert chosen.divided == Counter(None if f is None or f != f else f for f in folds)
        return
    together = sorted(sides["train"].rows.tolist() + sides["test"].rows.tolist())
    assert together == numbers(obs, here & labels)
    for side, chosen in sides.items():  # a cell stays on its side, whatever is left out
        everything = select_cells(path, None, split=rule | {"side": side}, **(
            {"plate": options["plate"]} if of_plate else {}
        ))  # fmt: skip
        assert chosen.rows.tolist() == [row for row in everything.rows if labels.iloc[row] and here.iloc[row]]
