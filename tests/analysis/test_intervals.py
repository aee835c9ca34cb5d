"""Scores, intervals and tables against independent computations."""

import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle.analysis import classes, comparison
from cellshuffle.analysis import intervals as statistics
from cellshuffle.analysis.scores import SCORES
from cellshuffle.errors import InputError
from cellshuffle.labels import sample_size
from cellshuffle.report.markdown import comparison_markdown
from hypothesis import given
from hypothesis import strategies as st
from independent import sklearn_scores
from scipy.stats import binom, norm, t, ttest_1samp, ttest_rel
from sklearn.metrics import precision_recall_fscore_support


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
    """Differences that are 0, (n_seeds, runs), and their intervals: low and high, (runs,) each.

    Spreads are in hundredths, since scores go from 0 to 1.
    """
    seed_spread, cell_spread = seed_spread / 100, cell_spread / 100
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
    drawn = 0.007 * rng.normal(size=10**6) + error * rng.standard_t(2, 10**6)
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
    text = comparison_markdown(table, config, baseline, synthetic_run.rises_of(table))
    assert "Not distinguishable: block_shuffling." in text
    assert "Lower than random_sampling: " in text


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


def tables_of(predictions, truth, classes, baseline="random_sampling", folder=None):
    """Differences of {strategy: [prediction of each seed]} of one task, by strategy and metric."""
    paths = []
    for strategy, seeds in predictions.items():
        for k, prediction in enumerate(seeds):
            job = folder / strategy / f"seed{k}"
            job.mkdir(parents=True)
            arrays = {"tasks": np.array(["task"]), "classes_task": np.array(classes)}
            arrays |= {"truth": truth[:, None], "prediction": np.asarray(prediction)[:, None]}
            np.savez(job / "predictions.npz", **arrays)
            paths.append(job / "predictions.npz")
    table = comparison.differences(paths, baseline, 200)
    return table.set_index(["strategy", "metric"])


