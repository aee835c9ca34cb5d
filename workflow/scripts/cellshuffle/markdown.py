"""comparison.md: the comparison as a person reads it."""

from cellshuffle.answers import macro_f1, standing, verdicts
from cellshuffle.comparison import METRICS
from cellshuffle.words import METRIC_WORDS, listed, mean_sd, plates, tested_on, within, words


def markdown_table(header, rows):
    """Lines of a table; the first column is text, the others align right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return [f"| {' | '.join(map(str, cells))} |" for cells in [header, rule, *rows]]


def comparison_markdown(table, config, baseline):
    """The comparison table, in words, as Markdown text."""
    strategies, tasks = list(config["strategies"]), list(config["tasks"])
    own = table.set_index(["strategy", "task", "metric"])
    seeds = len(config["training"]["seeds"])
    lines = [
        f"# {len(strategies)} loading strategies compared",
        "",
        f"Tested on {tested_on(config)}, trained on "
        f"{plates(config['atlas']['train_plates'])}; "
        + (f"mean ± standard deviation of {seeds} seeds." if seeds > 1 else "one seed."),
        "",
        "## Macro F1",
        "",
        "In brackets the rank among the strategies, 1 being the best.",
        "",
        *markdown_table(
            ["Strategy", *map(words, tasks)],
            [[words(s), *(_ranked(own.loc[s, t, "macro_f1"]) for t in tasks)] for s in strategies],
        ),
        "",
        f"## Difference from {within(baseline)}, in macro F1",
        "",
        "With 95% bootstrap intervals over test cells" + (" and seeds" if seeds > 1 else "")
        + ". Bold: the interval excludes 0.",
        "",
        *markdown_table(
            ["Strategy", *map(words, tasks)],
            [
                [words(s), *(_difference(own.loc[s, t, "macro_f1"]) for t in tasks)]
                for s in strategies
                if s != baseline
            ],
        ),
        "",
        "## In words",
        "",
        *_overall(table, baseline),
        "",
        *[f"- **{words(t)}.** {' '.join(verdicts(table, t, baseline))}" for t in tasks],
        "",
        "## Every score",
    ]  # fmt: skip
    for task in tasks:
        rows = [
            [words(s), *(mean_sd(*own.loc[(s, task, m), ["mean", "sd"]]) for m in METRICS)]
            for s in strategies
        ]
        header = ["Strategy", *(METRIC_WORDS[m] for m in METRICS)]
        lines += ["", f"### {words(task)}", "", *markdown_table(header, rows)]
    return "\n".join(lines) + "\n"


def _ranked(row):
    return f"{mean_sd(row['mean'], row['sd'])} ({row['rank']})"


def _difference(row):
    text = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    return f"**{text}**" if row["low"] > 0 or row["high"] < 0 else text


def _overall(table, baseline):
    """Sentences over all tasks."""
    stand = standing(table, baseline)
    n_tasks = macro_f1(table)["task"].nunique()
    groups = {
        "not distinguishable from it on any task": [
            s for s, (up, down) in stand.items() if not up + down
        ],
        "higher somewhere and nowhere lower": [
            s for s, (up, down) in stand.items() if up and not down
        ],
        "lower somewhere and nowhere higher": [
            s for s, (up, down) in stand.items() if down and not up
        ],
        "higher on some tasks, lower on others": [
            s for s, (up, down) in stand.items() if up and down
        ],
    }
    parts = [f"{what}: {listed(map(within, names))}" for what, names in groups.items() if names]
    if not parts:
        return ["There is nothing to compare."]
    return [
        f"Against {within(baseline)}, over {n_tasks} task{'s' * (n_tasks > 1)}, "
        + "; ".join(parts)
        + "."
    ]
