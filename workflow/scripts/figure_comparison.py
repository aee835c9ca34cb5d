"""metrics.csv, comparison.csv and, when asked for, published numbers in; the comparison figure out."""

import pandas as pd
from cellshuffle.analysis.comparison import read_table
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.comparison import draw
from cellshuffle.report.figures.style import save


def main(snakemake):
    published = snakemake.input.get("published")
    figure = draw(
        read_table(snakemake.input.metrics),
        read_table(snakemake.input.comparison),
        snakemake.params.config,
        pd.read_csv(published[0], comment="#") if published else None,
    )
    save(figure, snakemake.output)


run_rule(main, snakemake)  # noqa: F821
