# The figures, each drawn by its own rule from CSV and NPZ files of the run alone, and the report's pages.


# Macro F1 by strategy and task: every seed, mean and spread.
rule figure_comparison:
    input:
        metrics=f"{RUN}/metrics.csv",
        comparison=f"{RUN}/comparison.csv",
        published=PUBLISHED,
    output:
        **figure("comparison", "scores", "Macro F1 of every strategy and task"),
    log:
        f"{RUN}/logs/figure_comparison.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_comparison.py"


# Score and loss against cells seen and against training time.
rule figure_learning_curves:
    input:
        of_every_training("history.csv"),
    output:
        **figure("learning_curves", "scores", "Learning curves"),
    log:
        f"{RUN}/logs/figure_learning_curves.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_learning_curves.py"


# Throughput, time to a score, waiting for data, memory.
rule figure_cost:
    input:
        history=of_every_training("history.csv"),
        comparison=f"{RUN}/comparison.csv",
    output:
        **figure("cost", "cost", "Cost of every strategy"),
    log:
        f"{RUN}/logs/figure_cost.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_cost.py"


# Score against throughput.
rule figure_tradeoff:
    input:
        history=of_every_training("history.csv"),
        comparison=f"{RUN}/comparison.csv",
    output:
        **figure("tradeoff", "cost", "Score against throughput"),
    log:
        f"{RUN}/logs/figure_tradeoff.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_tradeoff.py"


# The order of plates over an epoch and how mixed the minibatches are.
rule figure_why:
    input:
        strips=of_every_strategy("plates.csv"),
        entropies=of_every_strategy("entropy.csv"),
        combinations=f"{RUN}/weights/combinations.csv",
        comparison=f"{RUN}/comparison.csv",
    output:
        **figure("why", "why", "Why the order matters"),
    log:
        f"{RUN}/logs/figure_why.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_why.py"


# Sampling weights, and how often rare and common combinations are drawn.
rule figure_weights:
    input:
        draws=of_every_strategy("draws.csv"),
        combinations=f"{RUN}/weights/combinations.csv",
    output:
        **figure("weights", "why", "Weights and draws"),
    log:
        f"{RUN}/logs/figure_weights.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_weights.py"


# F1 of every class, sorted.
rule figure_class_f1:
    input:
        of_every_training("predictions.npz"),
    output:
        **figure("class_f1", "errors", "F1 of every class"),
    log:
        f"{RUN}/logs/figure_class_f1.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=cells_mem_mb,
        runtime=tiny_runtime,
        disk_mb=tiny_disk_mb,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_class_f1.py"


# What the classes of one task are taken for, a matrix per strategy.
rule figure_confusion:
    input:
        of_every_training("predictions.npz"),
    output:
        **figure("confusion_{task}", "errors", "Confusions of {task}", "confusion"),
    log:
        f"{RUN}/logs/figure_confusion_{{task}}.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=cells_mem_mb,
        runtime=tiny_runtime,
        disk_mb=tiny_disk_mb,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_confusion.py"


# Heat maps over block size and fetch factor: throughput, diversity, score.
rule figure_sweep:
    input:
        history=of_every_training("history.csv"),
        entropies=of_every_strategy("entropy.csv"),
        comparison=f"{RUN}/comparison.csv",
    output:
        **figure("sweep", "cost", "Sweep of block size and fetch factor"),
    log:
        f"{RUN}/logs/figure_sweep.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        config=KNOWN,
    script:
        "../scripts/figure_sweep.py"


# The answers in sentences, the comparison as a sortable table, and the settings: pages of the report.
rule summary:
    input:
        metrics=f"{RUN}/metrics.csv",
        comparison=f"{RUN}/comparison.csv",
        history=of_every_training("history.csv"),
        scores=of_every_training("metrics.json")[:1],
        comparison_figure=f"{RUN}/figures/comparison.svg",
        tradeoff_figure=f"{RUN}/figures/tradeoff.svg",
        why_figure=f"{RUN}/figures/why.svg",
        strips=of_every_strategy("plates.csv"),
        entropies=of_every_strategy("entropy.csv"),
    output:
        answers=f"{RUN}/summary/answers.html",
        table=report(
            f"{RUN}/summary/table.html",
            caption="../report/table.rst",
            category=CATEGORIES["answers"],
            labels={"Figure": "The comparison, as a sortable table"},
        ),
        settings=report(
            f"{RUN}/summary/settings.html",
            caption="../report/settings.rst",
            category=CATEGORIES["answers"],
            labels={"Figure": "Configuration, software versions, runtimes"},
        ),
    log:
        f"{RUN}/logs/summary.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        settings=config,  # not `snakemake.config`: in a module that is another workflow's
        config=KNOWN,
    script:
        "../scripts/summary.py"
