"""metrics.json of every training in; metrics.csv, one tidy table, out."""

from cellshuffle.comparison import gather
from cellshuffle.console import run_rule
from cellshuffle.files import write_csv


def main(snakemake):
    write_csv(snakemake.output[0], gather(snakemake.input))


run_rule(main, snakemake)  # noqa: F821
