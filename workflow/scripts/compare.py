"""metrics.csv, predictions and history of every training in; comparison.csv, .md and classes.csv out.

Of the linear model beside one with hidden layers, comparison.csv alone.
"""

import json

from cellshuffle.analysis.chance import chance_rows, with_chance
from cellshuffle.analysis.classes import class_scores
from cellshuffle.analysis.comparison import (
    COMPARISON_COLUMNS,
    METRICS_COLUMNS,
    baseline_of,
    compare,
    read_table,
)
from cellshuffle.analysis.convergence import last_rises, read_history
from cellshuffle.files import write_csv, write_text
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.markdown import comparison_markdown
from cellshuffle.report.tuning import read_tuning


def main(snakemake):
    config = json.loads(snakemake.params.config)
    baseline = baseline_of(config)
    table = compare(
        read_table(snakemake.input.metrics, METRICS_COLUMNS),
        snakemake.input.predictions,
        baseline,
        config["compare"]["bootstrap"],
    )
    if not snakemake.output.get("text"):  # of the linear model, beside the run's own
        return write_csv(snakemake.output.table, table)
    inputs, tasks = snakemake.input, list(config["tasks"])
    counts = read_table(inputs.counts, ("task", "class", "cells"))
    chance = chance_rows(counts, inputs.predictions[0])
    write_csv(snakemake.output.table, with_chance(table, chance))
    write_csv(snakemake.output.classes, class_scores(inputs.predictions))
    rises = last_rises(read_history(inputs.history, tasks), tasks)
    linear = read_table(*inputs.linear, COMPARISON_COLUMNS) if inputs.linear else None
    seen = read_table(*inputs.seen, METRICS_COLUMNS) if inputs.seen else None
    tuning = read_tuning(inputs.tuning, inputs.tuned)
    text = comparison_markdown(table, config, baseline, rises, linear, chance, tuning, seen)
    write_text(snakemake.output.text, text)


run_rule(main, snakemake)  # noqa: F821
