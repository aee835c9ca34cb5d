# From the scores of every training to the tables.

# What tables and figures need to know of the configuration, and no more: they are not made again when,
# say, the number of threads changes.
KNOWN = {key: config[key] for key in ("strategies", "tasks", "compare", "figures")} | {
    "atlas": {
        "train_plates": ATLAS["train_plates"],
        "test_plates": PLATES["test"],
        "split": bool(ATLAS["split"]),
    },
    "weights": config["weights"] | {"balance": balanced_labels()},
    "training": {
        key: config["training"][key] for key in ("seeds", "epochs", "batch_size", "fetch_factor")
    },
}


def of_every_training(file):
    """A file of every training, by strategy and seed in the config's order."""
    return expand(f"{RUN}/train/{{strategy}}/seed{{seed}}/{file}", strategy=STRATEGIES, seed=SEEDS)


def of_every_strategy(file):
    """A table of what every strategy's minibatches hold, in the config's order."""
    return expand(f"{RUN}/diversity/{{strategy}}/{file}", strategy=STRATEGIES)


def order_settings(wildcards):
    """What decides the order of cells, besides the strategy's own keys."""
    training, entry = config["training"], config["strategies"][wildcards.strategy]
    own = {key: entry.get(key, training[key]) for key in ("batch_size", "fetch_factor")}
    return own | {"seed": SEEDS[0], "balance": balanced_labels()}


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
    params:
        config=KNOWN,
    script:
        "../scripts/compare.py"


# What a strategy's minibatches hold in the first epoch, from the order of cells and their labels.
rule diversity:
    input:
        unpack(weights_of),
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
        mem_mb=cells_mem_mb,
        runtime=cells_runtime,
    params:
        entry=strategy_entry,
        settings=order_settings,
    script:
        "../scripts/diversity.py"
