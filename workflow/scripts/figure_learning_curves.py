"""Every training's history in; score and loss against cells seen and time out."""

from cellshuffle.console import run_rule
from cellshuffle.figures.learning_curves import draw
from cellshuffle.figures.read import histories
from cellshuffle.figures.style import save


def main(snakemake):
    save(draw(histories(snakemake.input), snakemake.params.config), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
