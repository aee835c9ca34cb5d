"""The pages of the report: the answers, the comparison as a sortable table, the settings."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import yaml

import cellshuffle
from cellshuffle.analysis.classes import COLUMNS
from cellshuffle.analysis.comparison import CHANCE, METRICS
from cellshuffle.analysis.convergence import last_rises
from cellshuffle.phrasing import METRIC_NAMES, duration, signed
from cellshuffle.report import answers, ceiling, code, html, orders, ranking, tuning
from cellshuffle.report.convergence import TITLE, convergence

PACKAGES = ["snakemake", "scDataset", "torch", "numpy", "scipy", "pandas", "h5py", "anndata",
            "scikit-learn", "matplotlib"]  # fmt: skip


def answers_page(results, settings):
    """The answers to four questions, and how they were found: an HTML fragment, the report's first page.

    Besides what `Results` reads, results.files has `scores` (one metrics.json in a list) and the SVG
    files `comparison_figure`, `differences_figure`, `tradeoff_figure` and `why_figure`. settings: the
    whole configuration.
    """
    table, config, baseline = results.comparison, results.config, results.baseline
    speeds = results.totals.groupby("strategy", sort=False)["cells_per_second"].agg(list).to_dict()
    seconds = results.totals["train_seconds"].mean()
    headline, reasons = answers.recommendation(table, speeds, baseline, seconds)
    strategy = answers.recommended(table, results.strategies, baseline, speeds, seconds)
    n_test = results.n_test
    task = results.headline_task
    question, reasons_why = answers.why(results)
    header = ["Strategy", "Training cells per second", "Training time", "Waiting for data",
              "Peak memory", f"Time to macro F1 {results.target_score:.2f} on {task}"]  # fmt: skip
    parts = [
        html.paragraph(*answers.introduction(results, settings)),
        html.heading("Which strategy should I use?"),
        html.strong(headline),
        html.bullets(reasons) if reasons else "",
        html.picture(results.files.comparison_figure, "Macro F1 of every strategy and task, with every seed"),
        html.heading("How sure is that?"),
        html.bullets(answers.certainty(table, config, baseline, n_test)),
        html.picture(results.files.differences_figure, f"Differences from {baseline}, with 95% intervals"),
        *(html.paragraph(f"{t}: {' '.join(answers.verdicts(table, t, baseline))}") for t in results.tasks),
        *_ranking(results),
        html.heading(TITLE),
        html.bullets(convergence(last_rises(results.history, results.tasks), table, baseline)),
        *_seen(results),
        *_tuning(results),
        html.heading("What does it cost?"),
        html.plain_table(header, answers.cost_rows(results.totals, results.time_to_target)),
        html.paragraph("Means over the seeds, on the machine of this run.", *answers.rewriting(results)),
        *_loading(results),
        html.picture(results.files.tradeoff_figure, "Score against throughput, one point a strategy"),
        html.heading(question),
        html.bullets(reasons_why),
        html.picture(results.files.why_figure, "Plates over an epoch and entropy of the minibatches"),
        *_order(results),
        html.heading("How it was done"),
        html.plain_table(["Strategy", "Sampler", "Settings"], answers.strategy_rows(config)),
        html.paragraph(*answers.training(settings)),
        html.heading("What the check of the input noticed") if results.warnings else "",
        html.bullets(results.warnings) if results.warnings else "",
        html.heading(code.TITLE),
        html.paragraph(*code.explanation(strategy)),
    ]
    for title, text in code.training_code(config, strategy).items():
        parts += [html.paragraph(f"{title}:"), html.preformatted(text)]
    return "".join(parts) + "\n"


def _order(results):
    """Which measure of order goes with the scores."""
    if results.order:
        yield html.bullets(orders.sentences(results))
        yield html.picture(results.files.order_figure, "Measures of order against the score")


def _ranking(results):
    """Whether the linear model ranks the strategies the same, where the run's own has hidden layers."""
    if not results.config["training"]["model"]["hidden"] or len(results.strategies) == 1:
        return
    table, linear = results.comparison, results.linear
    headline, sentences = ranking.answer(table, linear, results.baseline)
    yield from (html.heading(ranking.QUESTION), html.strong(headline), html.bullets(sentences))
    if linear is not None:
        rows = ranking.rows(table, linear, results.strategies, results.tasks)
        yield html.plain_table(["Strategy", *results.tasks], rows)
        yield html.paragraph("Macro F1 and rank, in brackets those of the linear model.")


def _seen(results):
    """The same models on plates that they have seen, where cells of those were held out."""
    if results.seen is None:
        return []
    return [
        html.heading(ceiling.TITLE),
        html.bullets(list(ceiling.seen_sentences(results.seen, results.comparison, results.config))),
        html.plain_table(["Strategy", *results.tasks], ceiling.seen_rows(results.seen, results.config)),
    ]


