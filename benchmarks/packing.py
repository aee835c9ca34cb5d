"""How fast is a plate packed, from each form in which it comes, against the bare decoding of the same bytes?

`python benchmarks/packing.py [--quick] [--cells 120000]`: a plate of 62,710 genes. The limit of a form is
reading its matrix with its own library (h5py, zarr, pyarrow) and doing nothing with it. Peak memory is
measured at two sizes, each in a process of its own. Writes results/bench/packing.*.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import nullcontext
from pathlib import Path

import anndata
import atlas as bench
import h5py
import measure
import numpy as np
import zarr
from cellshuffle import pack
from cellshuffle.atlas.zarr_store import ZARRS
from cellshuffle.packing.pack import BLOCK, pack_plate
from cellshuffle.packing.writing import ArrayWriter
from cellshuffle.simulation.counts import simulate_plate
from cellshuffle.simulation.parquet import simulate_parquet
from pyarrow import parquet

SIZES = {"genes": bench.WIDE, "cell_lines": 50, "drugs": 380, "seed": 0}
LEAST = 0.5  # of the bare decoding
MEMORY = "import sys; from cellshuffle.packing.pack import pack_plate; pack_plate(*sys.argv[1:]); "
MEMORY += "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"  # of this program alone


def make(form, n_cells):
    """The path of a plate in a form, written where it is not there yet."""
    endings = {"h5ad": ".h5ad", "Parquet": "_parquet/data", "zarr 2": "_2.zarr", "zarr 3": "_3.zarr"}
    path = bench.DATA / f"plate_of_{n_cells}{endings.get(form, '_sharded.zarr')}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "h5ad":
        simulate_plate(path, 2, n_cells, **SIZES)
    elif form == "Parquet":
        simulate_parquet(path, path.parent / "metadata", [2], n_cells, **SIZES)
    else:
        settings = {"zarr_write_format": 2 if form == "zarr 2" else 3}
        settings["auto_shard_zarr_v3"] = form == "zarr 3, sharded"
        with warnings.catch_warnings(), anndata.settings.override(**settings):
            warnings.simplefilter("ignore")
            anndata.read_h5ad(make("h5ad", n_cells)).write_zarr(path)
    return path


def packed_rate(source, n_cells, workers, clock=time.perf_counter):
    """Cells/s of packing; clock: time.process_time for seconds of processor time."""
    target = bench.DATA / "packed.h5ad"
    began = clock()
    pack_plate(source, target, workers=workers)
    seconds = clock() - began
    target.unlink()
    return n_cells / seconds


def folder_rate(source, n_cells, jobs):
    """Cells/s of packing two plates into a folder, `jobs` at a time."""
    with tempfile.TemporaryDirectory(dir=bench.DATA) as folder:
        plates = [Path(folder) / f"{number}.h5ad" for number in range(2)]
        for plate in plates:
            os.link(source, plate)
        began = time.perf_counter()
        pack(plates, Path(folder) / "packed", jobs=jobs)
        return 2 * n_cells / (time.perf_counter() - began)


def decoded_rate(form, source, n_cells, clock=time.perf_counter):
    """Cells/s of the form's own library reading counts and genes, block by block, as it comes."""
    began = clock()
    if form == "Parquet":
        for path in sorted(source.glob("*.parquet")):
            file = parquet.ParquetFile(path)
            for number in range(file.num_row_groups):
                file.read_row_group(number, ["genes", "expressions"], use_threads=False)
    else:
        opened = h5py.File(source) if form == "h5ad" else zarr.open_group(source, mode="r")
        for name in ("X/data", "X/indices"):
            for low in range(0, opened[name].size, BLOCK):
                opened[name][low : low + BLOCK]
    return n_cells / (clock() - began)


def decoded_by_zarrs(*arguments):
    """`decoded_rate` of a zarr store by the decoder that packing uses."""
    with zarr.config.set({"codec_pipeline.path": ZARRS}):
        return decoded_rate(*arguments)


