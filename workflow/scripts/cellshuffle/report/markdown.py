"""comparison.md: the comparison as tables and sentences."""

from cellshuffle.analysis.comparison import METRICS
from cellshuffle.phrasing import (
    METRIC_NAMES,
    display_name,
    in_sentence,
    join_words,
    mean_sd,
    plate_ranges,
    signed,
    test_set_name,
)
from cellshuffle.report.answers import n_compared, significant_differences, verdicts
from cellshuffle.report.results import macro_f1


def markdown_table(header, rows):
    """Lines of a table; the first column is text, the others align right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return [f"| {' | '.join(map(str, cells))} |" for cells in [header, rule, *rows]]


def comparison_markdown(table, config, baseline):
    """The comparison table, in words, as Markdown text."""
    strategies, tasks = list(config["strategies"]), list(config["tasks"])
    scores = table.set_index(["strategy", "task", "metric"])
    seeds = len(config["training"]["seeds"])
    spread = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    lines = [
        f"# {len(strategies)} loading strateg{'ies' if len(strategies) > 1 else 'y'} compared",
        "",
        f"Tested on {test_set_name(config)}, trained on "
        f"{plate_ranges(config['atlas']['train_plates'])}; {spread}.",
        "",
        "## Macro F1",
        "",
        "In brackets the rank among the strategies, 1 being the best.",
        "",
        *_macro_f1_table(scores, strategies, tasks, _ranked),
    ]
    if len(strategies) > 1:
        lines += _differences(table, scores, strategies, tasks, baseline, seeds)
    lines += ["", "## Every score"]
    for task in tasks:
        rows = [[display_name(s), *(_mean_sd(scores.loc[s, task, m]) for m in METRICS)] for s in strategies]
        header = ["Strategy", *(METRIC_NAMES[m] for m in METRICS)]
        lines += ["", f"### {display_name(task)}", "", *markdown_table(header, rows)]
    return "\n".join(lines) + "\n"


def _differences(table, scores, strategies, tasks, baseline, seeds):
    """Lines on the differences from the baseline, as a table and in words."""
    others = [s for s in strategies if s != baseline]
    over = "test cells and seeds" if seeds > 1 else "test cells"
    return [
        "",
        f"## Difference from {in_sentence(baseline)}, in macro F1",
        "",
        f"With 95% intervals over {over}. Bold: the interval excludes 0.",
        "",
        *_macro_f1_table(scores, others, tasks, _difference),
        "",
        "## In words",
        "",
        _overall(table, baseline),
        "",
        *[f"- **{display_name(t)}.** {' '.join(verdicts(table, t, baseline))}" for t in tasks],
    ]


def _macro_f1_table(scores, strategies, tasks, text):
    """Lines of a table of strategies and tasks; text: of a row of the comparison, for a cell."""
    rows = [[display_name(s), *(text(scores.loc[s, t, "macro_f1"]) for t in tasks)] for s in strategies]
    return markdown_table(["Strategy", *map(display_name, tasks)], rows)


def _mean_sd(row):
    return mean_sd(row["mean"], row["sd"])


def _ranked(row):
    return f"{_mean_sd(row)} ({row['rank']})"


def _difference(row):
    text = f"{signed(row['difference'])} ({signed(row['low'])} to {signed(row['high'])})"
    return f"**{text}**" if row["low"] > 0 or row["high"] < 0 else text


def _overall(table, baseline):
    """A sentence that sums up all tasks."""
    differences = significant_differences(table)
    n_tasks = macro_f1(table)["task"].nunique()
    groups = {
        "not distinguishable from it on any task": (False, False),
        "higher somewhere and nowhere lower": (True, False),
        "lower somewhere and nowhere higher": (False, True),
        "higher on some tasks, lower on others": (True, True),
    }
    parts = []
    for description, group in groups.items():
        names = [s for s, (up, down) in differences.items() if (bool(up), bool(down)) == group]
        if names:
            parts.append(f"{description}: {join_words(map(in_sentence, names))}")
    many = n_compared(table)
    over = f"over {n_tasks} task{'s' * (n_tasks > 1)}"
    sentence = f"Against {in_sentence(baseline)}, {over}: {'; '.join(parts)}."
    if many > 1:
        sentence += (
            f" Of {many} comparisons so many differences count here that on average at most one in twenty "
            "of them is chance."
        )
    return sentence
