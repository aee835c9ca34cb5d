"""Configuration and plates (or published sizes) in; what the run will cost on this machine, printed."""

import tempfile
from pathlib import Path

from cellshuffle.files import write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.planning.disk import disk_limits, limited
from cellshuffle.planning.plan import lines, plan
from cellshuffle.planning.survey import survey
from cellshuffle.training.launch import wait_passively
from cellshuffle.training.settings import Execution


def main(snakemake):
    wait_passively()
    from cellshuffle.planning.calibration import calibrate

    params, config = snakemake.params, snakemake.params.config
    world_size = config["training"]["world_size"]
    execution = Execution.from_config(config).limited_to(params.threads, world_size)
    training = config["training"] | {"prefetch": execution.prefetch}
    atlas = survey(params.request, config["atlas"]["simulate"])
    with tempfile.TemporaryDirectory(prefix="cellshuffle-plan-") as folder:
        rates = calibrate(atlas, config["strategies"], training, Path(folder), params.linear)
    if config["atlas"]["pack"]:
        plates = params.request["plates"]
        rates["disk"] = disk_limits(atlas, config["strategies"], plates, params.packed)
        rates["measured"] = limited(rates["measured"], rates["disk"])
    memory, packed, config = params.memory_mb, params.packed, config | {"training": training}
    costs = plan(atlas, rates, config, memory, packed, params.cores, params.threads)
    write_rows(params.writes[0], rates["measured"])
    print("\n".join(lines(atlas, costs, config, rates)))


run_rule(main, snakemake)  # noqa: F821
