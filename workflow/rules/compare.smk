# From the scores of every training to the tables.


# One tidy table of all scores.
rule gather:
    input:
        of_every_training("metrics.json"),
    output:
        f"{RUN}/metrics.csv",
    log:
        f"{RUN}/logs/gather.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    script:
        "../scripts/gather.py"


# Mean and spread over seeds, differences from the baseline strategy with intervals, the same in words.
rule compare:
    input:
        metrics=f"{RUN}/metrics.csv",
        predictions=of_every_training("predictions.npz"),
    output:
        table=f"{RUN}/comparison.csv",
        text=f"{RUN}/comparison.md",
    log:
        f"{RUN}/logs/compare.log",
    benchmark:
        f"{RUN}/benchmarks/compare.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        version=__version__,
        config=REPORT_CONFIG,
    script:
        "../scripts/compare.py"
