# The classes of every cell, and how often it is drawn: once for all strategies and seeds.


# Encode every task of every cell, train and test.
rule encode_labels:
    input:
        "<run>/checked.json",
        train=plate_paths("train"),
        test=plate_paths("test"),
        tables=lambda wildcards: existing(this_run.tables),
    output:
        classes="<run>/labels/classes.json",
        train="<run>/labels/train.npy",
        test="<run>/labels/test.npy",
        plates="<run>/labels/plates.csv",
    log:
        "<run>/logs/encode_labels.log",
    benchmark:
        "<run>/benchmarks/encode_labels.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        fingerprint=fingerprint_of("encode_labels"),
        tasks=config["tasks"],
        plates=this_run.plates,
        max_cells=this_run.max_cells,
        where=this_run.where,
        # Since it takes `input`, Snakemake does not compare it: packed plates may outlive the published ones.
        origins=lambda wildcards, input: this_run.origins(),
        stamps=[this_run.cell_order(), *map(this_run.stamp, this_run.tables)],
    script:
        "../scripts/encode_labels.py"


# Count the combinations of labels in the train cells, and give each cell the weight of its own.
rule weigh_cells:
    input:
        classes="<run>/labels/classes.json",
        labels="<run>/labels/train.npy",
        plates="<run>/labels/plates.csv",
        train=plate_paths("train"),
    output:
        combinations="<run>/weights/combinations.csv",
        cells="<run>/weights/cells.npy",
        classes="<run>/weights/classes.csv",
    log:
        "<run>/logs/weigh_cells.log",
    benchmark:
        "<run>/benchmarks/weigh_cells.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        fingerprint=fingerprint_of("weigh_cells"),
        balance=this_run.balanced_labels,
        stamps=this_run.cell_order() if this_run.balanced_columns else None,
        where=this_run.where if this_run.balanced_columns else None,
        baseline=config["weights"]["min_count_baseline"],
        held_out=this_run.held_out,
    script:
        "../scripts/weigh_cells.py"
