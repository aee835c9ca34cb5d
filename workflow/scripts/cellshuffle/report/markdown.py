"""comparison.md: the comparison as tables and sentences."""

import re

from cellshuffle.analysis.comparison import CHANCE, METRICS, UNKNOWN
from cellshuffle.phrasing import (
    METRIC_NAMES,
    join_words,
    mean_sd,
    one_line,
    plate_ranges,
    signed,
    test_set_name,
)
from cellshuffle.report import code, ranking
from cellshuffle.report.answers import (
    cannot_tell,
    compared,
    not_counted,
    recommended,
    significant_differences,
    verdicts,
)
from cellshuffle.report.ceiling import TITLE as SEEN
from cellshuffle.report.ceiling import seen_rows, seen_sentences
from cellshuffle.report.convergence import TITLE, convergence
from cellshuffle.report.results import macro_f1
from cellshuffle.report.tuning import HEADER, tuning_rows, tuning_sentences
from cellshuffle.report.tuning import TITLE as TUNED


def escape(text):
    """Text in one line that Markdown shows as it is: whatever could be mark-up has a backslash before it.

    Underscores inside words are none, so that `block_shuffling` stays as it is.
    """
    return re.sub(r"[\\`*\[\]<>|&~$#]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", one_line(text))


def markdown_table(header, rows):
    """Lines of a table of Markdown; the first column is text, the others align right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in [header, rule, *rows]]


def comparison_markdown(table, config, baseline, rises, linear=None, chance=None, tuning=None, seen=None):
    """The comparison table, in words, as Markdown text.

    rises: see analysis.convergence; linear: the table of the linear model, where one with hidden layers was
    trained beside it; chance: see analysis.chance.chance_rows; tuning: a Tuning, where rates were tuned;
    seen: the table seen.csv, where train cells were held out.
    """
    strategies, tasks = list(config["strategies"]), list(config["tasks"])
    scores = table.set_index(["strategy", "task", "metric"])
    seeds = len(config["training"]["seeds"])
    spread = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    lines = [
        f"# {len(strategies)} loading strateg{'ies' if len(strategies) > 1 else 'y'} compared",
        "",
        escape(
            f"Tested on {test_set_name(config)}, trained on {plate_ranges(config['atlas']['train_plates'])}; "
            f"{spread}."
        ),
        "",
        "## Macro F1",
        "",
        "In brackets the rank among the strategies, 1 being the best.",
        "",
        *_macro_f1_table(scores, strategies, tasks, _ranked),
        *_chance_table_rows(chance, tasks),
    ]
    if len(strategies) > 1:
        lines += _differences(table, scores, strategies, tasks, baseline, seeds)
        if config["training"]["model"]["hidden"]:
            lines += _ranking(table, linear, strategies, tasks, baseline)
    lines += ["", f"## {TITLE}", "", escape(" ".join(convergence(rises, table, baseline)))]
    if seen is not None:
        rows = [map(escape, row) for row in seen_rows(seen, config)]
        lines += ["", f"## {SEEN}", "", *_paragraph_and_list(seen_sentences(seen, table, config))]
        lines += markdown_table(["Strategy", *map(escape, tasks)], rows)
    if tuning:
        lines += ["", f"## {TUNED}", "", *_paragraph_and_list(tuning_sentences(tuning, table, baseline))]
        lines += markdown_table(HEADER, [map(escape, row) for row in tuning_rows(tuning, table, baseline)])
    lines += ["", "## Every score"]
    for task in tasks:
        rows = [[escape(s), *(_mean_sd(scores.loc[s, task, m]) for m in METRICS)] for s in strategies]
        rows += _chance_score_rows(chance, task)
        header = ["Strategy", *(METRIC_NAMES[m] for m in METRICS)]
        lines += ["", f"### {escape(task)}", "", *markdown_table(header, rows)]
    lines += _own_training(table, config, baseline)
    return "\n".join(lines) + "\n"


def _own_training(table, config, baseline):
    """Lines with code; speeds, which the report counts too, would not be the same for two runs."""
    strategy = recommended(table, list(config["strategies"]), baseline)
    lines = ["", f"## {code.TITLE}", "", escape(" ".join(code.explanation(strategy)))]
    if strategy and len(config["strategies"]) > 1:
        lines[-1] += " It is chosen by scores alone; the report counts speed as well."
    for title, text in code.training_code(config, strategy).items():
        lines += ["", f"### {title}", "", "```python", text, "```"]
    return lines


def _differences(table, scores, strategies, tasks, baseline, seeds):
    """Lines on the differences from the baseline, as a table and in words."""
    others = [s for s in strategies if s != baseline]
    over = "test cells and seeds" if seeds > 1 else "test cells"
    return [
        "",
        f"## Difference from {escape(baseline)}, in macro F1",
        "",
        f"With 95% intervals over {over}. Bold: the interval excludes 0.",
        "",
        *_macro_f1_table(scores, others, tasks, _difference),
        "",
        "## In words",
        "",
        escape(_overall(table, baseline)),
        "",
        *[f"- **{escape(t)}.** {escape(' '.join(verdicts(table, t, baseline)))}" for t in tasks],
    ]


def _ranking(table, linear, strategies, tasks, baseline):
    """Lines on whether the linear model ranks the strategies the same."""
    headline, sentences = ranking.answer(table, linear, baseline)
    lines = ["", f"## {ranking.QUESTION}", "", escape(" ".join([headline, *sentences]))]
    if linear is None:
        return lines
    rows = [[escape(name), *cells] for name, *cells in ranking.rows(table, linear, strategies, tasks)]
    lines += ["", "Macro F1 and rank, in brackets those of the linear model.", ""]
    return lines + markdown_table(["Strategy", *map(escape, tasks)], rows)


def _macro_f1_table(scores, strategies, tasks, text):
    """Lines of a table of strategies and tasks; text: of a row of the comparison, for a cell."""
    rows = [[escape(s), *(text(scores.loc[s, t, "macro_f1"]) for t in tasks)] for s in strategies]
    return markdown_table(["Strategy", *map(escape, tasks)], rows)


def _paragraph_and_list(sentences):
    """Lines of a first sentence, and the others as a list."""
    first, *others = map(escape, sentences)
    return [first, "", *(f"- {line}" for line in others), ""]


def _chance_table_rows(chance, tasks):
    """Lines of macro F1 by chance, below those of the strategies."""
    if chance is None:
        return []
    mean = chance.set_index(["strategy", "task", "metric"])["mean"]
    rows = [[f"*{name}*", *(_number(mean[name, t, "macro_f1"]) for t in tasks)] for name in CHANCE]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [*lines, "", "In italics what is scored by chance, without looking at a cell."]


def _chance_score_rows(chance, task):
    """Rows of every score by chance."""
    if chance is None:
        return []
    mean = chance.set_index(["strategy", "task", "metric"])["mean"]
    return [[f"*{name}*", *(_number(mean[name, task, m]) for m in METRICS)] for name in CHANCE]


def _number(value):
    return "" if value != value else f"{value:.3f}"


def _mean_sd(row):
    return mean_sd(row["mean"], row["sd"])


def _ranked(row):
    return f"{_mean_sd(row)} ({row['rank']})"


def _difference(row):
    if row["verdict"] == UNKNOWN:
        return UNKNOWN
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
            parts.append(f"{description}: {join_words(names)}")
    sentences = cannot_tell(table)
    if parts:
        over = f"over {n_tasks} task{'s' * (n_tasks > 1)}"
        sentences.insert(0, f"Against {baseline}, {over}: {'; '.join(parts)}.")
    many, found = len(compared(table)), sum(len(up) + len(down) for up, down in differences.values())
    if found and many > 1:
        sentences.append(
            f"Of {many} comparisons {found} count{'s' * (found == 1)} as different; on average at most one "
            "in twenty of those that count is chance."
        )
    return " ".join(sentences + not_counted(table, list(differences)))
