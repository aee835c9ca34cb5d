"""Every training's history and comparison.csv in; throughput, time, waiting and memory out."""

from cellshuffle.analysis.comparison import read_table
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.cost import draw
from cellshuffle.report.figures.read import headline_task, histories
from cellshuffle.report.figures.style import save


def main(snakemake):
    config = snakemake.params.config
    comparison = read_table(snakemake.input.comparison)
    history = histories(snakemake.input.history)
    save(draw(history, comparison, config, headline_task(comparison, config)), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
