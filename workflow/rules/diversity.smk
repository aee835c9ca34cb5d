# How mixed the minibatches of every strategy are.


# What a strategy's minibatches hold in the first epoch, from the order of cells and their labels.
rule diversity:
    input:
        unpack(weights_of),
        unpack(plates_of_columns),
        classes=f"{RUN}/labels/classes.json",
        labels=f"{RUN}/labels/train.npy",
        plates=f"{RUN}/labels/plates.csv",
    output:
        entropy=f"{RUN}/diversity/{{strategy}}/entropy.csv",
        plates=f"{RUN}/diversity/{{strategy}}/plates.csv",
        draws=f"{RUN}/diversity/{{strategy}}/draws.csv",
    log:
        f"{RUN}/logs/diversity/{{strategy}}.log",
    benchmark:
        f"{RUN}/benchmarks/diversity/{{strategy}}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        version=__version__,
        entry=strategy_entry,
        settings=order_settings,
    script:
        "../scripts/diversity.py"
