"""The weights are the formula's."""

import json

import numpy as np
import pandas as pd
import pytest
from cellshuffle.errors import InputError
from cellshuffle.labels.weights import combination_weights, count_combinations
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from runs import on_existing_atlas, snakemake
from sklearn.utils.class_weight import compute_class_weight


def test_by_hand():
    # (0, 0) three times, (0, 1) once, (1, 1) twice: n = 6, three combinations
    codes = np.array([[0, 0], [0, 0], [0, 1], [1, 1], [0, 0], [1, 1]])
    expected = [6 / (3 * 1003)] * 2 + [
        6 / (3 * 1001),
        6 / (3 * 1002),
        6 / (3 * 1003),
        6 / (3 * 1002),
    ]
    np.testing.assert_allclose(combination_weights(codes, (2, 2)), expected, rtol=1e-15)


tables = hnp.arrays(np.int64, st.tuples(st.integers(1, 200), st.integers(1, 3)), elements=st.integers(0, 4))


@given(codes=tables, baseline=st.sampled_from([0, 1, 1000, 0.5]))
def test_formula(codes, baseline):
    rows = [tuple(row) for row in codes.tolist()]
    expected = [len(rows) / (len(set(rows)) * (rows.count(row) + baseline)) for row in rows]
    np.testing.assert_allclose(combination_weights(codes, (5,) * codes.shape[1], baseline), expected)


@given(codes=tables)
def test_baseline_zero_is_scikit_learns_balanced(codes):
    combination = np.ravel_multi_index(codes.T, (5,) * codes.shape[1])
    classes = np.unique(combination)
    balanced = compute_class_weight("balanced", classes=classes, y=combination)
    ours = combination_weights(codes, (5,) * codes.shape[1], baseline=0)
    np.testing.assert_allclose(ours, balanced[np.searchsorted(classes, combination)])


def test_files_of_a_run(small_run):
    run = small_run / "results/small"
    classes = json.loads((run / "labels/classes.json").read_text())
    labels = np.load(run / "labels/train.npy")
    table = pd.read_csv(run / "weights/combinations.csv")
    assert list(table) == ["cell_line", "drug", "count", "weight"]
    assert table["count"].sum() == len(labels) == 1200
    np.testing.assert_allclose(table["weight"], 1200 / (len(table) * (table["count"] + 10)))
    names = pd.DataFrame(
        {task: np.array(classes[task])[labels[:, k]] for k, task in enumerate(["cell_line", "drug"])}
    )
    expected = names.merge(table, on=["cell_line", "drug"])["weight"]
    np.testing.assert_allclose(np.load(run / "weights/cells.npy"), expected, rtol=1e-14)


def test_balance_over_a_column_that_is_no_task(small_run, tmp_path):
    config = on_existing_atlas(small_run, weights={"balance": ["plate", "drug"]}, run="other")
    held = "results/other/diversity/streaming"
    snakemake(tmp_path, config, "results/other/weights/cells.npy", f"{held}/entropy.csv")
    table = pd.read_csv(tmp_path / "results/other/weights/combinations.csv")
    assert set(table["plate"]) == {"plate1", "plate4", "plate5", "plate13"}
    assert table.groupby("plate")["count"].sum().eq(300).all()
    draws = pd.read_csv(tmp_path / held / "draws.csv")
    assert (draws["drawn"] == draws["count"]).all() and len(draws) == len(table)
    entropy = pd.read_csv(tmp_path / held / "entropy.csv")  # of the file, and of the column
    assert list(entropy) == ["position", "plate", "plate.1", "drug"]
    assert (entropy["plate"] == entropy["plate.1"]).all()
    order = pd.read_csv(tmp_path / held / "order.csv").set_index(["measure", "label", "window"])["value"]
    assert order["drift", "plate", 0] == order["drift", "plate.1", 0]


def test_too_many_combinations_are_told():
    with pytest.raises(InputError, match="name fewer labels"):
        count_combinations(np.zeros((3, 10), np.uint16), (50,) * 10)
