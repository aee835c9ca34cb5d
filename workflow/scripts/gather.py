"""metrics.json of every training in; metrics.csv, one tidy table, out. Their checkpoints go."""

from pathlib import Path

from cellshuffle.analysis.comparison import gather
from cellshuffle.files import write_csv
from cellshuffle.jobs.run import run_rule


def main(snakemake):
    recipes = snakemake.params.recipes
    write_csv(snakemake.output[0], gather(snakemake.input, recipes))
    if seen := snakemake.output.get("seen"):
        write_csv(seen, gather(snakemake.input, recipes, held_out="seen"))
    for metrics in snakemake.input:  # all trainings have ended, and Snakemake knows it
        Path(metrics).with_name("checkpoint.pt").unlink(missing_ok=True)


run_rule(main, snakemake)  # noqa: F821
