"""In sentences and tables: every strategy at its own best learning rate, beside the common one."""

from dataclasses import dataclass

import pandas as pd

from cellshuffle.analysis.comparison import COMPARISON_COLUMNS, HIGHER, LOWER, UNKNOWN, read_table
from cellshuffle.analysis.tuning import COLUMNS as TUNING_COLUMNS
from cellshuffle.analysis.tuning import TEST, VALIDATION, mean_scores
from cellshuffle.phrasing import join_words, signed

TITLE = "Each at its own learning rate"
HEADER = [
    "Strategy",
    "Best rate",
    "Validation cells",
    "Test cells",
    "At the common rate",
    "Difference, tuned",
]


@dataclass
class Tuning:
    """Scores at all rates and the comparison at the best ones: tuning.csv and tuned.csv as tables."""

    scores: pd.DataFrame
    tuned: pd.DataFrame

    def __post_init__(self):
        self.task = self.tuned["chosen_by"].iloc[0]
        own = self.tuned[(self.tuned["task"] == self.task) & (self.tuned["metric"] == "macro_f1")]
        self.rows = own.set_index("strategy")  # of the task by which rates were chosen
        self.rates = sorted(self.scores["learning_rate"].unique())
        self.validation, self.test = (mean_scores(self.scores, c, self.task) for c in (VALIDATION, TEST))


def read_tuning(scores, tuned):
    """The Tuning of a run; scores, tuned: paths of tuning.csv and tuned.csv in lists, empty without them."""
    if not scores:
        return None
    columns = (*COMPARISON_COLUMNS, "learning_rate", "chosen_by")
    return Tuning(read_table(*scores, TUNING_COLUMNS, ["cells"]), read_table(*tuned, columns, ["chosen_by"]))


def tuning_rows(tuning, table, baseline):
    """Rows of a table with HEADER: macro F1 on the task by which rates were chosen; table: the comparison."""
    common = _common(tuning, table)
    return [
        [
            row.Index,
            f"{row.learning_rate:g}",
            f"{tuning.validation.loc[row.learning_rate, row.Index]:.3f}",
            f"{row.mean:.3f}",
            f"{common.loc[row.Index, 'mean']:.3f}",
            "" if row.Index == baseline else UNKNOWN if row.verdict == UNKNOWN
            else f"{signed(row.difference)} ({signed(row.low)} to {signed(row.high)})",
        ]
        for row in tuning.rows.itertuples()
    ]  # fmt: skip


def tuning_sentences(tuning, table, baseline):
    """Sentences on what each strategy gains at its own rate, and how it then compares with the baseline."""
    rates = join_words(f"{rate:g}" for rate in tuning.rates)
    sentences = [
        f"Each strategy was trained at the learning rates {rates}, and is compared at that with its highest "
        f"macro F1 on {tuning.task} over validation cells of the train plates. No test cell took part in it."
    ]
    common = _common(tuning, table)
    for row in tuning.rows.itertuples():
        gain = row.mean - common.loc[row.Index, "mean"]
        change = (
            "gains nothing"
            if signed(gain) == "0.000"
            else f"{'gains' if gain > 0 else 'loses'} {abs(gain):.3f}"
        )
        end = "" if row.Index == baseline else _against(row, common.loc[row.Index, "verdict"], baseline)
        sentences.append(f"Tuned ({row.learning_rate:g}), {row.Index} {change}{end}.")
    return sentences + list(_edges(tuning))


def _common(tuning, table):
    rows = table[(table["task"] == tuning.task) & (table["metric"] == "macro_f1")]
    return rows.set_index("strategy")


def _against(row, before, baseline):
    """How a tuned strategy compares with the tuned baseline; before: the verdict at the common rate."""
    if row.verdict == UNKNOWN:
        return f"; how it compares with {baseline} cannot be told ({row.reason})"
    if row.verdict in (LOWER, HIGHER):
        ends = sorted((abs(row.low), abs(row.high)))
        side, verb = ("below", "falls") if row.verdict == LOWER else ("above", "rises")
        verb = "stays" if before == row.verdict else verb
        return (
            f" and {verb} {side} {baseline} by {abs(row.difference):.3f} "
            f"(95% interval {ends[0]:.3f} to {ends[1]:.3f})"
        )
    return (
        f" and cannot be told from {baseline} ({signed(row.difference)}, 95% interval {signed(row.low)} to "
        f"{signed(row.high)})"
    )


def _edges(tuning):
    """Sentences on strategies whose best rate is the first or the last of those tried."""
    if len(tuning.rates) == 1:
        yield "Only one rate was tried, so nothing is known of others."
        return
    for end, words in ((tuning.rates[0], ("lowest", "lower")), (tuning.rates[-1], ("highest", "higher"))):
        names = [row.Index for row in tuning.rows.itertuples() if row.learning_rate == end]
        if names:
            yield (
                f"At the edge of the rates: the best of {join_words(names)} is the {words[0]}, {end:g}, "
                f"and a {words[1]} one may be better still."
            )
