"""Time and peak memory at 1, 10 and 95 million cells, and of training jobs on more and more cells.

`python benchmarks/scale.py [--quick]`: labels, weights and an epoch's indices, every stage in a
process of its own; training jobs on 20,000 and 200,000 cells. Writes results/bench/scale.*.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import atlas as bench
import measure

SIZES = [1_000_000, 10_000_000, 95_000_000]
TRAINED = [20_000, 200_000]  # cells of the training jobs
INDEX_BYTES = {"streaming": 8, "random_sampling": 24, "true_weighted": 40}  # a cell: see loading.py
# Samplers beside the six strategies, as their loaders have them.
OTHERS = {
    "class_balanced": {"sampler": "ClassBalancedSampling", "task": "drug", "block_size": 4},
    "shuffle_buffer": {"sampler": "ShuffleBuffer", "buffer_size": 1000},
    "large_buffer": {"sampler": "ShuffleBuffer", "buffer_size": 1_000_000, "shuffle_plates": True},
    "py1s": {"sampler": "ShardShuffle", "algorithm": "py1s", "shard_size": 30_000},
    "py1br": {"sampler": "ShardShuffle", "algorithm": "py1br", "shard_size": 30_000},
    "py1e": {"sampler": "ShardShuffle", "algorithm": "py1e", "shard_size": 30_000},
    "preshuffled": {"sampler": "PreShuffled", "chunk_size": 32},
}
STAGES = Path(__file__).with_name("scale_stages.py")


def main(quick):
    data = bench.make_atlas(bench.NARROW)
    sizes = SIZES[:2] if quick else SIZES
    rows, bars = [], []
    for n_cells in sizes:
        rows += index_rows(data, n_cells)
    slowest = slowest_strategy(rows, sizes[-1])
    memory = max(row["peak MiB"] for row in rows) / 1024
    what = f"labels, weights, indices of the slowest strategy at {sizes[-1]:,} cells"
    bars.append(measure.ceiling(f"{what}: seconds", slowest, 60))
    bars.append(measure.ceiling(f"{what}: peak GiB", memory, 6))
    trained = training_rows(data)
    rows += trained
    for name, index_bytes in INDEX_BYTES.items():
        few, many = (row["peak MiB"] for row in trained if row["what"].endswith(name))
        index_mib = index_bytes * (TRAINED[1] - TRAINED[0]) / 2**20
        what = f"peak memory, {name}, training on {TRAINED[1]:,} / {TRAINED[0]:,} cells"
        bars.append(measure.ceiling(what, many / few, 1.05 + index_mib / few))
    measure.write_tables("scale", rows, bars)
    figure(rows, sizes)


def index_rows(data, n_cells):
    """Rows of labels, weights and every strategy's indices for `n_cells` cells."""
    folder = bench.DATA / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    alone("plates", folder, n_cells)
    rows = [row("labels", n_cells, alone("labels", folder, n_cells))]
    rows.append(row("weights", n_cells, alone("weights", folder, n_cells)))
    for name, entry in (data.strategies | OTHERS).items():
        found = alone("indices", folder, n_cells, json.dumps(entry))
        rows.append(row(f"indices, {name}", n_cells, found))
    shutil.rmtree(folder)
    return rows


def row(what, n_cells, found):
    """A row of the table; (seconds, MiB at the peak, MiB before any cell was touched)."""
    seconds, peak, base = found
    print(f"  {n_cells:,} cells, {what}: {seconds:.2f} s, {peak:,.0f} MiB", flush=True)
    per_cell = (peak - base) * 2**20 / n_cells
    return {
        "what": what,
        "cells": n_cells,
        "seconds": round(seconds, 3),
        "peak MiB": round(peak, 1),
        "bytes a cell": round(per_cell, 1),
    }


def slowest_strategy(rows, n_cells):
    """Seconds of labels, weights and the slowest strategy's indices."""
    seconds = {row["what"]: row["seconds"] for row in rows if row["cells"] == n_cells}
    indices = max(value for what, value in seconds.items() if what.startswith("indices"))
    return seconds["labels"] + seconds["weights"] + indices


def alone(stage, *arguments):
    """Run a stage in a process of its own: (seconds, peak MiB, MiB at the start)."""
    command = [sys.executable, STAGES, stage, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def training_rows(data):
    """Rows of the training jobs."""
    plate = make_large_plate(data, TRAINED[-1])
    rows = []
    for name in INDEX_BYTES:
        for n_cells in TRAINED:
            found = alone("train", plate, n_cells, json.dumps(data.strategies[name]))
            rows.append(row(f"training job, one epoch, {name}", n_cells, found))
    shutil.rmtree(plate.parent)
    return rows


def make_large_plate(data, n_cells):
    """A packed plate of `n_cells` cells: the training plates of `data` again and again."""
    import h5py
    import numpy as np
    from cellshuffle.atlas.plates import Plates
    from cellshuffle.packing.format import lay_out

    plates = Plates(data.train)
    rows = plates[np.arange(len(plates))]
    times = -(-n_cells // len(plates))
    lengths = np.tile(np.diff(rows.indptr), times)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    path = data.folder / "large" / "plate.h5ad"
    path.parent.mkdir(exist_ok=True)
    offsets = lay_out(path, indptr, (rows.data.dtype, rows.indices.dtype), plates.n_genes)
    for part, offset in zip((rows.data, rows.indices), offsets, strict=True):
        with open(path, "r+b") as file:
            file.seek(offset)
            for _ in range(times):
                file.write(part.tobytes())
    with h5py.File(data.train[0]) as source, h5py.File(path, "r+") as target:
        source.copy("var", target)
    return path


def figure(rows, sizes):
    """Seconds over cells, a line a stage."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels, axes = plt.subplots(1, 2, figsize=(9, 4))
    for what in dict.fromkeys(row["what"] for row in rows if row["cells"] in sizes):
        chosen = [row for row in rows if row["what"] == what]
        cells = [row["cells"] for row in chosen]
        for panel, column in zip(axes, ("seconds", "peak MiB"), strict=True):
            panel.plot(cells, [row[column] for row in chosen], "o-", label=what)
            panel.set(xscale="log", yscale="log", xlabel="cells", ylabel=column)
    axes[0].legend(fontsize=6)
    panels.suptitle("Labels, weights and an epoch's indices")
    panels.tight_layout()
    for suffix in ("svg", "png"):
        panels.savefig(measure.RESULTS / f"scale.{suffix}", dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without 95 million cells")
    main(parser.parse_args().quick)
