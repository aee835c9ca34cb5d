"""Every training's predictions in; sorted F1 of the classes, per task, out."""

from cellshuffle.console import run_rule
from cellshuffle.figures.class_f1 import draw
from cellshuffle.figures.read import confusion
from cellshuffle.figures.style import save


def main(snakemake):
    config = snakemake.params.config
    counts = {task: confusion(snakemake.input, task)[0] for task in config["tasks"]}
    save(draw(counts, config), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
