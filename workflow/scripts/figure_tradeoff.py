"""Every training's history and comparison.csv in; score against throughput out."""

from cellshuffle.analysis.comparison import read_table
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.read import histories
from cellshuffle.report.figures.style import save
from cellshuffle.report.figures.tradeoff import draw


def main(snakemake):
    comparison = read_table(snakemake.input.comparison)
    save(
        draw(histories(snakemake.input.history), comparison, snakemake.params.config),
        snakemake.output,
    )


run_rule(main, snakemake)  # noqa: F821
