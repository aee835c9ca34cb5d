"""Every training's predictions in; the confusion matrices of one task out."""

from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.confusion import draw
from cellshuffle.report.figures.read import confusion
from cellshuffle.report.figures.style import save


def main(snakemake):
    task = snakemake.wildcards.task
    counts, names = confusion(snakemake.input, task)
    save(draw(counts, names, task, snakemake.params.config), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
