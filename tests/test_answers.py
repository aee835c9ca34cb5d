"""The sentences follow from the numbers."""

import pandas as pd
import synthetic_run
from cellshuffle import answers, words
from cellshuffle.comparison import METRICS
from cellshuffle.markdown import comparison_markdown


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
    assert words.signed(0.0124) == "+0.012" and words.signed(-0.0124) == "-0.012"
    assert {words.signed(x) for x in (-0.0004, -0.0, 0.0, 0.0004)} == {"0.000"}


def test_nothing_is_negative_zero():
    table = comparison(block="not distinguishable").assign(
        difference=-0.0002, low=-0.0004, high=0.0001
    )
    config = synthetic_run.make_config(2, 1, ("drug",))
    config["strategies"] = {strategy: {} for strategy in table["strategy"]}
    every = pd.concat([table.assign(metric=metric) for metric in METRICS])
    told = comparison_markdown(every, config, "random_sampling")
    assert "0.000 (0.000 to 0.000)" in told and "-0.000" not in told and "+0.000" not in told
    verdict = answers.verdicts(
        table.replace("not distinguishable", "lower"), "drug", "random_sampling"
    )
    assert "(0.000, 95% interval 0.000 to 0.000)" in verdict[0]


def test_one_plate_is_not_read_plate_after_plate():
    config = synthetic_run.make_config(2, 1, ("drug",))
    strips = dict.fromkeys(config["strategies"], pd.DataFrame({"position": [0.5], "all": [1.0]}))
    entropies = dict.fromkeys(config["strategies"], pd.DataFrame({"plate": [0.0]}))
    told = answers.why(comparison(streaming="lower"), config, strips, entropies, "drug")
    assert len(told) == 1 and "All training cells are of one plate" in told[0]
