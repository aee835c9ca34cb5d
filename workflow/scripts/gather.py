"""metrics.json of every training in; metrics.csv, one tidy table, out. Their checkpoints go."""

from pathlib import Path

from cellshuffle.comparison import gather
from cellshuffle.console import run_rule
from cellshuffle.files import write_csv


def main(snakemake):
    write_csv(snakemake.output[0], gather(snakemake.input))
    for metrics in snakemake.input:  # all trainings have ended, and Snakemake knows it
        Path(metrics).with_name("checkpoint.pt").unlink(missing_ok=True)


run_rule(main, snakemake)  # noqa: F821
