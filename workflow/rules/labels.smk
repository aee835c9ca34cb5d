# What every cell is, and how often it is to be drawn: once for all strategies and seeds.


# Encode every task of every cell, train and test.
rule encode_labels:
    input:
        CHECKED,
        train=plate_paths("train"),
        test=plate_paths("test"),
        tables=lambda wildcards: given(lookup_tables()),
    output:
        classes=f"{RUN}/labels/classes.json",
        train=f"{RUN}/labels/train.npy",
        test=f"{RUN}/labels/test.npy",
        plates=f"{RUN}/labels/plates.csv",
    log:
        f"{RUN}/logs/encode_labels.log",
    benchmark:
        f"{RUN}/benchmarks/encode_labels.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        version=__version__,
        tasks=config["tasks"],
        plates=PLATES,
        max_cells=MAX_CELLS,
        origins=lambda wildcards, input: packed_from(),
        stamps=lambda wildcards: [plates_read(), *map(stamp, lookup_tables())],
    script:
        "../scripts/encode_labels.py"


# Count label combinations over the train cells and weigh each cell by its own.
rule weigh_cells:
    input:
        classes=f"{RUN}/labels/classes.json",
        labels=f"{RUN}/labels/train.npy",
        train=plate_paths("train"),
    output:
        combinations=f"{RUN}/weights/combinations.csv",
        cells=f"{RUN}/weights/cells.npy",
    log:
        f"{RUN}/logs/weigh_cells.log",
    benchmark:
        f"{RUN}/benchmarks/weigh_cells.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        version=__version__,
        balance=balanced_labels(),
        stamps=lambda wildcards: plates_read() if plates_of_columns(wildcards) else None,
        baseline=config["weights"]["min_count_baseline"],
    script:
        "../scripts/weigh_cells.py"
