# Every strategy at its own learning rate: `tune`.


def rates_of_all():
    """The names of the trainings at every rate, by strategy and rate."""
    return [name for rates in this_run.tuned.values() for name in rates.values()]


def of_every_rate(file):
    """A file of every training at every rate, by strategy, rate and seed."""
    return expand(f"<run>/train/{{strategy}}/seed{{seed}}/{file}", strategy=rates_of_all(), seed=SEEDS)


# Choose the rates by the validation cells, and compare the strategies at them on the test cells.
rule tune:
    input:
        metrics=of_every_rate("metrics.json"),
        predictions=of_every_rate("predictions.npz"),
    output:
        scores="<run>/tuning.csv",
        table="<run>/tuned.csv",
    log:
        "<run>/logs/tune.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        fingerprint=fingerprint_of("tune"),
        # Cached results are taken as they are.
        recipes=[] if cached_config else [recipe.fingerprint() for recipe in recipes(rates_of_all())],
        tuned={name: list(rates.items()) for name, rates in this_run.tuned.items()},
        config=report_config,
    script:
        "../scripts/tune.py"
