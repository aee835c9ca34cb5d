"""What the numbers say, in sentences: which strategy, how sure, at what cost, and why."""

import numpy as np

from cellshuffle.analysis.comparison import HIGHER, LOWER, SAME, baseline_of
from cellshuffle.analysis.intervals import chance, counted
from cellshuffle.loading.samplers import is_sequential
from cellshuffle.phrasing import (
    display_name,
    duration,
    in_sentence,
    join_words,
    signed,
    test_set_name,
)

# Share of the fastest's speed beyond which another is not told from it; in short trainings, of few seconds.
NEAR, NEAR_IF_SHORT, SHORT = 0.9, 0.5, 10
# Macro F1: a run that sees no smaller differences, and none at all, decides nothing.
BLURRED = 0.05


def macro_f1(table, task=None):
    """The macro F1 rows of the comparison table, of one task or all."""
    rows = table[table["metric"] == "macro_f1"]
    return rows if task is None else rows[rows["task"] == task]


def verdicts(table, task, baseline):
    """Sentences on one task: which strategies are higher, lower, not to be told from the baseline."""
    sentences = []
    rows = macro_f1(table, task)
    for verdict in (HIGHER, LOWER):
        chosen = rows[rows["verdict"] == verdict]
        chosen = chosen.sort_values("difference", ascending=verdict == LOWER, kind="stable")
        if len(chosen):
            parts = [
                f"{in_sentence(row.strategy)} ({signed(row.difference)}, 95% interval {signed(row.low)} "
                f"to {signed(row.high)})"
                for row in chosen.itertuples()
            ]
            sentences.append(
                f"{verdict.capitalize()} than {in_sentence(baseline)}: {join_words(parts)}."
            )
    same = rows.loc[rows["verdict"] == SAME, "strategy"]
    if len(same):
        sentences.append(f"Not distinguishable: {join_words(in_sentence(s) for s in same)}.")
    return sentences


def n_compared(table):
    """How many macro F1s are compared with the baseline's."""
    return int(macro_f1(table)["low"].notna().sum())


def standing(table):
    """{strategy: (tasks where higher, tasks where lower)} by macro F1, without the baseline.

    Of all comparisons, those differences that `counted` leaves.
    """
    rows = macro_f1(table).dropna(subset=["low", "high"])
    if rows.empty:
        return {}
    counts = counted(chance(*(rows[c].to_numpy() for c in ("difference", "low", "high", "n"))))
    up = rows["difference"] > 0
    rows = rows.assign(higher=counts & up, lower=counts & ~up)
    return {
        strategy: tuple(own.loc[own[v], "task"].tolist() for v in ("higher", "lower"))
        for strategy, own in rows.groupby("strategy", sort=False)
    }


def which(table, speeds, baseline, seconds):
    """(headline, sentences why): which strategies to use.

    speeds: {strategy: cells/s of every seed}; seconds: mean length of a training.
    Of the strategies that are nowhere distinguishably worse than the baseline, those better on most tasks
    come first; among equals the fastest on average, with all whose speeds are not told from its own.
    """
    stand = standing(table)
    higher = {baseline: []} | {s: up for s, (up, _) in stand.items()}
    sound = [s for s in speeds if s == baseline or not stand[s][1]]
    most = max(len(higher[s]) for s in sound)
    equals = [s for s in sound if len(higher[s]) == most]
    fastest = max(equals, key=lambda s: np.mean(speeds[s]))
    least = (NEAR if seconds >= SHORT else NEAR_IF_SHORT) * np.min(speeds[fastest])
    best = [s for s in equals if s == fastest or np.max(speeds[s]) >= least]
    headline = (
        f"Any of {join_words(map(in_sentence, best))}."
        if len(best) > 1
        else f"{display_name(fastest)}."
    )
    others = [s for s in best if s != baseline]
    reasons = []
    if most:
        tasks = join_words(
            f"{in_sentence(s)} on {join_words(map(in_sentence, higher[s]))}" for s in best
        )
        reasons.append(f"Higher than {in_sentence(baseline)}: {tasks}; nowhere lower.")
    elif not any(up or down for up, down in stand.values()) and half_width(table) > BLURRED:
        headline = "This run cannot tell."
        reasons.append(
            f"No macro F1 can be told from that of {in_sentence(baseline)}, and differences below about "
            f"{half_width(table):.2f} cannot be seen here. Test on more cells, or train with more seeds."
        )
    elif others:
        reasons.append(
            f"On no task can the macro F1 of {join_words(map(in_sentence, others))} be told from that of "
            f"{in_sentence(baseline)}."
        )
    reasons += by_chance(table, best)
    if len(equals) > 1:
        reasons += pace(best, equals, speeds)
    worse = [s for s, (_, down) in stand.items() if down]
    if worse:
        names = join_words(in_sentence(s) for s in worse)
        reasons.append(f"Lower than {in_sentence(baseline)} on at least one task: {names}.")
    return headline, reasons


def by_chance(table, best):
    """A sentence on recommended strategies that one interval calls lower and `standing` does not; or none."""
    rows = macro_f1(table)
    rows = rows[rows["strategy"].isin(best) & (rows["verdict"] == LOWER)]
    if rows.empty:
        return []
    cases = join_words(
        f"{in_sentence(row.strategy)} on {in_sentence(row.task)}" for row in rows.itertuples()
    )
    return [
        f"Lower by a 95% interval of its own, which may be chance among the {n_compared(table)} "
        f"comparisons made here: {cases}."
    ]


