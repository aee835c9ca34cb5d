"""The answers of a run in sentences: which strategy to use, how sure that is, what it costs, and why."""

import numpy as np

from cellshuffle.analysis.comparison import HIGHER, LOWER, SAME, TOLD, UNKNOWN
from cellshuffle.analysis.intervals import p_values, significant
from cellshuffle.loading.samplers import is_sequential, loading_of
from cellshuffle.phrasing import (
    duration,
    hidden_words,
    join_words,
    plate_ranges,
    signed,
    split_words,
    test_set_name,
)
from cellshuffle.report.results import macro_f1

# A strategy counts as fast as the fastest if it reaches this share of its speed; a smaller share is enough
# where trainings take less than SHORT_SECONDS, since their speed varies more.
SIMILAR_SPEED, SIMILAR_SPEED_IF_SHORT, SHORT_SECONDS = 0.9, 0.5, 10
# Half width of the intervals of macro F1 above which a run that finds no difference is inconclusive.
INCONCLUSIVE_HALF_WIDTH = 0.05


def introduction(results, settings):
    """Sentences on what the run asked and of what."""
    config = results.config
    plates, hidden = plate_ranges(config["atlas"]["train_plates"]), config["training"]["model"]["hidden"]
    model = f"model with {hidden_words(hidden)}" if hidden else "linear model"
    sentences = [
        "cellshuffle asks: does the order in which cells are read from disk change what a model learns, and "
        f"what does each order cost? It trains the same {model} once per loading strategy and seed, on "
        f"{plates}, and tests it on {test_set_name(config)}.",
        *split_words(config["atlas"].get("split")),
        "Everything below, and behind the menu on the left, is made from the results of run "
        f"{settings['run']}.",
    ]
    if settings["atlas"]["simulate"]:
        sentences.append(
            "Its cells are simulated: the effects are those of Tahoe-100M's plate design, the numbers are "
            "not."
        )
    return sentences


def strategy_rows(config):
    """Rows of the table of strategies: name, sampler, its settings."""
    return [
        [
            name,
            entry["sampler"],
            ", ".join(f"{k} {v}" for k, v in entry.items() if k != "sampler"),
        ]
        for name, entry in config["strategies"].items()
    ]


def training(settings):
    """Sentences on how every model was trained."""
    training, hidden = settings["training"], settings["training"]["model"]["hidden"]
    classifiers = (
        f"one classifier a task on {hidden_words(hidden)}" if hidden else "one linear classifier a task"
    )
    return [
        f"Minibatches of {training['batch_size']} cells, {training['fetch_factor']} minibatches a fetch, "
        f"epochs: {training['epochs']}, seeds: {', '.join(map(str, training['seeds']))}, Adam at a learning "
        f"rate of {training['learning_rate']}; {classifiers}, all trained together.",
        "Scores follow scikit-learn's definitions.",
    ]


def verdicts(table, task, baseline):
    """Sentences on one task: strategies higher than, lower than and not distinguishable from the baseline."""
    sentences = []
    rows = macro_f1(table, task)
    for verdict in (HIGHER, LOWER):
        chosen = rows[rows["verdict"] == verdict]
        chosen = chosen.sort_values("difference", ascending=verdict == LOWER, kind="stable")
        if len(chosen):
            parts = [
                f"{row.strategy} ({signed(row.difference)}, 95% interval {signed(row.low)} "
                f"to {signed(row.high)})"
                for row in chosen.itertuples()
            ]
            sentences.append(f"{verdict.capitalize()} than {baseline}: {join_words(parts)}.")
    same = rows.loc[rows["verdict"] == SAME, "strategy"]
    if len(same):
        sentences.append(f"Not distinguishable: {join_words(same)}.")
    return sentences + [
        f"Cannot tell: {join_words(unknown['strategy'])} ({reason})."
        for reason, unknown in rows[rows["verdict"] == UNKNOWN].groupby("reason", sort=False)
    ]