def written_rate(n_cells, n_bytes, past, clock=time.perf_counter):
    """Cells/s of writing as many bytes as a packed plate has, and nothing else; past: the page cache."""
    target, block = bench.DATA / "written", np.zeros(BLOCK, np.uint8)
    began = clock()
    with open(target, "wb", buffering=0) as file:
        with ArrayWriter(target, 0) if past else nullcontext(file) as writer:
            for low in range(0, n_bytes, BLOCK):
                writer.write(block[: n_bytes - low])
        os.fsync(file.fileno())
    seconds = clock() - began
    target.unlink()
    return n_cells / seconds


def packed_bytes(source):
    """Bytes of a plate once it is packed."""
    target = bench.DATA / "packed.h5ad"
    pack_plate(source, target)
    n_bytes = target.stat().st_size
    target.unlink()
    return n_bytes


def peak_memory(source):
    """MiB of a process that packs a plate."""
    target = bench.DATA / "packed.h5ad"
    environment = os.environ | {"PYTHONPATH": str(bench.LIBRARY)}
    command = [sys.executable, "-c", MEMORY, source, target]
    done = subprocess.run(
        list(map(str, command)), env=environment, check=True, capture_output=True, text=True
    )
    target.unlink()
    return int(done.stdout) / 1024


def main(quick, processor_time, n_cells):
    forms = ["h5ad", "Parquet", "zarr 2", "zarr 3", "zarr 3, sharded"]
    clock = time.process_time if processor_time else time.perf_counter
    sources = {form: make(form, n_cells) for form in forms}
    contenders = {
        f"h5ad: packing, {os.cpu_count()} threads": lambda: packed_rate(
            sources["h5ad"], n_cells, os.cpu_count(), clock
        )
    }
    for jobs in () if processor_time else (1, 2):  # of whose processes the time is not counted here
        contenders[f"h5ad: two plates, {jobs} at a time"] = lambda jobs=jobs: folder_rate(
            sources["h5ad"], n_cells, jobs
        )
    for form, source in sources.items():
        contenders[f"{form}: packing"] = lambda source=source: packed_rate(source, n_cells, 1, clock)
        contenders[f"{form}: limit"] = lambda form=form, source=source: decoded_rate(
            form, source, n_cells, clock
        )
        if form.startswith("zarr"):
            contenders[f"{form}: decoding by zarrs"] = lambda form=form, source=source: decoded_by_zarrs(
                form, source, n_cells, clock
            )
    n_bytes = packed_bytes(sources["h5ad"])
    for way, past in (("through", False), ("past", True)):
        contenders[f"h5ad: writing alone, {way} the page cache"] = lambda past=past: written_rate(
            n_cells, n_bytes, past, clock
        )
    values = measure.interleaved(contenders, 1 if quick else 5)
    medians = {name: statistics.median(rates) for name, rates in values.items()}
    rows = [
        measure.median_row(
            name, rates, "cells/s", share_of_limit=medians[name] / medians[f"{name.split(':')[0]}: limit"]
        )
        for name, rates in values.items()
    ]
    bars = [
        measure.bar(
            f"packing {form} / its bare decoding",
            medians[f"{form}: packing"] / medians[f"{form}: limit"],
            LEAST,
        )
        for form in forms
    ]
    if not processor_time:
        one, two = (medians[f"h5ad: two plates, {jobs} at a time"] for jobs in (1, 2))
        bars.append(measure.bar("two plates, 2 at a time / 1 at a time", two / one, 1))
    for form in forms:
        few, many = (
            statistics.median(peak_memory(make(form, n)) for _ in range(3)) for n in (n_cells // 2, n_cells)
        )
        print(
            f"  memory, {form}: {few:.0f} MiB at {n_cells // 2:,} cells, {many:.0f} at {n_cells:,}",
            flush=True,
        )
        what = f"memory of packing {form}, {n_cells:,} / {n_cells // 2:,} cells"
        bars.append(measure.ceiling(what, many / few, 1.2))
    measure.write_tables("packing", rows, bars)
    groups = {"cells per second": {row["what"]: row["median"] for row in rows}}
    measure.draw_bars("packing", groups, "cells per second", "Packing a plate of 62,710 genes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine: rates by it")
    parser.add_argument("--cells", type=int, default=120_000)
    arguments = parser.parse_args()
    main(arguments.quick, arguments.processor_time, 10_000 if arguments.quick else arguments.cells)
