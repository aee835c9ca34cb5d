"""Every training's history in; score and loss against cells seen and time out."""

from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.learning_curves import draw
from cellshuffle.report.figures.read import histories
from cellshuffle.report.figures.style import save


def main(snakemake):
    save(draw(histories(snakemake.input), snakemake.params.config), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
