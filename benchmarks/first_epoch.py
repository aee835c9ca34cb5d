"""How fast is a first epoch in random order, whose packed plate no memory holds yet?

`python benchmarks/first_epoch.py [--quick]`: 120,000 cells, 62,710 genes. Cell by cell, or read in sequence
before, as trainings do (that time is counted); limit: the plate in memory. As root, since it empties the page
cache. Writes results/bench/first_epoch.*.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import measure
import packing
from cellshuffle import Loader, Plates, sampler
from cellshuffle.atlas.page_cache import into_memory
from cellshuffle.packing.pack import pack_plate


def epoch_rate(path, cold, in_sequence):
    """Cells/s of an epoch, from the opening of the plate on."""
    if cold:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
    began = time.perf_counter()
    plates = Plates([path], random=True, obs=["drug"], read_depth=0)
    if in_sequence:
        into_memory(plates)
    for _ in Loader(plates, sampler("BlockShuffling", block_size=1), form="csr"):
        pass
    return len(plates) / (time.perf_counter() - began)


def main(quick):
    n_cells = 10_000 if quick else 120_000
    path = packing.bench.DATA / "packed.h5ad"
    pack_plate(packing.make("h5ad", n_cells), path)
    contenders = {
        "first epoch, cell by cell": lambda: epoch_rate(path, True, False),
        "first epoch, read in sequence before": lambda: epoch_rate(path, True, True),
        "limit: an epoch from memory": lambda: epoch_rate(path, False, False),
    }
    values = measure.interleaved(contenders, 1 if quick else 5)
    path.unlink()
    one, other, _ = (statistics.median(rates) for rates in values.values())
    rows = [measure.median_row(name, rates, "cells/s") for name, rates in values.items()]
    bars = [measure.bar("read in sequence before / cell by cell", other / one, 1)]
    measure.write_tables("first_epoch", rows, bars)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    main(parser.parse_args().quick)