def compared(table):
    """The rows on macro F1 that are compared with the baseline's."""
    rows = macro_f1(table)
    return rows[rows["verdict"].isin(TOLD)]


def cannot_tell(table):
    """Sentences on the tasks and strategies of which the run cannot tell, and why."""
    rows = macro_f1(table)
    others = rows[rows["verdict"] != "baseline"].groupby("task", sort=False)["strategy"].nunique()
    parts = {}
    for (reason, task), unknown in rows[rows["verdict"] == UNKNOWN].groupby(["reason", "task"], sort=False):
        whole = len(unknown) == others[task]
        names = "" if whole else f"{join_words(unknown['strategy'])} on "
        parts.setdefault(reason, []).append(f"{names}{task}")
    return [f"Nothing can be told of {join_words(names)}: {reason}." for reason, names in parts.items()]


def significant_differences(table):
    """{strategy: (tasks where higher, tasks where lower)} than the baseline in macro F1.

    Only differences that are significant among all comparisons of the table.
    """
    rows = compared(table)
    if rows.empty:
        return {}
    columns = (rows[name].to_numpy() for name in ("difference", "low", "high", "n"))
    found, positive = significant(p_values(*columns)), rows["difference"] > 0
    rows = rows.assign(higher=found & positive, lower=found & ~positive)
    return {
        strategy: tuple(group.loc[group[v], "task"].tolist() for v in ("higher", "lower"))
        for strategy, group in rows.groupby("strategy", sort=False)
    }


def recommendation(table, speeds, baseline, seconds):
    """(headline, sentences that explain it): the strategies to use.

    speeds: {strategy: cells/s of every seed}; seconds: mean length of a training.
    Of the strategies that are significantly worse than the baseline on no task, those better on most tasks
    are chosen; of these the one that is fastest on average, with all that are about as fast. A strategy that
    could be compared on no task is not recommended.
    """
    differences = significant_differences(table)
    if not differences and len(speeds) > 1:
        return "This run cannot tell.", cannot_tell(table)
    higher, equals = _best_scores(differences, speeds, baseline)
    best = _as_fast(equals, speeds, seconds)
    headline = f"Any of {join_words(best)}." if len(best) > 1 else f"{best[0]}."
    others = [s for s in best if s != baseline]
    reasons = []
    if higher[equals[0]]:
        tasks = join_words(f"{s} on {join_words(higher[s])}" for s in best)
        reasons.append(f"Higher than {baseline}: {tasks}; nowhere lower.")
    elif _is_inconclusive(table, differences):
        headline = "This run cannot tell."
        reasons.append(
            f"No macro F1 can be told from that of {baseline}, and differences below about "
            f"{half_width(table):.2f} cannot be seen here. Test on more cells, or train with more seeds."
        )
    elif others:
        reasons.append(
            f"On no task can the macro F1 of {join_words(others)} be told from that of {baseline}."
        )
    reasons += not_counted(table, best)
    if len(equals) > 1:
        reasons += speed_comparison(best, equals, speeds)
    worse = [s for s, (_, down) in differences.items() if down]
    if worse:
        names = join_words(worse)
        reasons.append(f"Lower than {baseline} on at least one task: {names}.")
    return headline, reasons + cannot_tell(table)


def recommended(table, strategies, baseline, speeds=None, seconds=None):
    """The one strategy to use, None where the run cannot tell.

    speeds, seconds: as of `recommendation`, whose choice has equal scores and about the same speed: of it
    the baseline, or else the fastest. Without speeds, which differ between two runs, by scores alone.
    """
    differences = significant_differences(table)
    if (not differences and len(strategies) > 1) or _is_inconclusive(table, differences):
        return None
    _, best = _best_scores(differences, strategies, baseline)
    if speeds:
        best = _as_fast(best, speeds, seconds)
    if baseline in best:
        return baseline
    return max(best, key=lambda s: np.mean(speeds[s])) if speeds else best[0]


