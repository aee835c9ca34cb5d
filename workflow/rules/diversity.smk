# How mixed the minibatches of every strategy are.


# What every strategy's minibatches hold in the first epoch, from the order of cells and their labels.
rule diversity:
    input:
        unpack(plates_of_columns),
        orders=lambda wildcards: order_files(STRATEGIES),
        classes="<run>/labels/classes.json",
        labels="<run>/labels/train.npy",
        plates="<run>/labels/plates.csv",
        weights=(
            [f"{RUN}/weights/cells.npy"]
            if any(map(samplers.is_weighted, config["strategies"].values()))
            else []
        ),
    output:
        entropy=of_every_strategy("entropy.csv"),
        plates=of_every_strategy("plates.csv"),
        draws=of_every_strategy("draws.csv"),
        order=of_every_strategy("order.csv"),
    log:
        "<run>/logs/diversity.log",
    benchmark:
        "<run>/benchmarks/diversity.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **(CELLS | {"runtime": diversity_runtime}),
    params:
        fingerprint=fingerprint_of("diversity"),
        strategies=order_settings(),
        orders=this_run.order_stamps(STRATEGIES),
        seed=SEEDS[0],
        balance=this_run.balanced_labels,
        where=this_run.where if this_run.balanced_columns else None,
        held_out=this_run.held_out,
    script:
        "../scripts/diversity.py"
