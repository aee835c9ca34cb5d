"""Sizes of a simulated atlas and the numbers of its plates in; all of them as Parquet files out."""

import shutil
from pathlib import Path

from cellshuffle.console import say
from cellshuffle.files import stop_if_orphan
from cellshuffle.jobs.locks import alone_with
from cellshuffle.jobs.run import run_rule
from cellshuffle.simulation.parquet import simulate_parquet


def main(snakemake):
    folder, metadata = Path(snakemake.output.cells), Path(snakemake.output.tables[0]).parent
    partial = folder.with_name(f".partial-{folder.name}")
    with alone_with(folder):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            simulate_parquet(partial, metadata, snakemake.params.plates, **snakemake.params.sizes)
            stop_if_orphan(folder)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    n_plates = len(snakemake.params.plates)
    say(f"{n_plates} plates of {snakemake.params.sizes['cells_per_plate']:,} cells simulated into {folder}")


run_rule(main, snakemake)  # noqa: F821