def _as_fast(strategies, speeds, seconds):
    """The fastest of the strategies and those that are about as fast."""
    fastest = max(strategies, key=lambda s: np.mean(speeds[s]))
    share = SIMILAR_SPEED if seconds >= SHORT_SECONDS else SIMILAR_SPEED_IF_SHORT
    threshold = share * np.min(speeds[fastest])
    return [s for s in strategies if s == fastest or np.max(speeds[s]) >= threshold]


def _best_scores(differences, strategies, baseline):
    """({strategy: tasks where it is higher}, strategies that are nowhere lower and higher on most tasks)."""
    higher = {baseline: []} | {s: up for s, (up, _) in differences.items()}
    not_worse = [s for s in strategies if s == baseline or (s in differences and not differences[s][1])]
    most = max(len(higher[s]) for s in not_worse)
    return higher, [s for s in not_worse if len(higher[s]) == most]


def _is_inconclusive(table, differences):
    return not any(map(any, differences.values())) and half_width(table) > INCONCLUSIVE_HALF_WIDTH


def not_counted(table, strategies):
    """[a sentence on differences that their own intervals show, but that are not significant among all]."""
    counted = {
        (strategy, task)
        for strategy, (up, down) in significant_differences(table).items()
        for task in up + down
    }
    rows = macro_f1(table)
    rows = rows[rows["strategy"].isin(strategies) & rows["verdict"].isin([HIGHER, LOWER])]
    cases = [
        f"{row.strategy} {row.verdict} on {row.task}"
        for row in rows.itertuples()
        if (row.strategy, row.task) not in counted
    ]
    if not cases:
        return []
    return [
        f"By a 95% interval of its own, which may be chance among the {len(compared(table))} comparisons "
        f"made here: {join_words(cases)}."
    ]


def speed_comparison(best, equals, speeds):
    """Sentences on the speed of strategies with equal scores; best: those about as fast as the fastest."""
    mean_speed = {s: f"{s} ({np.mean(speeds[s]):,.0f})" for s in equals}
    slower = [s for s in equals if s not in best]
    if len(best) > 1:
        sentences = [
            "Too close in speed to be told apart on this machine, in training cells per second: "
            f"{join_words(mean_speed[s] for s in best)}."
        ]
    else:
        sentences = [
            f"{best[0]} was the fastest of the {len(equals)} strategies whose scores are "
            f"not told apart, with {np.mean(speeds[best[0]]):,.0f} training cells per second on this machine."
        ]
    if slower:
        sentences.append(f"Slower with every seed: {join_words(mean_speed[s] for s in slower)}.")
    return sentences


def half_width(table):
    """Median of half the width of the 95% intervals of macro F1."""
    rows = compared(table)
    return (rows["high"] - rows["low"]).median() / 2


def certainty(table, config, baseline, n_test):
    """Sentences on how sure the comparison is."""
    seeds = len(config["training"]["seeds"])
    sentences = [
        f"Every strategy was trained with {seeds} seed{'s' * (seeds > 1)} and tested on the same "
        f"{n_test:,} cells ({test_set_name(config)})."
    ]
    many = len(compared(table))
    if not many:
        return sentences
    sentences.append(
        f"Differences from {baseline} carry 95% intervals over test cells"
        f"{' and seeds' if seeds > 1 else ''}; half their width is {half_width(table):.3f} of "
        "macro F1 in the median. Smaller differences than that cannot be seen here."
    )
    if seeds == 1:
        sentences.append("With one seed the intervals leave out how much another seed would change.")
    elif seeds < 5:
        sentences.append(
            f"With {seeds} seeds the spread over seeds is known only roughly, and the intervals are the "
            "wider for it (Student's t); more seeds narrow them."
        )
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
    for strategy, group in totals.groupby("strategy", sort=False):
        time = times[strategy]
        rows.append([
            strategy,
            f"{group['cells_per_second'].mean():,.0f}",
            duration(group["train_seconds"].mean()),
            f"{group['waiting'].mean():.0%}",
            f"{group['peak_memory_mib'].mean():,.0f} MiB",
            "not by every seed" if np.isnan(time) else duration(time),
        ])  # fmt: skip
    return rows


