"""The sentences follow from the numbers."""

import math

import pandas as pd
import pytest
import synthetic_run
from cellshuffle import phrasing
from cellshuffle.analysis.comparison import METRICS
from cellshuffle.report import answers, ranking
from cellshuffle.report.markdown import comparison_markdown

DIFFERENCE = {"higher": 0.1, "lower": -0.1, "not distinguishable": 0.0}
LONG = 3600  # seconds of a training


def comparison(half_width=0.02, **verdicts):
    """A comparison table with the given verdicts on one task; the baseline is random_sampling."""
    rows = [
        {"strategy": s, "task": "drug", "metric": "macro_f1", "mean": 0.3, "sd": 0.01, "n": 3,
         "difference": DIFFERENCE.get(v, math.nan), "low": DIFFERENCE.get(v, math.nan) - half_width,
         "high": DIFFERENCE.get(v, math.nan) + half_width, "verdict": v, "rank": 1,
         "reason": "few cells" if v == "cannot tell" else ""}
        for s, v in {"random_sampling": "baseline", **verdicts}.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def recommendation(table, speeds, seconds=LONG):
    headline, reasons = answers.recommendation(table, speeds, "random_sampling", seconds)
    return headline, " ".join(reasons)


def test_the_fastest_of_the_equals():
    table = comparison(streaming="lower", block="not distinguishable", weighted="not distinguishable")
    speeds = {"random_sampling": [10, 11], "streaming": [99], "block": [30, 32], "weighted": [5, 5]}
    headline, text = recommendation(table, speeds)
    assert headline == "block."
    assert "block was the fastest of the 3 strategies whose scores are not told apart" in text
    assert "Slower with every seed: random_sampling (10)" in text
    assert "Lower than random_sampling on at least one task: streaming." in text


def test_speeds_that_overlap_are_not_told_apart():
    table = comparison(block="not distinguishable", weighted="not distinguishable")
    speeds = {"random_sampling": [10, 20], "block": [12, 19], "weighted": [5, 6]}
    headline, text = recommendation(table, speeds)
    assert headline == "Any of random_sampling and block." and "fastest" not in text
    assert "cells per second: random_sampling (15) and block (16)." in text
    assert "Slower with every seed: weighted (6)" in text


@pytest.mark.parametrize(
    ("slower", "seconds", "told"),
    [(80, LONG, True), (95, LONG, False), (80, 2, False), (40, 2, True)],
)
def test_short_trainings_and_single_seeds_say_less_of_speed(slower, seconds, told):
    table = comparison(block="not distinguishable")
    headline, _ = recommendation(table, {"random_sampling": [slower], "block": [100]}, seconds)
    assert headline == ("block." if told else "Any of random_sampling and block.")


def test_better_scores_come_before_speed():
    table = comparison(block="not distinguishable", weighted="higher")
    headline, text = recommendation(table, {"random_sampling": [10], "block": [30], "weighted": [5]})
    assert headline == "weighted."
    assert text.startswith("Higher than random_sampling: weighted on drug; nowhere lower.")


def test_of_strategies_that_cannot_be_told_apart_the_code_is_of_the_baseline():
    table = comparison(block="not distinguishable", streaming="lower")
    speeds = {"random_sampling": [10.0], "block": [10.5], "streaming": [30.0]}
    assert recommendation(table, speeds)[0] == "Any of random_sampling and block."

    def chosen(**others):
        return answers.recommended(table, list(speeds), "random_sampling", speeds | others, 100)

    assert chosen() == "random_sampling"
    assert chosen(block=[20.0]) == "block"
    assert answers.recommended(table, list(speeds), "random_sampling") == "random_sampling"


def test_one_interval_of_many_does_not_decide():
    """An interval that excludes 0 by a little does alone, and not as one of ten."""
    table = comparison(half_width=0.09, streaming="lower")
    speeds = {"random_sampling": [10], "streaming": [30]} | {f"s{k}": [5] for k in range(9)}
    alone = {s: speeds[s] for s in ("random_sampling", "streaming")}
    assert recommendation(table, alone)[0] == "random_sampling."
    others = {f"s{k}": "not distinguishable" for k in range(9)}
    many = pd.concat([comparison(half_width=0.09, streaming="lower"), comparison(**others)[1:]])
    headline, text = recommendation(many, speeds)
    assert headline == "streaming."
    assert "which may be chance among the 10 comparisons made here: streaming lower on drug." in text


def test_a_run_that_sees_no_small_difference_decides_nothing():
    table = comparison(half_width=0.2, block="not distinguishable")
    headline, text = recommendation(table, {"random_sampling": [10], "block": [30]})
    assert headline == "This run cannot tell."
    assert "differences below about 0.20 cannot be seen here" in text


def test_many_differences_stand_together():
    """Intervals that exclude 0 by a little: ten of ten are not chance, one of ten may be."""
    table = comparison(half_width=0.09, **{f"s{k}": "lower" for k in range(10)})
    assert all(down == ["drug"] for _, down in answers.significant_differences(table).values())
    assert answers.significant_differences(comparison()) == {}


def test_what_the_answer_counts_is_said():
    config = synthetic_run.make_config(2, 3, ("drug",))
    one, two = (
        " ".join(answers.certainty(comparison(**s), config, "random_sampling", 2000))
        for s in ({"block": "lower"}, {"block": "lower", "streaming": "lower"})
    )
    assert "With 3 seeds" in one and "Student's t" in one
    assert "false discovery rate" not in one and "false discovery rate" in two


def test_one_seed_is_said_to_be_one_seed():
    config = synthetic_run.make_config(2, 1, ("drug",))
    told = answers.certainty(comparison(streaming="lower"), config, "random_sampling", 2000)
    assert "with 1 seed and" in told[0] and any("With one seed" in line for line in told)


def test_a_run_without_streaming_is_not_blamed_on_it():
    config = synthetic_run.make_config(2, 1, ("drug",))
    del config["strategies"]["streaming"]
    entropy = {"random_sampling": pd.DataFrame({"plate": [1.0]})}
    results = synthetic_run.results_with(
        config, comparison=comparison(), plates={}, entropy=entropy, headline_task="drug"
    )
    question, told = answers.why(results)
    assert question == "Does streaming score lower?"
    assert told == ["This run does not hold both a streaming strategy and a shuffled one to compare."]


def test_words():
    assert phrasing.one_line("IR_VDJ_1_c_call") == "IR_VDJ_1_c_call"
    assert phrasing.one_line(" T cell\n\tCD4 ") == "T cell CD4"
    assert phrasing.one_line("a\u202eb\x07\u200cc") == "a\\u202eb\\x07\u200cc"
    assert phrasing.plate_ranges([1, 2, 3, 5]) == "plates 1–3 and 5"  # noqa: RUF001
    assert phrasing.plate_ranges([14]) == "plate 14"
    assert phrasing.plate_ranges(["A1", "B2"]) == "plates A1 and B2"
    assert phrasing.duration(7.25) == "7.2 s"
    assert phrasing.duration(150) == "2.5 min"
    assert phrasing.duration(11_000) == "3.06 h"
    assert phrasing.signed(0.0124) == "+0.012" and phrasing.signed(-0.0124) == "-0.012"
    assert {phrasing.signed(x) for x in (-0.0004, -0.0, 0.0, 0.0004)} == {"0.000"}


def test_nothing_is_negative_zero():
    table = comparison(block="not distinguishable").assign(difference=-0.0002, low=-0.0004, high=0.0001)
    config = synthetic_run.make_config(2, 1, ("drug",))
    config["strategies"] = {strategy: {"sampler": "Streaming"} for strategy in table["strategy"]}
    every = pd.concat([table.assign(metric=metric) for metric in METRICS])
    told = comparison_markdown(every, config, "random_sampling", synthetic_run.rises_of(every))
    assert "0.000 (0.000 to 0.000)" in told and "-0.000" not in told and "+0.000" not in told
    verdict = answers.verdicts(table.replace("not distinguishable", "lower"), "drug", "random_sampling")
    assert "(0.000, 95% interval 0.000 to 0.000)" in verdict[0]


def test_one_plate_is_not_read_plate_after_plate():
    config = synthetic_run.make_config(2, 1, ("drug",))
    strips = dict.fromkeys(config["strategies"], pd.DataFrame({"position": [0.5], "all": [1.0]}))
    entropies = dict.fromkeys(config["strategies"], pd.DataFrame({"plate": [0.0]}))
    table = comparison(streaming="lower")
    results = synthetic_run.results_with(
        config, comparison=table, plates=strips, entropy=entropies, headline_task="drug"
    )
    question, told = answers.why(results)
    assert question == "Why does streaming score lower?"
    assert len(told) == 1 and "All training cells are of one plate" in told[0]


@pytest.mark.parametrize(("score", "words"), [(0.9, "helps in part"), (0.51, "does not help")])
def test_what_a_buffer_gains_is_said(score, words):
    config = synthetic_run.make_config(2, 1, ("drug",))
    config["strategies"] = {
        "streaming": {"sampler": "Streaming"},
        "streaming_buffer": {"sampler": "Streaming", "shuffle": True},
        "random_sampling": {"sampler": "BlockShuffling", "block_size": 1},
    }
    table = comparison(streaming="lower", streaming_buffer="lower").assign(sd=0.1)
    table.loc[table["strategy"] == "streaming", "mean"] = 0.5
    table.loc[table["strategy"] == "streaming_buffer", "mean"] = score
    strips = dict.fromkeys(config["strategies"], pd.DataFrame({"position": [0.5], "1": [0.5], "2": [0.5]}))
    entropies = dict.fromkeys(config["strategies"], pd.DataFrame({"plate": [0.0]}))
    results = synthetic_run.results_with(
        config, comparison=table, plates=strips, entropy=entropies, headline_task="drug"
    )
    *_, buffered = answers.why(results)[1]
    assert buffered.startswith(
        f"Shuffling inside a buffer {words} (streaming_buffer: 0.00 bits, macro F1 {score:.3f}"
    )


def test_where_nothing_can_be_told_nothing_is_recommended():
    speeds = {"random_sampling": [10], "block": [30], "streaming": [20]}
    table = comparison(block="cannot tell", streaming="cannot tell")
    headline, text = recommendation(table, speeds)
    assert headline == "This run cannot tell."
    assert text == "Nothing can be told of drug: few cells."
    config = synthetic_run.make_config(2, 1, ("drug",))
    assert len(answers.certainty(table, config, "random_sampling", 2)) == 1
    config["strategies"] = {strategy: {"sampler": "Streaming"} for strategy in table["strategy"]}
    every = pd.concat([table.assign(metric=metric) for metric in METRICS])
    text = comparison_markdown(every, config, "random_sampling", synthetic_run.rises_of(every))
    assert "| block | cannot tell |" in text and "Cannot tell: block and streaming (few cells)." in text
    assert "comparisons" not in text


def test_a_strategy_that_cannot_be_compared_is_not_recommended():
    table = comparison(block="cannot tell", weighted="not distinguishable")
    headline, text = recommendation(table, {"random_sampling": [10], "block": [99], "weighted": [30]})
    assert headline == "weighted."
    assert "Nothing can be told of block on drug: few cells." in text


def test_only_differences_that_count_are_counted():
    config = synthetic_run.make_config(2, 1, ("drug",))

    def words(**verdicts):
        table = comparison(**verdicts)
        config["strategies"] = {strategy: {"sampler": "Streaming"} for strategy in table["strategy"]}
        every = pd.concat([table.assign(metric=metric) for metric in METRICS])
        return comparison_markdown(every, config, "random_sampling", synthetic_run.rises_of(every))

    assert "comparisons" not in words(block="not distinguishable", weighted="not distinguishable")
    assert "Of 2 comparisons 1 counts as different" in words(block="lower", weighted="not distinguishable")
    one_of_many = words(half_width=0.09, block="lower", **{f"s{k}": "not distinguishable" for k in range(9)})
    assert "from it on any task: block" in one_of_many
    assert "may be chance among the 10 comparisons made here: block lower on drug." in one_of_many


@pytest.mark.parametrize("verdict", ["not distinguishable", "cannot tell"])
def test_the_question_fits_the_answer(verdict):
    config = synthetic_run.make_config(2, 1, ("drug",))
    table = comparison(streaming=verdict)
    results = synthetic_run.results_with(config, comparison=table, headline_task="drug")
    question, (answer,) = answers.why(results)
    assert question == "Does streaming score lower?"
    assert answer.startswith("No: on drug" if verdict != "cannot tell" else "This run cannot tell: on drug")


AS_LINEAR = {"streaming": "lower", "block": "not distinguishable", "weighted": "higher"}


def with_ranks(**verdicts):
    table = comparison(**verdicts)
    table["mean"] += table["difference"].fillna(0)
    table["rank"] = table["mean"].rank(ascending=False, method="min").astype(int)
    return table


@pytest.mark.parametrize(
    ("linear", "headline", "words"),
    [
        (AS_LINEAR, "Yes.", "Of 3 comparisons with random_sampling in macro F1, 3 come out the same"),
        (
            AS_LINEAR | {"streaming": "higher"},
            "No.",
            "The other way round: streaming on drug (-0.100, linear +0.100).",
        ),
        (
            AS_LINEAR | {"block": "lower"},
            "Nowhere the other way round, but not everywhere.",
            "Told apart by the linear model alone: block on drug (0.000, linear -0.100).",
        ),
        (
            AS_LINEAR | {"weighted": "not distinguishable"},
            "Nowhere the other way round, but not everywhere.",
            "Told apart with hidden layers alone: weighted on drug (+0.100, linear 0.000).",
        ),
        (dict.fromkeys(AS_LINEAR, "cannot tell"), "This run cannot tell.", "Of 0 comparisons"),
    ],
)
def test_what_two_models_agree_on(linear, headline, words):
    said, sentences = ranking.answer(with_ranks(**AS_LINEAR), with_ranks(**linear), "random_sampling")
    assert said == headline and words in " ".join(sentences)


def test_ranks_and_their_correlation():
    own, linear = with_ranks(**AS_LINEAR), with_ranks(**AS_LINEAR)
    sentences = ranking.answer(own, linear, "random_sampling")[1]
    assert sentences[-1].startswith("Spearman's correlation") and "same ranking): drug 1.00;" in sentences[-1]
    shuffled = linear.sample(frac=1, random_state=1)  # rows may come in any order
    assert ranking.answer(own, shuffled, "random_sampling")[1] == sentences
    linear = with_ranks(streaming="higher", block="not distinguishable", weighted="lower")
    assert "drug -1.00;" in ranking.answer(own, linear, "random_sampling")[1][-1]
    rows = ranking.rows(own, linear, ["streaming"], ["drug"])
    assert rows == [["streaming", "0.200, rank 4 (0.400, rank 1)"]]


def test_nothing_to_tell_apart_and_nothing_known():
    none = with_ranks(streaming="not distinguishable", block="not distinguishable")
    assert (
        ranking.answer(none, none, "random_sampling")[0] == "Neither tells any strategy from random_sampling."
    )
    assert pd.isna(none["difference"][0])  # the baseline's own
    headline, sentences = ranking.answer(none, None, "random_sampling")
    assert headline == "Not known." and "compare: linear: true" in sentences[0]
