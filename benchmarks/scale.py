"""Time and peak memory at 1, 10 and 95 million cells, and of training jobs on more and more cells.

`python benchmarks/scale.py [--quick]`: labels, weights and an epoch's indices, every stage in a
process of its own; training jobs on 20,000 and 200,000 cells. Writes results/bench/scale.*.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import atlas as bench
import measure

SIZES = [1_000_000, 10_000_000, 95_000_000]
TRAINED = [20_000, 200_000]  # cells of the training jobs
INDEX_BYTES = {"streaming": 8, "random_sampling": 24, "true_weighted": 40}  # a cell: see loading.py
N_PLATES = 14


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
    for name, entry in data.strategies.items():
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
    """Run a stage of this file in a process of its own: (seconds, peak MiB, MiB at the start)."""
    command = [sys.executable, __file__, "--stage", stage, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def timed(run):
    """Call `run` and print what `alone` reads."""
    from cellshuffle.checkpoint import peak_memory_mib

    base, began = peak_memory_mib(), time.perf_counter()
    run()
    print(json.dumps([time.perf_counter() - began, peak_memory_mib(), base]))


def make_plates(folder, n_cells):
    """Plates with an obs and no counts; stored as packed plates are. Lines and drugs of Tahoe-100M."""
    import h5py
    import numpy as np

    generator = np.random.default_rng(0)
    n_plate = -(-n_cells // N_PLATES)
    (folder / "drugs.csv").write_text(
        "drug,moa-broad,moa-fine\n"
        + "".join(f"drug {k},broad {k % 4},fine {k % 27}\n" for k in range(380))
    )
    for plate in range(1, N_PLATES + 1):
        with h5py.File(folder / f"plate{plate}.h5ad", "w") as file:
            obs = file.create_group("obs")
            obs.attrs["_index"] = "_index"
            size = min(n_plate, n_cells - n_plate * (plate - 1))
            for column, n_values, kind in (("cell_line", 50, np.int8), ("drug", 380, np.int16)):
                group = obs.create_group(column)
                codes = generator.integers(0, n_values, size).astype(kind)
                group.create_dataset("codes", data=codes)
                names = [f"{column.split('_')[0]} {k}" for k in range(n_values)]
                group.create_dataset("categories", data=names)


def script(name, snakemake):
    """The main function of a rule's script."""
    from cellshuffle import console

    console.run_rule = lambda main, _: main(snakemake)
    text = (bench.LIBRARY / f"{name}.py").read_text()
    exec(compile(text, name, "exec"), {"snakemake": snakemake})


def labels_of(folder):
    """What rule encode_labels is given: all plates for training, the last for the test too."""
    paths = [str(folder / f"plate{plate}.h5ad") for plate in range(1, N_PLATES + 1)]
    table = {"table": str(folder / "drugs.csv"), "key": "drug"}
    tasks = {"cell_line": {"column": "cell_line"}, "drug": {"column": "drug"}}
    for task, value in (("moa_broad", "moa-broad"), ("moa_fine", "moa-fine")):
        tasks[task] = {"column": "drug", "lookup": table | {"value": value}}
    outputs = {name: folder / f"{name}.npy" for name in ("train", "test")}
    return SimpleNamespace(
        input=Named(train=paths, test=paths[-1:]),
        output=Named(
            outputs | {"classes": folder / "classes.json", "plates": folder / "plates.csv"}
        ),
        params=Named(
            tasks=tasks,
            plates={"train": [*range(1, N_PLATES + 1)], "test": [N_PLATES]},
            max_cells={"train": None, "test": None},
            origins=[],
        ),
    )


def weights_of(folder):
    """What rule weigh_cells is given."""
    return SimpleNamespace(
        input=Named(classes=folder / "classes.json", labels=folder / "train.npy", train=[]),
        output=Named(combinations=folder / "combinations.csv", cells=folder / "weights.npy"),
        params=Named(balance=["cell_line", "drug"], baseline=1000),
    )


class Named(dict):
    """Named inputs, outputs or parameters of a rule, as attributes and as items."""

    __getattr__ = dict.__getitem__


def draw_indices(folder, n_cells, entry):
    """One epoch's indices, from the weights on disk on."""
    from cellshuffle.files import load_npy
    from cellshuffle.strategies import is_weighted, make_sampler

    weights = load_npy(folder / "weights.npy") if is_weighted(entry) else None
    sampler = make_sampler(entry, weights)
    assert len(sampler.get_indices(range(n_cells), seed=0)) == n_cells


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
    from cellshuffle.packing import lay_out
    from cellshuffle.plates import Plates

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


def train(plate, n_cells, entry):
    """An epoch over the first `n_cells` cells, with the library's own loop."""
    import tempfile

    import numpy as np
    from cellshuffle import training
    from cellshuffle.plates import Plates
    from cellshuffle.strategies import is_sequential, make_sampler
    from training import Silent

    classes = {"cell_line": [f"line {k}" for k in range(50)]}
    labels = np.load(plate.parent / f"labels{n_cells}.npy", mmap_mode="r")
    split = Plates([plate], n_cells, random=not is_sequential(entry)), labels
    settings = training.Settings("benchmark", 0, 1, 64, 16, 1e-4, device="cpu")
    sampler = make_sampler(entry, 1.0 / (1 + np.arange(n_cells) % 7))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        test = Plates([plate], 1024), labels[:1024]
        training.train(split, test, classes, sampler, settings, checkpoint, "bench", Silent)


def run_stage(stage, *arguments):
    folder = Path(arguments[0])
    if stage == "plates":
        timed(lambda: make_plates(folder, int(arguments[1])))
    elif stage == "labels":
        timed(lambda: script("encode_labels", labels_of(folder)))
    elif stage == "weights":
        timed(lambda: script("weigh_cells", weights_of(folder)))
    elif stage == "indices":
        timed(lambda: draw_indices(folder, int(arguments[1]), json.loads(arguments[2])))
    elif stage == "train":
        import numpy as np

        n_cells = int(arguments[1])
        codes = (np.arange(n_cells, dtype=np.uint16) % 50)[:, None]
        np.save(folder.parent / f"labels{n_cells}.npy", codes)
        timed(lambda: train(folder, n_cells, json.loads(arguments[2])))


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
    parser.add_argument("--stage", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if chosen.stage:
        run_stage(*chosen.stage)
    else:
        main(chosen.quick)
