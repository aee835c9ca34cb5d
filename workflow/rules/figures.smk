# The figures, each drawn by a rule of its own from CSV and NPZ files of the run, and the report's pages.


# Macro F1 by strategy and task: every seed, mean and spread. The module cellshuffle.report.figures.<name> draws
# the figure of a rule figure_<name>; the rules below inherit from this one what they do not set.
rule figure_comparison:
    input:
        metrics="<run>/metrics.csv",
        comparison="<run>/comparison.csv",
        published=PUBLISHED,
    output:
        **figure("comparison", "scores", "Macro F1 of every strategy and task"),
    log:
        "<run>/logs/figure_comparison.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=REPORT_CONFIG,
    script:
        "../scripts/figure.py"


# Differences from the baseline strategy, with their intervals.
use rule figure_comparison as figure_differences with:
    input:
        comparison="<run>/comparison.csv",
    output:
        **figure("differences", "scores", "Differences from the baseline, with intervals"),
    log:
        "<run>/logs/figure_differences.log",


# Score and loss against cells seen and against training time.
use rule figure_comparison as figure_learning_curves with:
    input:
        history=of_every_training("history.csv"),
    output:
        **figure("learning_curves", "scores", "Learning curves"),
    log:
        "<run>/logs/figure_learning_curves.log",


# Throughput, time to a score, waiting for data, memory.
use rule figure_comparison as figure_cost with:
    input:
        history=of_every_training("history.csv"),
        comparison="<run>/comparison.csv",
    output:
        **figure("cost", "cost", "Cost of every strategy"),
    log:
        "<run>/logs/figure_cost.log",


# Score against throughput.
use rule figure_cost as figure_tradeoff with:
    output:
        **figure("tradeoff", "cost", "Score against throughput"),
    log:
        "<run>/logs/figure_tradeoff.log",


# The order of plates over an epoch and how mixed the minibatches are.
use rule figure_comparison as figure_why with:
    input:
        plates=of_every_strategy("plates.csv"),
        entropy=of_every_strategy("entropy.csv"),
        combinations="<run>/weights/combinations.csv",
        comparison="<run>/comparison.csv",
    output:
        **figure("why", "why", "Why the order matters"),
    log:
        "<run>/logs/figure_why.log",


# Sampling weights, and how often rare and common combinations are drawn.
use rule figure_comparison as figure_weights with:
    input:
        draws=of_every_strategy("draws.csv"),
        combinations="<run>/weights/combinations.csv",
    output:
        **figure("weights", "why", "Weights and draws"),
    log:
        "<run>/logs/figure_weights.log",


# F1 of every class.
use rule figure_comparison as figure_class_f1 with:
    input:
        classes="<run>/classes.csv",
    output:
        **figure("class_f1", "errors", "F1 of every class"),
    log:
        "<run>/logs/figure_class_f1.log",


# What the classes of one task are taken for, a matrix per strategy.
use rule figure_comparison as figure_confusion with:
    input:
        predictions=of_every_training("predictions.npz"),
    output:
        **figure("confusion_{task}", "errors", "Confusions of {task}", "confusion"),
    log:
        "<run>/logs/figure_confusion_{task}.log",
    resources:
        **(TINY | {"mem_mb": cells_mem_mb}),


if config["sweep"]:

    # Heat maps over block size and fetch factor: throughput, diversity, score.
    use rule figure_comparison as figure_sweep with:
        input:
            history=of_every_training("history.csv"),
            entropy=of_every_strategy("entropy.csv"),
            comparison="<run>/comparison.csv",
        output:
            **figure("sweep", "cost", "Sweep of block size and fetch factor"),
        log:
            "<run>/logs/figure_sweep.log",


# The answers in sentences, the comparison as a sortable table, and the settings: pages of the report.
rule summary:
    input:
        metrics="<run>/metrics.csv",
        comparison="<run>/comparison.csv",
        history=of_every_training("history.csv"),
        scores=of_every_training("metrics.json")[:1],
        classes="<run>/classes.csv",
        checked=CHECKED,
        comparison_figure="<run>/figures/comparison.svg",
        differences_figure="<run>/figures/differences.svg",
        tradeoff_figure="<run>/figures/tradeoff.svg",
        why_figure="<run>/figures/why.svg",
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
        settings=config,  # not `snakemake.config`: in a module that is another workflow's
        config=REPORT_CONFIG,
    script:
        "../scripts/summary.py"
