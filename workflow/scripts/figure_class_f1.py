"""Every training's predictions in; sorted F1 of the classes, per task, out."""

from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.class_f1 import draw
from cellshuffle.report.figures.read import confusion
from cellshuffle.report.figures.style import save


def main(snakemake):
    config = snakemake.params.config
    counts = {task: confusion(snakemake.input, task)[0] for task in config["tasks"]}
    save(draw(counts, config), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
