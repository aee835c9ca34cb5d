"""Sizes of a simulated atlas in; the table of its drugs and their mechanisms as CSV out."""

from cellshuffle.files import write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.simulation.design import drug_metadata


def main(snakemake):
    sizes = snakemake.params.sizes
    write_rows(snakemake.output[0], drug_metadata(sizes["drugs"], sizes["seed"]))


run_rule(main, snakemake)  # noqa: F821
