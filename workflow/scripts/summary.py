"""Scores, histories and diversity in; the report's answers, sortable table and settings out."""

import platform
from importlib.metadata import version

import yaml
from cellshuffle.analysis.comparison import METRICS, baseline_of, read_table
from cellshuffle.files import read_json, write_text
from cellshuffle.jobs.run import run_rule
from cellshuffle.phrasing import METRIC_NAMES, display_name, duration, in_sentence, signed
from cellshuffle.report import answers
from cellshuffle.report.figures.read import (
    headline_task,
    histories,
    per_strategy,
    plate_strips,
    target_score,
    time_to,
    totals,
)
from cellshuffle.report.html import (
    SORT,
    bullets,
    chooser,
    heading,
    page,
    paragraph,
    picture,
    plain_table,
    sortable_table,
)

PACKAGES = ["cellshuffle", "snakemake", "scDataset", "torch", "numpy", "scipy", "pandas", "h5py",
            "anndata", "scikit-learn", "matplotlib"]  # fmt: skip


def main(snakemake):
    config = snakemake.params.config
    table = read_table(snakemake.input.comparison)
    history = histories(snakemake.input.history)
    write_text(snakemake.output.answers, answer_page(snakemake.input, config, table, history))
    write_text(snakemake.output.table, table_page(table, config))
    write_text(snakemake.output.settings, settings_page(snakemake.params.settings, history))


def answer_page(inputs, config, table, history):
    """The four questions and what this run says to them: a fragment for the report's first page."""
    baseline, task = baseline_of(config), headline_task(table, config)
    cost = totals(history)
    speeds = cost.groupby("strategy", sort=False)["cells_per_second"].agg(list).to_dict()
    seconds = cost["train_seconds"].mean()
    headline, reasons = answers.which(table, speeds, baseline, seconds)
    target = target_score(table, config, task)
    reached = time_to(history, f"{task}/macro_f1", target)
    n_test = read_json(inputs.scores[0])["n_test"]
    header = ["Strategy", "Training cells per second", "Training time", "Waiting for data",
              "Peak memory", f"Time to macro F1 {target:.2f} on {in_sentence(task)}"]  # fmt: skip
    parts = [
        heading("Which strategy should I use?"),
        f"<p><strong>{_escape(headline)}</strong></p>",
        bullets(reasons) if reasons else "",
        picture(inputs.comparison_figure, "Macro F1 of every strategy and task, with every seed"),
        heading("How sure is that?"),
        bullets(answers.certainty(table, config, baseline, n_test)),
        *(
            paragraph(f"{display_name(t)}: {' '.join(answers.verdicts(table, t, baseline))}")
            for t in config["tasks"]
        ),
        heading("What does it cost?"),
        plain_table(header, answers.cost_rows(cost, reached)),
        paragraph("Means over the seeds, on the machine of this run."),
        picture(inputs.tradeoff_figure, "Score against throughput, one point a strategy"),
        heading("Why does streaming fail?"),
        bullets(
            answers.why(
                table,
                config,
                plate_strips(inputs.strips, config),
                per_strategy(inputs.entropies, config),
                task,
            )
        ),
        picture(inputs.why_figure, "Plates over an epoch and entropy of the minibatches"),
    ]
    return "".join(parts) + "\n"


def table_page(table, config):
    """The comparison as a page whose table sorts and filters."""
    header = ["Strategy", "Task", "Score", "Mean", "SD", "Seeds", "Rank", "Difference", "95% low",
              "95% high", "Against the baseline"]  # fmt: skip
    rows = []
    for row in table.itertuples():
        names = [(display_name(row.strategy), row.strategy), (display_name(row.task), row.task)]
        score = [(METRIC_NAMES[row.metric], row.metric)]
        numbers = [row.mean, row.sd, row.n, row.rank, row.difference, row.low, row.high]
        shown = ["{:.4f}".format] * 2 + ["{:.0f}".format] * 2 + [lambda x: signed(x, 4)] * 3
        cells = [
            ("", "") if x != x else (show(x), float(x))
            for x, show in zip(numbers, shown, strict=True)
        ]
        rows.append([*names, *score, *cells, (row.verdict, row.verdict)])
    menus = [
        chooser("Strategy", 0, [(s, display_name(s)) for s in config["strategies"]]),
        chooser("Task", 1, [(t, display_name(t)) for t in config["tasks"]]),
        chooser("Score", 2, [(m, METRIC_NAMES[m]) for m in METRICS], "macro_f1"),
    ]
    return page("Comparison", *menus, sortable_table(header, rows), script=SORT)


def settings_page(config, history):
    """Configuration, software and runtimes as a page."""
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100)
    software = [["Python", platform.python_version()], *([p, _version(p)] for p in PACKAGES)]
    last = history.groupby(["strategy", "seed"], sort=False).last()
    tested = history.groupby(["strategy", "seed"], sort=False)["test_seconds"].sum()
    runs = [
        [display_name(strategy), seed, duration(own["train_seconds"]), duration(tested[strategy, seed]),
         f"{own['peak_memory_mib']:,.0f} MiB"]
        for (strategy, seed), own in last.iterrows()
    ]  # fmt: skip
    return page(
        "Settings",
        heading("Configuration"),
        f"<pre>{_escape(text)}</pre>",
        heading("Software"),
        plain_table(["Package", "Version"], software),
        heading("Trainings"),
        plain_table(["Strategy", "Seed", "Training", "Testing", "Peak memory"], runs),
    )


def _version(package):
    if package == "cellshuffle":
        from cellshuffle import __version__

        return __version__
    try:
        return version(package)
    except ImportError:
        return "not installed here"


def _escape(text):
    from html import escape

    return escape(text)


run_rule(main, snakemake)  # noqa: F821