def _tuning(results):
    """Every strategy at its own best learning rate, where rates were tuned."""
    if not results.tuning:
        return []
    arguments = results.tuning, results.comparison, results.baseline
    return [
        html.heading(tuning.TITLE),
        html.bullets(tuning.tuning_sentences(*arguments)),
        html.plain_table(tuning.HEADER, tuning.tuning_rows(*arguments)),
        html.picture(results.files.tuning_figure[0], "Macro F1 against the learning rate, a line a strategy"),
    ]


def _loading(results):
    """How fast every order is read alone; what the trainings tell of it where it was not measured."""
    if not results.loading:
        fastest = results.totals.groupby("strategy", sort=False)["cells_per_second"].max()
        header = ["Strategy", "Cells per second by loading, at least"]
        words = (
            "Every training was served this fast, in the fastest of its seeds. Loading alone, without a "
            "model, is at least as fast, and faster where little time was spent waiting for data; make plan "
            "measures it."
        )
        rows = [[strategy, f"{fastest[strategy]:,.0f}"] for strategy in results.strategies]
        return [html.plain_table(header, rows), html.paragraph(words)]
    header = ["Strategy", "Cells per second by loading alone", "Slowest to fastest pass"]
    rows = [
        [strategy, f"{np.median(rates):,.0f}", f"{rates.min():,.0f} to {rates.max():,.0f}"]
        for strategy, rates in results.loading.items()
    ]
    words = (
        f"Loading alone, without a model, of cells of this atlas from {results.loading_source}: medians, "
        "measured by make plan."
    )
    return [html.plain_table(header, rows), html.paragraph(words)]


def table_page(results):
    """The comparison as an HTML page whose table can be sorted and filtered."""
    header = ["Strategy", "Task", "Score", "Mean", "SD", "Seeds", "Rank", "Difference", "95% low",
              "95% high", "Rescaled", "Against the baseline", "Why not"]  # fmt: skip
    formats = {
        **dict.fromkeys(("mean", "sd"), "{:.4f}".format),
        **dict.fromkeys(("n", "rank"), "{:.0f}".format),
        **dict.fromkeys(("difference", "low", "high"), lambda value: signed(value, 4)),
        "rescaled": "{:.4f}".format,
    }
    rows = []
    for row in results.every_score.to_dict("records"):
        names = [(row[key], row[key]) for key in ("strategy", "task")]
        cells = [
            ("", "") if row[column] != row[column] else (text(row[column]), float(row[column]))
            for column, text in formats.items()
        ]
        score = (METRIC_NAMES[row["metric"]], row["metric"])
        rows.append([*names, score, *cells, *((row[key], row[key]) for key in ("verdict", "reason"))])
    menus = [
        html.chooser("Strategy", 0, [(s, s) for s in (*results.strategies, *CHANCE)]),
        html.chooser("Task", 1, [(t, t) for t in results.tasks]),
        html.chooser("Score", 2, [(m, METRIC_NAMES[m]) for m in METRICS], "macro_f1"),
    ]
    return html.page("Comparison", *menus, html.sortable_table(header, rows), script=html.SORT)


def classes_page(results):
    """Precision, recall and F1 of every class as an HTML page whose table can be sorted and filtered."""
    header = ["Class", "Task", "Strategy", "Test cells", "Precision", "Recall", "F1"]
    rows = [
        [
            *((row[key], row[key]) for key in ("class", "task", "strategy")),
            (f"{row['cells']:,}", row["cells"]),
            *((f"{row[key]:.4f}", row[key]) for key in COLUMNS[-3:]),
        ]
        for row in results.classes.to_dict("records")
    ]
    menus = [
        html.chooser("Task", 1, [(t, t) for t in results.tasks], results.tasks[0]),
        html.chooser("Strategy", 2, [(s, s) for s in results.strategies], results.baseline),
    ]
    return html.page("Classes", *menus, html.sortable_table(header, rows), script=html.SORT)


def settings_page(results, settings):
    """Configuration (a dict), software versions and runtimes as an HTML page."""
    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=100)
    software = [
        ["Python", platform.python_version()],
        ["cellshuffle", cellshuffle.__version__],
        *([package, _installed_version(package)] for package in PACKAGES),
    ]
    jobs = results.history.groupby(["strategy", "seed"], sort=False)
    test_seconds = jobs["test_seconds"].sum()
    rows = [
        [strategy, seed, duration(last["train_seconds"]),
         duration(test_seconds[strategy, seed]), f"{last['peak_memory_mib']:,.0f} MiB"]
        for (strategy, seed), last in jobs.last().iterrows()
    ]  # fmt: skip
    return html.page(
        "Settings",
        html.heading("Configuration"),
        html.preformatted(text),
        html.heading("Software"),
        html.plain_table(["Package", "Version"], software),
        html.heading("Trainings"),
        html.plain_table(["Strategy", "Seed", "Training", "Testing", "Peak memory"], rows),
    )


def _installed_version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed here"
