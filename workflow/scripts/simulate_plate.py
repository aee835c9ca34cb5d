"""Sizes of a simulated atlas and the number of a plate in; that plate as h5ad out."""

from cellshuffle.console import say
from cellshuffle.errors import InputError
from cellshuffle.files import atomic_write
from cellshuffle.jobs.locks import alone_with
from cellshuffle.jobs.run import run_rule
from cellshuffle.simulation.counts import simulate_plate


def main(snakemake):
    plate = snakemake.wildcards.plate
    if not plate.isdecimal() or int(plate) < 1:
        raise InputError(f"plate {plate!r} cannot be simulated; simulated plates are 1, 2, 3, ...")
    with alone_with(snakemake.output[0]), atomic_write(snakemake.output[0]) as partial:
        simulate_plate(partial, int(plate), **snakemake.params.sizes)
    say(f"plate {plate}: {snakemake.params.sizes['cells_per_plate']:,} cells simulated")


run_rule(main, snakemake)  # noqa: F821
