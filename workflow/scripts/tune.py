"""Scores and predictions at all learning rates in; tuning.csv, and at the best tuned.csv, out."""

import json
from pathlib import Path

from cellshuffle.analysis.comparison import baseline_of
from cellshuffle.analysis.tuning import best_rates, tuned_comparison, tuning_scores, tuning_task
from cellshuffle.console import say
from cellshuffle.files import write_csv
from cellshuffle.jobs.run import run_rule


def main(snakemake):
    config = json.loads(snakemake.params.config)
    tuned = {s: dict(pairs) for s, pairs in snakemake.params.tuned.items()}
    scores = tuning_scores(snakemake.input.metrics, tuned, snakemake.params.recipes)
    task = config["figures"]["task"] or tuning_task(scores)
    rates = best_rates(scores, task)
    replicates = config["compare"]["bootstrap"]
    table = tuned_comparison(
        scores, rates, snakemake.input.predictions, tuned, baseline_of(config), replicates
    )
    write_csv(snakemake.output.scores, scores)
    write_csv(snakemake.output.table, table.assign(chosen_by=task))
    for metrics in snakemake.input.metrics:
        Path(metrics).with_name("checkpoint.pt").unlink(missing_ok=True)
    say("; ".join(f"{strategy} at {rate:g}" for strategy, rate in rates.items()))


run_rule(main, snakemake)  # noqa: F821
