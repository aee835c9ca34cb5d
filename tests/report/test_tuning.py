"""The sentences on tuned strategies follow from the numbers."""

import numpy as np
import pandas as pd
import pytest
from cellshuffle.analysis.tuning import TEST, VALIDATION, best_rates, tuning_task
from cellshuffle.report.tuning import Tuning, tuning_rows, tuning_sentences

RATES = (0.001, 0.01, 0.1)


def scores(**validation):
    """tuning.csv: macro F1s of strategies on validation cells, one a rate; on test cells 0.1 more."""
    rows = [
        (strategy, rate, seed, cells, "drug", "macro_f1", value + 0.1 * (cells == TEST))
        for strategy, values in validation.items()
        for rate, value in zip(RATES, values, strict=False)
        for seed in (0, 1)
        for cells in (VALIDATION, TEST)
    ]
    return pd.DataFrame(
        rows, columns=["strategy", "learning_rate", "seed", "cells", "task", "metric", "value"]
    )


def comparison(rates=None, **verdicts):
    """A comparison of (mean, verdict) of strategies on the drug task; rates: of tuned ones."""
    rows = [
        {"strategy": s, "task": "drug", "metric": "macro_f1", "mean": mean, "sd": 0.01, "n": 2, "rank": 1,
         "difference": mean - 0.6, "low": mean - 0.65, "high": mean - 0.55, "verdict": verdict,
         "reason": "few cells" if verdict == "cannot tell" else ""}
        for s, (mean, verdict) in verdicts.items()
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return (
        table if rates is None else table.assign(learning_rate=table["strategy"].map(rates), chosen_by="drug")
    )


def told(verdict, mean=0.3, streaming=(0.1, 0.2, 0.05), random=(0.3, 0.5, 0.4)):
    table = scores(streaming=streaming, random=random)
    rates = best_rates(table, "drug")
    tuned = comparison(rates, streaming=(mean, verdict), random=(0.6, "baseline"))
    common = comparison(streaming=(0.2, "lower"), random=(0.6, "baseline"))
    tuning = Tuning(table, tuned)
    return " ".join(tuning_sentences(tuning, common, "random")), tuning_rows(tuning, common, "random")


def test_what_a_strategy_gains_and_stays_below():
    text, rows = told("lower")
    assert "Tuned (0.01), streaming gains 0.100 and stays below random by 0.300 " in text
    assert "(95% interval 0.250 to 0.350)." in text
    assert "Tuned (0.01), random gains nothing." in text and "edge" not in text
    assert rows[0] == ["streaming", "0.01", "0.200", "0.300", "0.200", "-0.300 (-0.350 to -0.250)"]


@pytest.mark.parametrize(
    ("verdict", "mean", "words"),
    [
        ("not distinguishable", 0.61, "gains 0.410 and cannot be told from random (+0.010"),
        ("higher", 0.8, "and rises above random by 0.200 (95% interval 0.150 to 0.250)"),
        ("cannot tell", 0.1, "loses 0.100; how it compares with random cannot be told (few cells)"),
    ],
)
def test_other_outcomes(verdict, mean, words):
    assert words in told(verdict, mean)[0]


def test_the_edge_of_the_rates_is_said():
    text, _ = told("lower", streaming=(0.1, 0.2, 0.3), random=(0.5, 0.4, 0.3))
    assert "the best of streaming is the highest, 0.1, and a higher one" in text
    assert "the best of random is the lowest, 0.001, and a lower one" in text
    assert "Only one rate was tried" in told("lower", streaming=(0.1,), random=(0.2,))[0]


def test_of_equal_rates_the_lowest_is_chosen_and_test_scores_do_not_matter():
    table = scores(streaming=(0.2, 0.2, 0.1))
    assert best_rates(table, "drug") == {"streaming": 0.001}
    broken = table.assign(value=table["value"].where(table["cells"] == VALIDATION, np.nan))
    assert best_rates(broken, "drug") == {"streaming": 0.001} and tuning_task(broken) == "drug"
