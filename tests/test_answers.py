"""The sentences follow from the numbers."""

import pandas as pd
import synthetic_run
from cellshuffle import answers, words


def comparison(**verdicts):
    """A comparison table with the given verdicts on one task; the baseline is random_sampling."""
    rows = [
        {"strategy": s, "task": "drug", "metric": "macro_f1", "mean": 0.3, "sd": 0.01, "n": 3,
         "difference": 0.1, "low": 0.05, "high": 0.15, "verdict": v, "rank": 1}
        for s, v in {"random_sampling": "baseline", **verdicts}.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_fastest_of_the_equals():
    table = comparison(
        streaming="lower", block="not distinguishable", weighted="not distinguishable"
    )
    speeds = {"random_sampling": [10, 11], "streaming": [99], "block": [30, 32], "weighted": [5, 5]}
    best, reasons = answers.which(table, speeds, "random_sampling")
    assert best == "block"
    text = " ".join(reasons)
    assert "it was the fastest" in text and "Slower with every seed: random sampling (10)" in text
    assert "Lower than random sampling on at least one task: streaming." in text


def test_speeds_that_overlap_are_not_told_apart():
    table = comparison(block="not distinguishable")
    best, reasons = answers.which(
        table, {"random_sampling": [10, 20], "block": [12, 19]}, "random_sampling"
    )
    assert best == "block"
    assert "overlap with those of random sampling (15)" in " ".join(reasons)


def test_better_scores_come_before_speed():
    table = comparison(block="not distinguishable", weighted="higher")
    best, reasons = answers.which(
        table, {"random_sampling": [10], "block": [30], "weighted": [5]}, "random_sampling"
    )
    assert best == "weighted" and reasons[0].startswith(
        "It scores higher than random sampling on drug"
    )


def test_one_seed_is_said_to_be_one_seed():
    config = synthetic_run.make_config(2, 1, ("drug",))
    told = answers.certainty(comparison(streaming="lower"), config, "random_sampling", 2000)
    assert "with 1 seed and" in told[0] and any("With one seed" in line for line in told)


def test_a_run_without_streaming_is_not_blamed_on_it():
    config = synthetic_run.make_config(2, 1, ("drug",))
    del config["strategies"]["streaming"]
    told = answers.why(
        comparison(), config, {}, {"random_sampling": pd.DataFrame({"plate": [1.0]})}, "drug"
    )
    assert told == [
        "This run does not hold both a streaming strategy and a shuffled one to compare."
    ]


def test_words():
    assert words.words("moa_fine") == "MoA fine"
    assert words.within("moa_fine") == "MoA fine"
    assert words.within("Block_shuffling") == "block shuffling"
    assert words.plates([1, 2, 3, 5]) == "plates 1–3 and 5"  # noqa: RUF001
    assert words.plates([14]) == "plate 14"
    assert words.plates(["A1", "B2"]) == "plates A1 and B2"
    assert words.duration(7.25) == "7.2 s"
    assert words.duration(150) == "2.5 min"
    assert words.duration(11_000) == "3.06 h"
