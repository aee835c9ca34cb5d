"""Held-out combinations: wholly on one side, whatever the order of cells, files and columns' codes."""

from collections import Counter

import numpy as np
from atlases import counts_of, drawn_obs, write_atlas
from cellshuffle.atlas.combinations import held_out_of
from cellshuffle.atlas.selection import select_cells
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VALUES = {"line": ["A", "b/c", "Ä", None], "drug": ["x", "y x", None], "dose": [1.0, 5.0, None]}
COLUMNS = list(VALUES)
# In the first cell, so that both are there and text.
FIRST = {"line": "A", "drug": "x"}
TYPES = {"line": "category", "drug": "category", "dose": float}


def names(obs, columns):
    """The combination of every cell, None in place of a missing value; doses as written in the table."""
    texts = (
        obs[columns].astype(object).map(lambda v: None if v is None or v != v else str(v).removesuffix(".0"))
    )
    return list(texts.itertuples(index=False, name=None))


@given(
    drawn_obs(VALUES, FIRST, TYPES),
    st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
    st.booleans(),
    st.data(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_cells_are_on_the_side_of_their_combination(tmp_path, obs, columns, labelled, data):
    path = tmp_path / "p.h5ad"
    write_atlas(path, counts_of(len(obs), 3), obs)
    own = names(obs, columns)
    complete = [one for one in own if None not in one]
    chosen = data.draw(st.sets(st.sampled_from(complete))) if complete else set()
    listed = [["5.0" if value == "5" else value for value in one] for one in chosen]  # as a CSV may have it
    kept = obs["drug"].eq("x").to_numpy() if labelled else np.ones(len(obs), bool)
    where = [{"column": "drug", "values": ["x"]}] if labelled else []
    for rule in ({"held_out": listed}, {"fraction": 0.4, "seed": 7}):
        split = {"columns": columns} | rule
        test = chosen if "held_out" in rule else held_out_of(own, split)
        for side in ("train", "test"):
            found = select_cells(path, None, where=where, split=split | {"side": side})
            expected = [None not in one and (one in test) == (side == "test") for one in own]
            assert found.rows.tolist() == np.flatnonzero(np.array(expected) & kept).tolist()
            assert found.divided == Counter(one for one, keep in zip(own, kept, strict=True) if keep)


def test_a_draw_depends_on_seed_and_names_alone():
    combinations = [(f"line {k}", f"drug {j}") for k in range(50) for j in range(40)]
    split = {"fraction": 0.1, "seed": 0}
    drawn = held_out_of(combinations, split)
    assert 150 < len(drawn) < 250
    assert held_out_of(reversed(combinations[:700]), split) == drawn & set(combinations[:700])
    assert len(held_out_of(combinations, split | {"seed": 1}) & drawn) < 50
    assert drawn < held_out_of(combinations, split | {"fraction": 0.2})  # a larger share adds to it
    first = ["line 0 x drug 0", "line 0 x drug 11"]  # written down, so that no version draws others
    assert [" x ".join(one) for one in combinations if one in drawn][:2] == first
