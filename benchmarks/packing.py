"""How fast is a plate packed, against the speed at which h5py decodes it?

`python benchmarks/packing.py [--quick]`: a plate of 20,000 cells, 62,710 genes. The limit
is reading its matrix with h5py and doing nothing with it. Writes results/bench/packing.*.
"""

import argparse
import os
import statistics
import time

import atlas as bench
import h5py
import measure
from cellshuffle.packing.pack import BLOCK, pack_plate
from cellshuffle.simulation.counts import simulate_plate


def packed_rate(source, target, n_cells, workers):
    """Cells/s of packing."""
    began = time.perf_counter()
    pack_plate(source, target, workers=workers)
    seconds = time.perf_counter() - began
    target.unlink()
    return n_cells / seconds


def decoded_rate(source, n_cells):
    """Cells/s of h5py reading the counts and gene indices, block by block."""
    began = time.perf_counter()
    with h5py.File(source) as file:
        for name in ("X/data", "X/indices"):
            for low in range(0, file[name].size, BLOCK):
                file[name][low : low + BLOCK]
    return n_cells / (time.perf_counter() - began)


def main(quick):
    n_cells = 5_000 if quick else 20_000
    source = bench.DATA / f"plate_of_{n_cells}.h5ad"
    target = source.with_suffix(".packed")
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        simulate_plate(source, 2, n_cells, bench.WIDE, 50, 380, seed=0)
    values = measure.interleaved(
        {
            "packing, 1 thread": lambda: packed_rate(source, target, n_cells, 1),
            f"packing, {os.cpu_count()} threads": lambda: packed_rate(
                source, target, n_cells, os.cpu_count()
            ),
            "limit: h5py decodes the matrix": lambda: decoded_rate(source, n_cells),
        },
        1 if quick else 3,
    )
    limit = statistics.median(values["limit: h5py decodes the matrix"])
    rows = [
        measure.median_row(name, rates, "cells/s", share_of_limit=statistics.median(rates) / limit)
        for name, rates in values.items()
    ]
    measure.write_tables("packing", rows, [])
    groups = {"cells per second": {row["what"]: row["median"] for row in rows}}
    measure.draw_bars("packing", groups, "cells per second", "Packing a plate of 62,710 genes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    main(parser.parse_args().quick)
