"""Scores by chance against scikit-learn, averaged over every possible draw."""

import itertools

import numpy as np
import pandas as pd
import pytest
from cellshuffle.analysis.chance import (
    COMMONEST,
    FREQUENCIES,
    commonest_scores,
    frequency_scores,
    with_chance,
)
from cellshuffle.analysis.scores import SCORES
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics


def plain_scores(truth, prediction):
    """The scores as scikit-learn has them, in the order of SCORES."""
    present = np.unique(truth)
    return [
        metrics.accuracy_score(truth, prediction),
        np.mean([np.mean(prediction[truth == c] == c) for c in present]),
        metrics.f1_score(truth, prediction, average="weighted", zero_division=0),
        metrics.f1_score(truth, prediction, average="macro", zero_division=0),
        metrics.f1_score(truth, prediction, average="macro", labels=present, zero_division=0),
    ]


@settings(max_examples=8)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=3), st.data())
def test_draws_by_train_frequencies_are_the_mean_over_all_draws(train, data):
    test = data.draw(st.lists(st.integers(1, 2), min_size=len(train), max_size=len(train)))
    train, test = np.array(train), np.array(test)
    truth, share = np.repeat(np.arange(len(test)), test), train / train.sum()
    expected = np.zeros(len(SCORES))
    for draw in itertools.product(range(len(train)), repeat=len(truth)):
        prediction = np.array(draw)
        expected += share[prediction].prod() * np.array(plain_scores(truth, prediction))
    ours = frequency_scores(train, test)
    np.testing.assert_allclose([ours[name] for name in SCORES], expected, atol=1e-12)
    loss = metrics.log_loss(truth, np.tile(share, (len(truth), 1)), labels=range(len(share)))
    assert ours["loss"] == pytest.approx(loss)


def test_macro_f1_over_classes_that_are_absent():
    """It has a value where every class is drawn, and none where a class may not be."""
    rng, train, test = np.random.default_rng(0), np.array([5, 3, 2]), np.array([60, 40, 0])
    truth = np.repeat(np.arange(3), test)
    draws = rng.choice(3, (4000, 100), p=train / train.sum())
    mean = np.mean([metrics.f1_score(truth, draw, average="macro", zero_division=0) for draw in draws])
    assert frequency_scores(train, test)["macro_f1"] == pytest.approx(mean, abs=0.004)
    assert np.isnan(frequency_scores(train, np.array([6, 4, 0]))["macro_f1"])


def test_macro_f1_where_some_absent_classes_are_missed():
    """About one of thirty rare classes is never drawn; the mean over many draws knows."""
    rng, train = np.random.default_rng(0), np.array([*[300] * 10, *[30] * 30])
    test = np.array([*[44] * 10, *[0] * 30])
    truth, share = np.repeat(np.arange(40), test), train / train.sum()
    assert 0.5 < 30 * (1 - share[-1]) ** 440 < 2
    draws = rng.choice(40, (10_000, 440), p=share)
    columns = [((draws == c).sum(1), ((draws == c) & (truth == c)).sum(1), test[c]) for c in range(40)]
    f1 = sum(2 * hits / np.maximum(drawn + true, 1) for drawn, hits, true in columns)
    classes = sum((drawn > 0) | (true > 0) for drawn, _, true in columns)
    ours = frequency_scores(train, test)["macro_f1"]
    assert ours == pytest.approx((f1 / classes).mean(), abs=1e-4)
    assert abs(ours - f1.mean() / 40) > 3e-4  # as if all were drawn


def test_a_loss_needs_every_class_among_the_train_cells():
    assert np.isnan(frequency_scores(np.array([1, 0]), np.array([1, 1]))["loss"])


def test_the_commonest_class_of_the_train_cells():
    train, test = np.array([2, 9, 9, 1]), np.array([5, 3, 0, 2])
    truth = np.repeat(np.arange(4), test)
    ours = commonest_scores(train, test)
    assert [ours[name] for name in SCORES] == pytest.approx(plain_scores(truth, np.full(len(truth), 1)))
    elsewhere = commonest_scores(np.array([1, 1, 9]), np.array([5, 5, 0]))  # named, and never true
    assert [elsewhere[name] for name in SCORES] == [0] * len(SCORES)


def test_millions_of_cells_take_no_time():
    scores = frequency_scores(np.array([7e7, 2.5e7]).astype(int), np.array([6_000_000, 4_000_000]))
    assert scores["macro_f1"] == pytest.approx(
        (2 * 0.6 * 0.7368 / 1.3368 + 2 * 0.4 * 0.2632 / 0.6632) / 2, abs=1e-3
    )


def test_rescaled_scores_are_0_by_chance_and_1_at_best():
    row = {"task": "drug", "n": 3, "rank": 1, "verdict": "", "reason": ""}
    table = pd.DataFrame([
        row | {"strategy": "a", "metric": "macro_f1", "mean": 0.6},
        row | {"strategy": "a", "metric": "loss", "mean": 0.5},
    ])  # fmt: skip
    chance = pd.DataFrame(
        [(COMMONEST, "drug", "macro_f1", 0.2), (FREQUENCIES, "drug", "macro_f1", 0.1),
         (COMMONEST, "drug", "loss", np.nan), (FREQUENCIES, "drug", "loss", 2.0)],
        columns=["strategy", "task", "metric", "mean"],
    )  # fmt: skip
    both = with_chance(table, chance).set_index(["strategy", "metric"])["rescaled"]
    assert both["a", "macro_f1"] == 0.5 and both["a", "loss"] == 0.75
    assert both[COMMONEST, "macro_f1"] == 0 and both[FREQUENCIES, "macro_f1"] == -0.125
    assert both[FREQUENCIES, "loss"] == 0
