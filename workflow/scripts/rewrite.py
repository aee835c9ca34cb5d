"""Train plates in; what writing them once more in a shuffled order costs, measured, out."""

from pathlib import Path

from cellshuffle.atlas.obs import where_of
from cellshuffle.atlas.plates import Plates
from cellshuffle.console import say
from cellshuffle.files import write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.packing.rewriting import measure_rewriting


def main(snakemake):
    paths, params = list(snakemake.input.train), snakemake.params
    where = where_of(paths, params.where)
    plates = Plates(paths, params.max_cells, layer=params.layer, random=True, where=where)
    cells = sampler_of(params.strategy).written(len(plates))
    found = measure_rewriting(plates, cells, Path(snakemake.output[0]).parent)
    write_rows(snakemake.output[0], [found])
    say(
        f"{found['measured_cells']:,} of {found['cells']:,} cells written in shuffled order in "
        f"{found['measured_seconds']:.1f} s; all of them at that rate: {found['seconds']:.0f} s"
    )


run_rule(main, snakemake)  # noqa: F821
