"""In sentences: had the trainings converged, and what that means for the comparison."""

from cellshuffle.analysis.comparison import HIGHER, LOWER
from cellshuffle.phrasing import join_words, signed
from cellshuffle.report.results import macro_f1

TITLE = "Had it converged?"
SETTLED = (
    "No macro F1 rose in the last epoch by more than the seeds' spread: at these learning rates, more epochs "
    "would change the comparison by no more than other seeds would."
)


def convergence(rises, table, baseline):
    """Sentences on scores that still rose in the last epoch.

    rises: from analysis.convergence.last_rises; table: the comparison.
    """
    if rises["rise"].isna().all():
        return ["After a single epoch, whether scores would still rise cannot be told."]
    if rises["spread"].isna().all():
        most = rises.loc[rises["rise"].idxmax()]
        return [
            f"In the last epoch macro F1 rose by at most {max(most['rise'], 0):.3f} ({most['strategy']} on "
            f"{most['task']}). With one seed there is no spread to hold that against."
        ]
    rising = rises[rises["rising"]]
    if rising.empty:
        return [SETTLED]
    parts = [
        f"{strategy} on "
        + join_words(f"{row.task} ({signed(row.rise)}, spread {row.spread:.3f})" for row in own.itertuples())
        for strategy, own in rising.groupby("strategy", sort=False)
    ]
    settled = [s for s in rises["strategy"].unique() if s not in set(rising["strategy"])]
    sentences = [
        f"Macro F1 still rose in the last epoch by more than the seeds' spread: {join_words(parts)}."
    ]
    if settled:
        sentences.append(f"It did not, on any task: {join_words(settled)}.")
    return sentences + list(_meaning(rising, table, baseline))


def _meaning(rising, table, baseline):
    """Sentences on what more epochs may do to the differences from the baseline."""
    verdict = macro_f1(table).set_index(["strategy", "task"])["verdict"]
    of_baseline = rising.loc[rising["strategy"] == baseline, "task"].tolist()
    if of_baseline:
        yield (
            f"On {join_words(of_baseline)} {baseline} itself, to which the others are compared, rose: "
            "the differences there are those at this number of epochs, and more may change any of them."
        )
    changes, cases = {LOWER: "shrink", HIGHER: "grow"}, {}
    for row in rising.itertuples():
        if row.strategy != baseline and row.task not in of_baseline:
            change = changes.get(verdict[row.strategy, row.task], "appear in their favour")
            cases.setdefault(change, []).append(f"{row.strategy} on {row.task}")
    for change, names in cases.items():
        yield f"With more epochs, differences from {baseline} may {change}: {join_words(names)}."