def pace(best, equals, speeds):
    """Sentences on the speed of strategies whose scores are not told apart.

    best: those whose speeds are not told from the fastest one's.
    """
    told = {s: f"{in_sentence(s)} ({np.mean(speeds[s]):,.0f})" for s in equals}
    slower = [s for s in equals if s not in best]
    if len(best) > 1:
        sentences = [
            "Too close in speed to be told apart on this machine, in training cells per second: "
            f"{join_words(told[s] for s in best)}."
        ]
    else:
        sentences = [
            f"{display_name(best[0])} was the fastest of the {len(equals)} strategies whose scores are "
            f"not told apart, with {np.mean(speeds[best[0]]):,.0f} training cells per second on this machine."
        ]
    if slower:
        sentences.append(f"Slower with every seed: {join_words(told[s] for s in slower)}.")
    return sentences


def half_width(table):
    """Half the width of the 95% intervals of macro F1, in the median."""
    rows = macro_f1(table)
    return (rows["high"] - rows["low"]).median() / 2


def certainty(table, config, baseline, n_test):
    """Sentences on how sure the comparison is."""
    seeds = len(config["training"]["seeds"])
    compared = macro_f1(table)[macro_f1(table)["verdict"] != "baseline"]
    sentences = [
        f"Every strategy was trained with {seeds} seed{'s' * (seeds > 1)} and tested on the same "
        f"{n_test:,} cells ({test_set_name(config)})."
    ]
    if compared.empty:
        return sentences
    sentences.append(
        f"Differences from {in_sentence(baseline)} carry 95% intervals over test cells"
        f"{' and seeds' if seeds > 1 else ''}; half their width is {half_width(table):.3f} of "
        "macro F1 in the median. Smaller differences than that cannot be seen here."
    )
    if seeds == 1:
        sentences.append(
            "With one seed the intervals leave out how much another seed would change."
        )
    elif seeds < 5:
        sentences.append(
            f"With {seeds} seeds the spread over seeds is known only roughly, and the intervals are the "
            "wider for it (Student's t); more seeds narrow them."
        )
    many = n_compared(table)
    if many > 1:
        sentences.append(
            f"Each interval is of one comparison, and of {many} up to one in twenty excludes 0 by chance. "
            "The answer above is stricter: of the differences that it counts, at most one in twenty is "
            "chance, on average over such runs (Benjamini and Hochberg's false discovery rate)."
        )
    return sentences


def cost_rows(totals, reached):
    """Rows of the cost table: strategy, cells/s, training time, waiting, memory, time to the target."""
    times = reached.groupby("strategy")["seconds"].agg(lambda s: s.mean(skipna=False))
    rows = []
    for strategy, own in totals.groupby("strategy", sort=False):
        time = times[strategy]
        rows.append([
            display_name(strategy),
            f"{own['cells_per_second'].mean():,.0f}",
            duration(own["train_seconds"].mean()),
            f"{own['waiting'].mean():.0%}",
            f"{own['peak_memory_mib'].mean():,.0f} MiB",
            "not by every seed" if np.isnan(time) else duration(time),
        ])  # fmt: skip
    return rows


def why(table, config, strips, entropies, task):
    """Sentences on why sequential strategies fail, or do not, from what their minibatches held."""
    sentences = []
    mixed = {s: table_["plate"].mean() for s, table_ in entropies.items()}
    streams = [s for s, e in config["strategies"].items() if is_sequential(e)]
    shuffled = [s for s in config["strategies"] if s not in streams]
    if not streams or not shuffled:
        return ["This run does not hold both a streaming strategy and a shuffled one to compare."]
    stream, best = streams[0], max(shuffled, key=mixed.get)
    strip = strips[stream]
    end = strip.iloc[-1].drop("position")
    lone = (strip.drop(columns="position").max(axis=1) > 0.9).mean()
    rows = macro_f1(table, task).set_index("strategy")
    score = rows["mean"]
    if rows.loc[stream, "verdict"] != LOWER:
        return [
            f"It does not, here: on {in_sentence(task)} {in_sentence(stream)} scores {score[stream]:.3f}, "
            f"not lower than {in_sentence(baseline_of(config))} by more than chance "
            f"({score[baseline_of(config)]:.3f})."
        ]
    if strip.shape[1] == 2:
        return [
            "All training cells are of one plate. "
            f"{display_name(stream)} reads them in the order on disk: on {in_sentence(task)} it scores "
            f"{score[stream]:.3f} on {test_set_name(config)}, against {score[best]:.3f} for "
            f"{in_sentence(best)}."
        ]
    sentences.append(
        f"{display_name(stream)} reads plate after plate: for {lone:.0%} of the epoch nearly all cells of "
        f"the minibatches come from a single plate, so a minibatch holds {mixed[stream]:.2f} bits of plate "
        f"entropy, against {mixed[best]:.2f} for {in_sentence(best)}."
    )
    sentences.append(
        f"It ends every epoch on plate {end.astype(float).idxmax()}, and the model keeps what it saw last: "
        f"on {in_sentence(task)} it scores {score[stream]:.3f} on {test_set_name(config)}, "
        f"against {score[best]:.3f}."
    )
    buffered = [s for s in streams if config["strategies"][s].get("shuffle")]
    if buffered and buffered[0] != stream:
        sentences.append(
            f"Shuffling inside a buffer does not help ({in_sentence(buffered[0])}: "
            f"{mixed[buffered[0]]:.2f} bits, macro F1 {score[buffered[0]]:.3f}): its buffer "
            f"of {_buffer(config, buffered[0]):,} cells holds neighbours, of one plate or two."
        )
    return sentences


def _buffer(config, strategy):
    """Cells of one fetch."""
    training, entry = config["training"], config["strategies"][strategy]
    return int(np.prod([entry.get(k, training[k]) for k in ("batch_size", "fetch_factor")]))
