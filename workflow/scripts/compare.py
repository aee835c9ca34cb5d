"""metrics.csv, predictions and history of every training in; comparison.csv, .md and classes.csv out.

Of the linear model beside one with hidden layers, comparison.csv alone.
"""

import json

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


def main(snakemake):
    config = json.loads(snakemake.params.config)
    baseline = baseline_of(config)
    table = compare(
        read_table(snakemake.input.metrics, METRICS_COLUMNS),
        snakemake.input.predictions,
        baseline,
        config["compare"]["bootstrap"],
    )
    write_csv(snakemake.output.table, table)
    if not snakemake.output.get("text"):  # of the linear model, beside the run's own
        return
    linear = [read_table(path, COMPARISON_COLUMNS) for path in snakemake.input.linear]
    write_csv(snakemake.output.classes, class_scores(snakemake.input.predictions))
    tasks = list(config["tasks"])
    rises = last_rises(read_history(snakemake.input.history, tasks), tasks)
    write_text(snakemake.output.text, comparison_markdown(table, config, baseline, rises, *linear))


run_rule(main, snakemake)  # noqa: F821