def noisy(truth, share, seed):
    """Predictions of which a share is wrong, of two classes."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(truth)) < share, 1 - truth, truth)


@pytest.mark.parametrize("n_cells", [1, 2, 11, sample_size.MIN_TEST_CELLS - 1])
def test_a_few_cells_cannot_tell(n_cells, tmp_path):
    truth = np.arange(n_cells) % 2
    predictions = {"random_sampling": [truth], "streaming": [1 - truth]}
    table = tables_of(predictions, truth, ["a", "b"], folder=tmp_path)
    assert table["low"].isna().all() and table["high"].isna().all()
    words = f"{n_cells} test cells, fewer than {sample_size.MIN_TEST_CELLS}"
    assert (table["reason"] == words).all()


def test_macro_scores_need_cells_of_each_class(tmp_path):
    truth = np.repeat([0, 1], [98, 2])
    predictions = {"random_sampling": [noisy(truth, 0.1, 0)], "streaming": [noisy(truth, 0.4, 1)]}
    table = tables_of(predictions, truth, ["a", "b"], folder=tmp_path)
    few = table.xs("streaming")["reason"].str.contains("test cells a class")
    assert set(few[few].index) == {"balanced_accuracy", "macro_f1", "macro_f1_present"}
    assert table["low"].notna().sum() == 2
    assert sample_size.cells_per_class([98, 0, 2]) == pytest.approx(2 / (1 / 98 + 1 / 2))
    enough = [sample_size.MIN_CELLS_PER_CLASS] * 3
    assert sample_size.too_few_per_class(enough) is None and sample_size.too_few_cells(enough) is None
    assert "9.6 test cells a class" in sample_size.too_few_per_class([9, 10, 10])


def test_equal_predictions_cannot_tell(tmp_path):
    """However many cells: an interval of no width would be certainty."""
    truth = np.arange(1000) % 2
    same = [noisy(truth, 0.2, 0), noisy(truth, 0.2, 1)]
    predictions = {"random_sampling": same, "streaming": same, "blocks": [same[0], noisy(truth, 0.2, 2)]}
    table = tables_of(predictions, truth, ["a", "b"], folder=tmp_path)
    assert (table.xs("streaming")["reason"] == comparison.SAME_PREDICTIONS).all()
    assert table.xs("streaming")["low"].isna().all()
    assert (table.xs("blocks")["reason"] == "").all()


@pytest.mark.parametrize("learnt", [False, True])
def test_where_nothing_is_learnt_nothing_can_be_told(learnt, tmp_path):
    """Random guesses, and the commonest class; then with one strategy that does look at the cells."""
    rng = np.random.default_rng(3)
    truth = (rng.random(400) < 0.3).astype(int)
    predictions = {
        "random_sampling": [rng.integers(0, 2, 400)],
        "streaming": [np.zeros(400, int)],
        "blocks": [noisy(truth, 0.1, 4) if learnt else rng.integers(0, 2, 400)],
    }
    table = tables_of(predictions, truth, ["a", "b"], folder=tmp_path)
    assert (table["reason"] == ("" if learnt else comparison.COMMONEST_CLASS)).all()
    assert table["low"].notna().all()


def test_rare_classes_that_are_found_count_as_learnt(tmp_path):
    """Less accurate than naming the commonest class, but better on average over the classes."""
    rng = np.random.default_rng(5)
    truth = np.repeat([0, 1], [900, 100])
    balanced = np.where(rng.random(1000) < 0.25, 1 - truth, truth)
    assert (balanced == truth).mean() < 0.9
    predictions = {"random_sampling": [balanced], "streaming": [np.zeros(1000, int)]}
    table = tables_of(predictions, truth, ["a", "b"], folder=tmp_path)
    assert (table["reason"] == "").all()


def test_the_same_difference_in_every_cell_is_not_certain(tmp_path):
    truth = np.arange(100) % 2
    predictions = {"random_sampling": [1 - truth], "streaming": [truth]}
    table = tables_of(predictions, truth, ["a", "b"], folder=tmp_path)
    accuracy = table.loc["streaming", "accuracy"]
    assert (accuracy["difference"], accuracy["high"]) == (1, 1)
    assert accuracy["low"] == pytest.approx(0.025 ** (1 / 100))
    # The share of which 100 cells hold none with a probability of 2.5%.
    assert binom.pmf(0, 100, statistics.unseen_share(100)) == pytest.approx(0.025)


@given(
    st.floats(-1, 1),
    st.lists(st.floats(-2, 2), min_size=2, max_size=30),
    st.integers(1, 10**6),
)
def test_intervals_stay_in_the_possible_range(difference, replicates, n_cells):
    low, high = statistics.interval(difference, np.array(replicates), statistics.unseen_share(n_cells))
    assert -1 <= low <= difference <= high <= 1 and low < high


@pytest.mark.parametrize("n_cells", [30, 100])
@pytest.mark.parametrize("right", [(0.9, 0.9), (0.98, 0.95), (0.6, 0.5)])
def test_intervals_of_few_cells_hold_the_truth(n_cells, right):
    """Where resampled cells alone do so in two of three runs."""
    rng, held = np.random.default_rng(7), 0
    for _ in range(300):
        pair = [(rng.random(n_cells) < share).astype(float) for share in right]
        _, weights = statistics.resamples(n_cells, 200, rng)
        a, b = (weights @ hits / n_cells for hits in pair)
        difference = pair[0].mean() - pair[1].mean()
        low, high = statistics.interval(difference, a - b, statistics.unseen_share(n_cells))
        held += low <= right[0] - right[1] <= high
    assert held / 300 > 0.9


def test_classes_against_scikit_learn(run):
    config, paths = run
    table = classes.class_scores(paths["predictions.npz"])
    assert list(table) == classes.COLUMNS
    jobs = [path for path in paths["predictions.npz"] if path.parts[-3] == "streaming"]
    for column, task in enumerate(config["tasks"]):
        expected = []
        for path in jobs:
            _, truth, prediction, names = comparison.read_predictions(path)
            codes = range(len(names[task]))
            pair = truth[:, column], prediction[:, column]
            scores = precision_recall_fscore_support(*pair, labels=codes, zero_division=0)
            expected.append(np.stack(scores[:3]))
        own = table[(table["task"] == task) & (table["strategy"] == "streaming")]
        assert own["class"].tolist() == names[task]
        assert own["cells"].tolist() == scores[3].tolist()
        np.testing.assert_allclose(own[["precision", "recall", "f1"]].T, np.mean(expected, 0), atol=1e-6)
