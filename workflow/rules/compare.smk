# From the scores of every training to the tables.


# One tidy table of all scores; another of those on cells held out from the train plates.
rule gather:
    input:
        of_every_training("metrics.json"),
    output:
        "<run>/metrics.csv",
        **({"seen": SEEN[0]} if SEEN else {}),
    log:
        "<run>/logs/gather.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **TINY,
    params:
        fingerprint=fingerprint_of("gather"),
        # Cached results are taken as they are.
        recipes=[] if cached_config else [recipe.fingerprint() for recipe in recipes(STRATEGIES)],
    script:
        "../scripts/gather.py"


# Mean and spread over seeds, differences from the baseline strategy with intervals, the same in words; every class.
rule compare:
    input:
        **TUNING,
        counts="<run>/weights/classes.csv",
        seen=SEEN,
        metrics="<run>/metrics.csv",
        predictions=of_every_training("predictions.npz"),
        history=of_every_training("history.csv"),
        linear=LINEAR,
    output:
        table="<run>/comparison.csv",
        text="<run>/comparison.md",
        classes="<run>/classes.csv",
    log:
        "<run>/logs/compare.log",
    benchmark:
        "<run>/benchmarks/compare.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        fingerprint=fingerprint_of("compare"),
        config=report_config,
    script:
        "../scripts/compare.py"


# The same tables of the linear model beside one with hidden layers.
if LINEAR and not cached_config:

    use rule gather as gather_linear with:
        input:
            of_every_training("metrics.json", "train_linear"),
        output:
            "<run>/linear/metrics.csv",
        log:
            "<run>/logs/gather_linear.log",
        params:
            fingerprint=fingerprint_of("gather"),
            recipes=[recipe.fingerprint() for recipe in recipes(STRATEGIES, hidden=[])],

    use rule compare as compare_linear with:
        input:
            metrics="<run>/linear/metrics.csv",
            predictions=of_every_training("predictions.npz", "train_linear"),
        output:
            table="<run>/linear/comparison.csv",
        log:
            "<run>/logs/compare_linear.log",
        benchmark:
            "<run>/benchmarks/compare_linear.tsv"
