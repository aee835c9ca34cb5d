"""Sizes of a simulated atlas in; the table of its drugs and their mechanisms as CSV out."""

from cellshuffle.files import write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.simulation.design import drug_table


def main(snakemake):
    write_rows(snakemake.output[0], drug_table(snakemake.params.sizes))


run_rule(main, snakemake)  # noqa: F821
