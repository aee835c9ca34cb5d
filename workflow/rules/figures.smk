# The figures, drawn from CSV and NPZ files of the run, and the report's pages.

# {figure: (module of cellshuffle.report.figures, category and title in the report)}; a job draws all figures of a
# kind, since most of its time goes into starting.
FIGURES_OF_TABLES = {
    "comparison": ("comparison", "scores", "Macro F1 of every strategy and task"),
    "differences": ("differences", "scores", "Differences from the baseline, with intervals"),
    "learning_curves": ("learning_curves", "scores", "Learning curves"),
    "cost": ("cost", "cost", "Cost of every strategy"),
    "tradeoff": ("tradeoff", "cost", "Score against throughput"),
    "why": ("why", "why", "Why the order matters"),
    "weights": ("weights", "why", "Weights and draws"),
    "class_f1": ("class_f1", "errors", "F1 of every class"),
}
if ORDERED:
    FIGURES_OF_TABLES["order"] = ("order", "why", "Measures of order against the score")
if config["sweep"]:
    FIGURES_OF_TABLES["sweep"] = ("sweep", "cost", "Sweep of block size and fetch factor")
if config["tune"]:
    FIGURES_OF_TABLES["tuning"] = ("tuning", "scores", "Macro F1 against the learning rate")
CONFUSIONS = {f"confusion_{task}": ("confusion", "errors", f"Confusions of {task}") for task in TASKS}
FIGURES = figure_paths({**FIGURES_OF_TABLES, **CONFUSIONS})


# Scores, differences, learning curves, cost, what the minibatches hold, weights, classes.
rule draw_figures:
    input:
        **TUNING,
        metrics="<run>/metrics.csv",
        comparison="<run>/comparison.csv",
        published=PUBLISHED,
        history=of_every_training("history.csv"),
        plates=of_every_strategy("plates.csv"),
        entropy=of_every_strategy("entropy.csv"),
        draws=of_every_strategy("draws.csv"),
        order=of_every_strategy("order.csv") if ORDERED else [],
        combinations="<run>/weights/combinations.csv",
        classes="<run>/classes.csv",
        loading=LOADING if config["sweep"] else [],
        rewrite=REWRITTEN,
    output:
        **figure_outputs(FIGURES_OF_TABLES),
    log:
        "<run>/logs/draw_figures.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        fingerprint=fingerprint_of("draw_figures"),
        figures=FIGURES_OF_TABLES,
        config=report_config,
    script:
        "../scripts/draw_figures.py"


# What the classes of every task are taken for, a matrix a strategy: from the predictions of all test cells.
use rule draw_figures as draw_confusions with:
    input:
        predictions=of_every_training("predictions.npz"),
    output:
        **figure_outputs(CONFUSIONS),
    log:
        "<run>/logs/draw_confusions.log",
    resources:
        **(TINY | {"mem_mb": cells_mem_mb}),
    params:
        fingerprint=fingerprint_of("draw_confusions"),
        figures=CONFUSIONS,
        config=report_config,


# The answers in sentences, the comparison as a sortable table, and the settings: pages of the report.
rule summary:
    input:
        **TUNING,
        metrics="<run>/metrics.csv",
        comparison="<run>/comparison.csv",
        history=of_every_training("history.csv"),
        scores=of_every_training("metrics.json")[:1],
        classes="<run>/classes.csv",
        checked=CHECKED,
        linear=LINEAR,
        loading=LOADING,
        rewrite=REWRITTEN,
        seen=SEEN,
        tuning_figure=["<run>/figures/tuning.svg"] if config["tune"] else [],
        comparison_figure="<run>/figures/comparison.svg",
        differences_figure="<run>/figures/differences.svg",
        tradeoff_figure="<run>/figures/tradeoff.svg",
        why_figure="<run>/figures/why.svg",
        order_figure="<run>/figures/order.svg" if ORDERED else [],
        order=of_every_strategy("order.csv") if ORDERED else [],
        plates=of_every_strategy("plates.csv"),
        entropy=of_every_strategy("entropy.csv"),
    output:
        answers="<run>/summary/answers.html",
        table=in_report("<run>/summary/table.html", "table", "answers", "The comparison, as a sortable table"),
        classes=in_report(
            "<run>/summary/classes.html", "classes", "errors", "Every class, as a sortable table"
        ),
        settings=in_report(
            "<run>/summary/settings.html",
            "settings",
            "answers",
            "Configuration, software versions, runtimes",
        ),
    log:
        "<run>/logs/summary.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        fingerprint=fingerprint_of("summary"),
        settings=whole_config,
        config=report_config,
    script:
        "../scripts/summary.py"
