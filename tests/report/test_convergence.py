"""Whether scores still rose in the last epoch, and what that means for the comparison."""

import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle.analysis.convergence import last_rises, read_history
from cellshuffle.report.convergence import SETTLED, convergence

VERDICTS = {"random_sampling": "baseline", "streaming": "lower", "block": "not distinguishable"}
TABLE = pd.DataFrame(
    [
        {"strategy": strategy, "task": task, "metric": "macro_f1", "verdict": verdict}
        for strategy, verdict in VERDICTS.items()
        for task in ("drug", "cell_line")
    ]
)


def told(**rising):
    return " ".join(convergence(synthetic_run.rises_of(TABLE, **rising), TABLE, "random_sampling"))


def test_settled_scores_settle_the_comparison():
    assert told() == SETTLED


def test_a_lower_strategy_that_rises_may_catch_up():
    text = told(streaming=0.035)
    assert "still rose" in text and "streaming on drug (+0.035, spread 0.010) and cell_line" in text
    assert "It did not, on any task: random_sampling and block." in text
    assert (
        "differences from random_sampling may shrink: streaming on drug and streaming on cell_line." in text
    )


def test_an_equal_strategy_that_rises_may_become_better():
    assert "may appear in their favour: block on drug and block on cell_line." in told(block=0.2)


def test_a_baseline_that_rises_leaves_every_difference_open():
    text = told(random_sampling=0.05, streaming=0.05)
    assert "On drug and cell_line random_sampling itself" in text and "shrink" not in text


def test_rises_are_means_over_seeds_held_against_their_spread(tmp_path):
    config = synthetic_run.make_config(2, 3, ("cell_line", "drug"), epochs=4)
    run = synthetic_run.write_run(tmp_path, config, n_test=60)
    paths = sorted(run.glob("train/*/seed*/history.csv"))
    for path in paths:
        seed = int(path.parent.name[-1])
        table = pd.read_csv(path)
        streams = path.parent.parent.name == "streaming"
        table["drug/macro_f1"] = [0.1, 0.2, 0.3, 0.3 + (0.06 if streams else 0.01) + 0.02 * seed]
        table["cell_line/macro_f1"] = [0.9, 0.9, 0.9, 0.9005]
        table.to_csv(path, index=False)
    rises = last_rises(read_history(paths, ["cell_line", "drug"]), ["cell_line", "drug"]).set_index(
        ["strategy", "task"]
    )
    assert rises.loc[("streaming", "drug"), "rise"] == pytest.approx(0.08)
    assert rises.loc[("streaming", "drug"), "spread"] == pytest.approx(np.std([0.36, 0.38, 0.4], ddof=1))
    assert rises["rising"].to_dict() == {
        ("random_sampling", "cell_line"): False,  # although all seeds agree on the fourth decimal
        ("random_sampling", "drug"): True,  # by 0.03, with a spread of 0.02
        ("streaming", "cell_line"): False,
        ("streaming", "drug"): True,
    }


@pytest.mark.parametrize(("seeds", "epochs", "words"), [(3, 1, "a single epoch"), (1, 3, "With one seed")])
def test_one_epoch_or_one_seed_cannot_tell(tmp_path, seeds, epochs, words):
    config = synthetic_run.make_config(2, seeds, ("drug",), epochs=epochs)
    run = synthetic_run.write_run(tmp_path, config, n_test=60)
    rises = last_rises(read_history(sorted(run.glob("train/*/seed*/history.csv")), ["drug"]), ["drug"])
    assert not rises["rising"].any()
    (sentence,) = convergence(rises, TABLE, "random_sampling")
    assert words in sentence
