"""Which measure of order goes with the scores, in words."""

import copy

import pytest
import synthetic_run
from cellshuffle.report.orders import sentences


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    config = synthetic_run.make_config(6, 2)
    return synthetic_run.results_of(synthetic_run.write_run(tmp_path_factory.mktemp("run"), config), config)


def with_values(results, value_of):
    """The same results with other values of the measures; value_of(row of a table, score of the strategy)."""
    changed, scores = copy.copy(results), results.macro_f1(results.headline_task)["mean"]
    changed.order = {
        s: table.assign(value=[value_of(row, scores[s]) for row in table.to_dict("records")])
        for s, table in results.order.items()
    }
    return changed


def test_the_measure_that_predicts_is_named(results):
    def value(row, score):
        return -score if (row["measure"], row["label"]) == ("drift", "plate") else 1.0

    first, second = sentences(with_values(results, value))
    task = results.headline_task
    assert first == (
        f"Of the measures of order, macro F1 on {task} goes most closely with the drift of plate in the last "
        "tenth of the epoch (rank correlation -1.00 over 6 strategies)."
    )
    assert second.startswith(
        "With 6 strategies, a measure that has nothing to do with the score exceeds 0.81"
    )
    assert "1 measures" not in second


def test_measures_that_do_not_differ(results):
    assert sentences(with_values(results, lambda row, score: 1.0)) == [
        "No measure of order differs between the strategies."
    ]


def test_too_few_strategies(results):
    few = copy.copy(results)
    few.strategies = results.strategies[:3]
    assert "cannot be told from fewer than 4 strategies" in sentences(few)[0]
