"""Cells held out of the train split: which, and that plates without them have the others."""

import numpy as np
import pytest
from cellshuffle.atlas.held_out import cells_kept, held_out_cells, sizes_kept
from cellshuffle.atlas.plates import Plates
from cellshuffle.errors import InputError
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 200),
    st.integers(0, 9),
)
def test_parts_are_disjoint_and_what_is_left_is_the_rest(sizes, seed):
    names = [f"p{k}" for k in range(len(sizes))]
    parts = {
        "plates": names,
        "validation": {"fraction": 0.3, "seed": seed},
        "seen": {"fraction": 0.2, "seed": 0},
    }
    found, kept = held_out_cells(sizes, parts), cells_kept(parts, sizes)
    every = np.concatenate([*found.values(), kept])
    assert sorted(every) == list(range(sum(sizes)))
    assert sizes_kept(sizes, kept).sum() == len(kept)
    assert all((np.diff(cells) > 0).all() for cells in found.values())


def test_a_draw_depends_on_the_plates_name_alone():
    part = {"seen": {"fraction": 0.5, "seed": 0}}
    alone = held_out_cells([50], {"plates": ["b"], **part})["seen"]
    second = held_out_cells([70, 50], {"plates": ["a", "b"], **part})["seen"]
    np.testing.assert_array_equal(second[second >= 70] - 70, alone)


def test_whole_plates():
    parts = {"plates": ["a", "b"], "validation": {"plates": ["a"]}, "seen": {"fraction": 0.5, "seed": 0}}
    found = held_out_cells([5, 20], parts)
    assert found["validation"].tolist() == [0, 1, 2, 3, 4] and found["seen"].min() >= 5
    with pytest.raises(InputError, match="none is left"):
        held_out_cells([5], {"plates": ["a"], "validation": {"plates": ["a"]}})
    with pytest.raises(InputError, match="no train cell is held out for seen"):
        held_out_cells([3], {"plates": ["a"], "seen": {"fraction": 1e-9, "seed": 0}})


def test_plates_of_some_cells(sound_atlas):
    paths = [sound_atlas / f"plate{k}.h5ad" for k in (1, 2)]
    plates = Plates(paths, obs=["drug"])
    cells = np.arange(1, len(plates), 3)
    some = plates.only(cells)
    assert len(some) == len(cells) and some.plate_sizes.sum() == len(cells)
    chosen = np.array([0, 2, 2, len(cells) - 1])
    ours, theirs = some[chosen], plates[cells[chosen]]
    np.testing.assert_array_equal(ours.X.dense(), theirs.X.dense())
    np.testing.assert_array_equal(ours.obs["drug"], theirs.obs["drug"])
    again = some.only(np.array([1, 3]))
    np.testing.assert_array_equal(again[np.array([1])].X.dense(), plates[cells[[3]]].X.dense())
