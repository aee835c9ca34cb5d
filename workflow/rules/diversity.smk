# How mixed the minibatches of every strategy are.


# What a strategy's minibatches hold in the first epoch, from the order of cells and their labels.
rule diversity:
    input:
        unpack(weights_of),
        unpack(plates_of_columns),
        classes="<run>/labels/classes.json",
        labels="<run>/labels/train.npy",
        plates="<run>/labels/plates.csv",
    output:
        entropy="<run>/diversity/{strategy}/entropy.csv",
        plates="<run>/diversity/{strategy}/plates.csv",
        draws="<run>/diversity/{strategy}/draws.csv",
    log:
        "<run>/logs/diversity/{strategy}.log",
    benchmark:
        "<run>/benchmarks/diversity/{strategy}.tsv"
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
