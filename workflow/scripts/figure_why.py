"""Diversity tables, combinations and comparison.csv in; plates over an epoch and entropies out."""

from cellshuffle.analysis.comparison import read_table
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.read import headline_task, per_strategy, plate_strips
from cellshuffle.report.figures.style import save
from cellshuffle.report.figures.why import draw


def main(snakemake):
    config = snakemake.params.config
    comparison = read_table(snakemake.input.comparison)
    figure = draw(
        plate_strips(snakemake.input.strips, config),
        per_strategy(snakemake.input.entropies, config),
        read_table(snakemake.input.combinations),
        comparison,
        config,
        headline_task(comparison, config),
    )
    save(figure, snakemake.output)


run_rule(main, snakemake)  # noqa: F821
