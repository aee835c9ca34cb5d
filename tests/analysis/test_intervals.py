"""Scores, intervals and tables against independent computations."""

import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle.analysis import comparison
from cellshuffle.analysis import intervals as statistics
from cellshuffle.analysis.scores import SCORES
from cellshuffle.errors import InputError
from cellshuffle.report.markdown import comparison_markdown
from independent import sklearn_scores
from scipy.stats import norm, t, ttest_1samp, ttest_rel


def random_codes(rng, n, n_classes, right=0.6):
    truth = rng.integers(0, max(2, n_classes // 2), n)  # some classes never occur in truth
    return truth, np.where(rng.random(n) < right, truth, rng.integers(0, n_classes, n))


@pytest.mark.parametrize("n, n_classes", [(1, 2), (7, 3), (300, 12), (500, 95)])
def test_scores_are_those_of_scikit_learn(n, n_classes):
    truth, prediction = random_codes(np.random.default_rng(n), n, n_classes)
    scores = synthetic_run.scores_of_predictions(truth, prediction)
    assert list(scores) == SCORES
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


def simulated(n_seeds, seed_spread, cell_spread, runs, replicates, rng):
    """Differences that are 0, (n_seeds, runs), and their intervals: low and high, (runs,) each."""
    observed = rng.normal(size=(n_seeds, runs)) * seed_spread + rng.normal(size=runs) * cell_spread
    cells = rng.normal(size=(replicates, runs)) * cell_spread
    replicated = observed[:, None] + cells
    spread = statistics.mean_difference(observed, replicated, rng)
    ends = [statistics.interval(observed[:, k].mean(), spread[:, k]) for k in range(runs)]
    return observed, *np.transpose(ends)


@pytest.mark.parametrize("n_seeds", [2, 3, 10])
def test_where_cells_add_nothing_the_interval_is_that_of_the_paired_t_test(n_seeds):
    observed, low, high = simulated(n_seeds, 1, 0, 5, 4000, np.random.default_rng(n_seeds))
    expected = ttest_1samp(observed, 0).confidence_interval()
    np.testing.assert_allclose(low, expected.low, rtol=0.02)
    np.testing.assert_allclose(high, expected.high, rtol=0.02)


def test_seeds_and_cells_add_up():
    """Against quantiles of as many random sums."""
    rng = np.random.default_rng(4)
    observed, low, high = simulated(3, 1, 0.7, 1, 50_000, rng)
    error = observed.std(ddof=1) / np.sqrt(3)
    drawn = 0.7 * rng.normal(size=10**6) + error * rng.standard_t(2, 10**6)
    expected = observed.mean() + np.quantile(drawn, [0.025, 0.975])
    np.testing.assert_allclose([low[0], high[0]], expected, atol=0.02 * np.ptp(expected))


@pytest.mark.parametrize("n_seeds", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("seed_spread, cell_spread", [(1, 0), (0, 1), (1, 0.5)])
def test_intervals_hold_the_truth_as_often_as_they_say(n_seeds, seed_spread, cell_spread):
    """95% where seeds or cells dominate, no less in between. One seed knows of cells alone."""
    if n_seeds == 1:
        seed_spread, cell_spread = 0, 1
    rng = np.random.default_rng(5)
    _, low, high = simulated(n_seeds, seed_spread, cell_spread, 3000, 200, rng)
    held = np.mean((low < 0) & (high > 0))
    assert 0.935 < held < (0.99 if seed_spread and cell_spread else 0.96)


@pytest.mark.parametrize("n_seeds, different", [(1, 0), (2, 0), (3, 0), (3, 6), (10, 6)])
def test_few_of_the_differences_that_count_are_chance(n_seeds, different):
    """20 comparisons with one baseline: the share of chance, on average, is at most 5%."""
    rng, found = np.random.default_rng(n_seeds), []
    truth = np.where(np.arange(20) < different, 100, 0)
    for _ in range(2000):
        drawn = rng.normal(size=(n_seeds, 21))
        drawn = drawn[:, 1:] - drawn[:, :1] + truth
        width = (
            t.ppf(0.975, n_seeds - 1) * drawn.std(axis=0, ddof=1) / np.sqrt(n_seeds)
            if n_seeds > 1
            else np.full(20, norm.ppf(0.975) * np.sqrt(2))
        )
        mean = drawn.mean(axis=0)
        p_values = statistics.p_values(mean, mean - width, mean + width, np.full(20, n_seeds))
        counts = statistics.significant(p_values)
        found.append(counts[different:].sum() / max(1, counts.sum()))
    assert 0.01 < np.mean(found) < 0.06


def test_p_values_are_those_of_the_t_test():
    drawn = np.random.default_rng(6).normal(0.5, size=(4, 30))
    test = ttest_1samp(drawn, 0)
    ends = test.confidence_interval()
    p_values = statistics.p_values(drawn.mean(axis=0), ends.low, ends.high, np.full(30, 4))
    np.testing.assert_allclose(p_values, test.pvalue)
    nothing, sure = statistics.p_values(*np.array([[0, 1.0]] * 3), np.array([3, 3]))
    assert nothing == 1 and sure == 0


def test_which_count_follows_from_ranks():
    """By hand: the third of five is above 0.05 * 3 / 5, the fourth below 0.05 * 4 / 5 and takes it along."""
    counts = statistics.significant(np.array([0.9, 0.001, 0.039, 0.031, 0.019]))
    assert counts.tolist() == [False, True, True, True, True]
    assert statistics.significant(np.array([0.011, 0.2, 0.3, 0.4, 0.5])).sum() == 0


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
        own = metrics.query("strategy == @row.strategy and task == @row.task and metric == @row.metric")
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
    scores = metrics.groupby(["strategy", "task", "metric"])["value"].agg(list)
    for row in table[table["verdict"] != "baseline"].itertuples():
        expected = mean[row.strategy, row.task, row.metric] - mean[baseline, row.task, row.metric]
        assert row.difference == pytest.approx(expected, abs=1e-6)
        if row.metric != "loss":
            assert row.low < row.difference < row.high
            own, other = (scores[s, row.task, row.metric] for s in (row.strategy, baseline))
            seeds = ttest_rel(own, other).confidence_interval()
            assert row.high - row.low > 0.9 * (seeds.high - seeds.low)
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
