"""Which measure of order goes with the scores, in sentences."""

from cellshuffle.analysis.order_measures import chance_correlation, correlations
from cellshuffle.phrasing import signed

FEWEST = 4  # strategies over which a rank correlation says anything


def measure_name(row):
    """A measure in words; row: of the table of `correlations`."""
    if row["measure"] == "differences":
        return "entropy of the differences of successive cell numbers"
    if row["measure"] == "drift":
        return f"drift of {row['label']} in the last tenth of the epoch"
    window = row["window"]
    return f"entropy of {row['label']} in {f'{window} minibatches' if window > 1 else 'a minibatch'}"


def measured(results):
    """`correlations` of the run's measures of order with macro F1 on the headline task."""
    return correlations(results.order, results.macro_f1(results.headline_task)["mean"])


def sentences(results):
    """Which of the measures predicts the outcome, and how far that can be told."""
    n, task = len(results.strategies), results.headline_task
    if n < FEWEST:
        return [
            f"Which measure of order goes with the score cannot be told from fewer than {FEWEST} strategies."
        ]
    table = measured(results).dropna()
    if table.empty:
        return ["No measure of order differs between the strategies."]
    table = table.assign(name=table.apply(measure_name, axis=1), size=table["correlation"].abs())
    best, chance = table.loc[table["size"].idxmax()], chance_correlation(n)
    others = [
        table[table["measure"] == measure].nlargest(1, "size").iloc[0]
        for measure in ("drift", "entropy", "differences")
        if measure != best["measure"] and (table["measure"] == measure).any()
    ]
    beside = "; ".join(f"{row['name']} {signed(row['correlation'], 2)}" for row in others)
    found = f"{best['name']} (rank correlation {signed(best['correlation'], 2)} over {n} strategies)"
    first = (
        f"Of the measures of order, macro F1 on {task} goes most closely with the {found}."
        if best["size"] > chance
        else f"No measure of order predicts macro F1 on {task} here; closest is the {found}."
    )
    return [
        first + (f" The closest of the other kinds: {beside}." if others else ""),
        f"With {n} strategies, a measure that has nothing to do with the score exceeds {chance:.2f}, either "
        f"way, in one of twenty runs; measures that differ between the strategies here: {len(table)}.",
    ]
