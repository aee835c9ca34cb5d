"""Configuration and plates (or published sizes) in; what the run will cost on this machine, printed."""

import tempfile
from pathlib import Path

from cellshuffle.jobs.run import run_rule
from cellshuffle.planning.plan import lines, plan
from cellshuffle.planning.survey import survey
from cellshuffle.training.launch import wait_passively


def main(snakemake):
    wait_passively()
    from cellshuffle.planning.calibration import calibrate

    config, packed = snakemake.params.config, Path(snakemake.params.packed)
    found = survey(snakemake.params.request, config["atlas"]["simulate"])
    with tempfile.TemporaryDirectory(prefix="cellshuffle-plan-") as folder:
        rates = calibrate(found, config["strategies"], config["training"], Path(folder))
    memory = snakemake.params.memory_mb
    costs = plan(
        found, rates, config, memory, packed, snakemake.params.cores, snakemake.params.threads
    )
    print("\n".join(lines(found, costs, config, rates)))


run_rule(main, snakemake)  # noqa: F821