def rewriting(results):
    """Sentences on the cost of writing the atlas once more, for the strategies that suppose it."""
    if results.rewriting:
        seconds = duration(next(iter(results.rewriting.values())))
        yield (
            f"To {join_words(results.rewriting)} comes, once, writing the atlas shuffled: {seconds} "
            "here, at the measured rate of cells read from all over the atlas and written as packed plates "
            "are. Trainings read the same cells where they lie, one by one; from the rewritten store they "
            "would read whole chunks, which loads faster."
        )


def why(results):
    """(question, sentences): why sequential strategies score lower, or whether they do."""
    entries, task = results.config["strategies"], results.headline_task
    sequential = [s for s in entries if is_sequential(entries[s])]
    shuffled = [s for s in entries if s not in sequential]
    if not sequential or not shuffled:
        return "Does streaming score lower?", [
            "This run does not hold both a streaming strategy and a shuffled one to compare."
        ]
    stream, verdict = sequential[0], results.macro_f1(task)["verdict"]
    stream = next((s for s in sequential if verdict[s] == LOWER), stream)
    if verdict[stream] == LOWER:
        return f"Why does {stream} score lower?", _why_lower(results, stream, sequential, shuffled)
    score = results.macro_f1(task)["mean"]
    answer = "This run cannot tell: " if verdict[stream] == UNKNOWN else "No: "
    if stream == results.baseline:
        answer = "It is the baseline here: "
    chance = ", which is not lower by more than chance" if answer == "No: " else ""
    return f"Does {stream} score lower?", [
        f"{answer}on {task} it scores {score[stream]:.3f}{chance}; {results.baseline} scores "
        f"{score[results.baseline]:.3f}."
    ]


def _why_lower(results, stream, sequential, shuffled):
    """Sentences on why the sequential strategy `stream` scores lower than the shuffled ones."""
    entries, task = results.config["strategies"], results.headline_task
    entropy = {s: table["plate"].mean() for s, table in results.entropy.items()}
    best = max(shuffled, key=entropy.get)
    score, spread = (results.macro_f1(task)[name] for name in ("mean", "sd"))
    on_task, test_set = f"on {task}", test_set_name(results.config)
    shares = results.plates[stream].drop(columns="position")
    if shares.shape[1] == 1:
        return [
            f"All training cells are of one plate. {stream} reads them in the order on disk: "
            f"{on_task} it scores {score[stream]:.3f} on {test_set}, against {score[best]:.3f} for "
            f"{best}."
        ]
    one_plate = (shares.max(axis=1) > 0.9).mean()
    last_plate = shares.iloc[-1].astype(float).idxmax()
    sentences = [
        f"{stream} reads plate after plate: for {one_plate:.0%} of the epoch nearly all cells "
        f"of the minibatches come from a single plate, so a minibatch holds {entropy[stream]:.2f} bits of "
        f"plate entropy, against {entropy[best]:.2f} for {best}.",
        f"It ends every epoch on plate {last_plate}, and the model keeps what it saw last: "
        f"{on_task} it scores {score[stream]:.3f} on {test_set}, against {score[best]:.3f}.",
    ]
    buffered = next((s for s in sequential if entries[s].get("shuffle")), stream)
    if buffered != stream:
        loading = loading_of(entries[buffered], results.config["training"])
        gain, noise = score[buffered] - score[stream], np.nanmax([0, spread[buffered], spread[stream]])
        helps = "helps in part" if gain > noise else "does not help"
        sentences.append(
            f"Shuffling inside a buffer {helps} ({buffered}: {entropy[buffered]:.2f} bits, "
            f"macro F1 {score[buffered]:.3f}): its buffer of "
            f"{loading['batch_size'] * loading['fetch_factor']:,} cells holds neighbours, of one plate or "
            "two."
        )
    return sentences
