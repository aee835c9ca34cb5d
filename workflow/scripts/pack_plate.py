"""A plate as it was published in; the same plate as an uncompressed, contiguous h5ad out."""

from cellshuffle.atlas.h5ad import member
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.selection import select_cells
from cellshuffle.atlas.tables import n_rows
from cellshuffle.console import progress, say
from cellshuffle.jobs.locks import alone_with
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.lookup import with_tables
from cellshuffle.packing.origin import origin
from cellshuffle.packing.pack import pack_plate


def main(snakemake):
    source, target = snakemake.input.plate[0], snakemake.output[0]
    made_from = snakemake.params.made_from
    made_from = made_from | {"select": with_tables(made_from["select"])}
    layer = made_from["layer"]
    select = select_cells(source, layer, **made_from["select"])
    with open_plate(source) as file:
        n_cells = n_rows(member(file, "obs")) if select.rows is None else len(select.rows)
    bar = progress(n_cells, "cells", f"packing plate {snakemake.params.plate}")
    with alone_with(target):
        pack_plate(source, target, layer, select, snakemake.threads, bar.update, origin(**made_from))
    bar.close()
    say(f"plate {snakemake.params.plate}: {n_cells:,} cells packed into {target}")
    if select.aligned:
        say(f"plate {snakemake.params.plate}: {select.aligned}")


run_rule(main, snakemake)  # noqa: F821
