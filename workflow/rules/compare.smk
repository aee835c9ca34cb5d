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
        mem_mb=tiny_mem_mb,
        runtime=tiny_runtime,
        disk_mb=tiny_disk_mb,
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
        mem_mb=cells_mem_mb,
        runtime=cells_runtime,
        disk_mb=cells_disk_mb,
    params:
        config=KNOWN,
    script:
        "../scripts/compare.py"


# Cached results hold what the minibatches held; it cannot and need not be computed from cells again.
if not CACHED:

    include: "diversity.smk"
