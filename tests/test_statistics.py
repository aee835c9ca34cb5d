"""Scores, intervals and tables against independent computations."""

import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle import comparison, statistics
from cellshuffle.errors import InputError
from cellshuffle.markdown import comparison_markdown
from independent import sklearn_scores


def random_codes(rng, n, n_classes, right=0.6):
    truth = rng.integers(0, max(2, n_classes // 2), n)  # some classes never occur in truth
    return truth, np.where(rng.random(n) < right, truth, rng.integers(0, n_classes, n))


@pytest.mark.parametrize("n, n_classes", [(1, 2), (7, 3), (300, 12), (500, 95)])
def test_scores_are_those_of_scikit_learn(n, n_classes):
    truth, prediction = random_codes(np.random.default_rng(n), n, n_classes)
    scores = statistics.scores_of_predictions(truth, prediction)
    assert list(scores) == statistics.SCORES
    np.testing.assert_allclose(list(scores.values()), sklearn_scores(truth, prediction), atol=1e-12)


def test_a_replicate_is_the_score_of_its_resampled_cells():
    rng = np.random.default_rng(0)
    truth, prediction = random_codes(rng, 200, 10)
    group, weights = statistics.resamples(200, 5, rng)
    scores = statistics.resampled_scores(truth, prediction, 10, group, weights)
    for replicate, weight in enumerate(weights):
        cells = np.repeat(np.arange(200), weight.astype(int))
        expected = sklearn_scores(truth[cells], prediction[cells])
        np.testing.assert_allclose(scores[replicate], expected, atol=1e-12)


def test_the_bootstrap_finds_the_standard_error_of_a_paired_difference():
    rng = np.random.default_rng(1)
    truth, one = random_codes(rng, 3000, 6)
    other = np.where(rng.random(3000) < 0.1, rng.integers(0, 6, 3000), one)
    differences = (other == truth).astype(float) - (one == truth)
    exact = differences.std(ddof=1) / np.sqrt(3000)
    group, weights = statistics.resamples(3000, 1500, rng)
    a, b = (statistics.resampled_scores(truth, p, 6, group, weights)[:, 0] for p in (other, one))
    assert (a - b).std() == pytest.approx(exact, rel=0.08)
    low, high = statistics.interval(differences.mean(), a - b)
    assert (high - low) / 2 == pytest.approx(1.96 * exact, rel=0.1)


def test_groups_of_cells_give_the_spread_of_single_cells(monkeypatch):
    rng = np.random.default_rng(2)
    truth, prediction = random_codes(rng, 20_000, 8)
    spread = {}
    for most in (400, 20_000):
        monkeypatch.setattr(statistics, "MAX_GROUPS", most)
        group, weights = statistics.resamples(20_000, 300, np.random.default_rng(3))
        scores = statistics.resampled_scores(truth, prediction, 8, group, weights)
        spread[most] = scores[:, 3].std()
    assert weights.shape[1] == 20_000
    assert spread[400] == pytest.approx(spread[20_000], rel=0.2)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_resampled_seeds_spread_like_the_standard_error_of_their_mean(n):
    rng = np.random.default_rng(n)
    values = rng.normal(size=n)
    weight = statistics.resampled_seeds(n, 200_000, rng)
    np.testing.assert_allclose(weight.sum(1), 1)
    assert (weight @ values).std() == pytest.approx(values.std(ddof=1) / np.sqrt(n), rel=0.02)
    assert statistics.resampled_seeds(1, 3, rng).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("comparisons", [1, 2, 20])
def test_widened_intervals_all_hold_at_once(comparisons):
    """Of independent normal differences that are 0, in 95% of the runs no interval excludes 0."""
    drawn = np.random.default_rng(0).normal(size=(20_000, comparisons))
    held = np.abs(drawn).max(axis=1) < 1.96 * statistics.stretch(comparisons)
    assert held.mean() == pytest.approx(0.95, abs=0.006)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = synthetic_run.make_config(4, 3, ("cell_line", "drug"))
    folder = synthetic_run.write_run(tmp_path_factory.mktemp("run"), config)
    jobs = [(s, k) for s in config["strategies"] for k in config["training"]["seeds"]]
    paths = {
        name: [folder / "train" / s / f"seed{k}" / name for s, k in jobs]
        for name in ("metrics.json", "predictions.npz")
    }
    return config, paths


def test_gathered_and_summarised(run):
    _, paths = run
    metrics = comparison.gather(paths["metrics.json"])
    assert list(metrics) == ["strategy", "seed", "task", "metric", "value"]
    assert len(metrics) == 4 * 3 * 2 * 6
    table = comparison.summarise(metrics)
    for row in table.sample(8, random_state=0).itertuples():
        own = metrics.query(
            "strategy == @row.strategy and task == @row.task and metric == @row.metric"
        )
        assert row.mean == pytest.approx(np.mean(own["value"]))
        assert row.sd == pytest.approx(np.std(own["value"], ddof=1), abs=1e-12)
        assert row.n == 3
    best = table.query("task == 'drug' and metric == 'macro_f1'").sort_values("mean").iloc[-1]
    assert best["rank"] == 1
    least = table.query("task == 'drug' and metric == 'loss'").sort_values("mean").iloc[0]
    assert least["rank"] == 1


def test_differences_and_verdicts(run):
    config, paths = run
    baseline = comparison.baseline_of(config)
    assert baseline == "random_sampling"
    metrics = comparison.gather(paths["metrics.json"])
    table = comparison.compare(metrics, paths["predictions.npz"], baseline, 300)
    again = comparison.compare(metrics, paths["predictions.npz"], baseline, 300)
    pd.testing.assert_frame_equal(table, again)
    mean = table.set_index(["strategy", "task", "metric"])["mean"]
    for row in table[table["verdict"] != "baseline"].itertuples():
        expected = mean[row.strategy, row.task, row.metric] - mean[baseline, row.task, row.metric]
        assert row.difference == pytest.approx(expected, abs=1e-6)
        if row.metric != "loss":
            assert row.low < row.difference < row.high
    verdict = table.set_index(["strategy", "task", "metric"])["verdict"]
    assert verdict["streaming", "drug", "macro_f1"] == "lower"
    assert verdict["block_shuffling", "drug", "macro_f1"] == "not distinguishable"
    text = comparison_markdown(table, config, baseline)
    assert "Not distinguishable: block shuffling." in text
    assert "Lower than random sampling: " in text


def test_a_strategy_tested_on_other_cells_is_refused(run, tmp_path):
    config, paths = run
    other = synthetic_run.write_run(tmp_path, config, n_test=700)
    mixed = [paths["predictions.npz"][0], other / "train/random_sampling/seed0/predictions.npz"]
    with pytest.raises(InputError, match="other cells"):
        comparison.differences(mixed, "random_sampling", 100)


def test_the_baseline_can_be_chosen():
    config = synthetic_run.make_config(2)
    config["compare"]["baseline"] = "streaming"
    assert comparison.baseline_of(config) == "streaming"
    config["compare"]["baseline"] = "shuffled"
    with pytest.raises(InputError, match="'shuffled' is not a strategy"):
        comparison.baseline_of(config)
