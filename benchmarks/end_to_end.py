"""How long does the table of six strategies take, from plates as published?

`python benchmarks/end_to_end.py [--cells-per-plate 5000] [--repeats 1]`: the pipeline (packing to tables)
against the same six trainings and tests through the reference path, at 62,710 genes.
Writes results/bench/end_to_end.*.
"""

import argparse
import os
import shutil
import time
import warnings

import atlas as bench
import measure
import reference
import torch

FINAL = ["results/bench/comparison.csv", "results/bench/comparison.md"]


def pipeline(data):
    """Seconds of the whole pipeline in a folder of its own, starting from the original plates."""
    folder = bench.DATA / "end_to_end"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "plates").symlink_to(data.folder / "plates")
    config = bench.bench_config(bench.WIDE)
    config["atlas"]["simulate"] = None
    config["training"]["threads"] = 1  # a job a core
    began = time.perf_counter()
    bench.snakemake(folder, config, *FINAL)
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds


def published(data):
    """Seconds of the same trainings, tests included, through the reference path on all cores."""
    torch.set_num_threads(os.cpu_count())
    began = time.perf_counter()
    encoders = reference.lookups(data)
    train, test = reference.collection(data.originals), reference.collection(data.original_test)
    weights = data.weights()
    for entry in data.strategies.values():
        torch.manual_seed(0)
        heads = reference.DenseHeads(len(train.var_names), data.classes)
        adam = torch.optim.Adam(heads.parameters(), lr=1e-4)
        epoch = reference.batches(train, entry, weights, encoders)
        seen = sum(reference.train_steps(heads, adam, epoch))
        assert seen == len(weights)
        reference.predict(heads, reference.batches(test, data.strategies["streaming"], None, encoders))
    return time.perf_counter() - began


def main(cells_per_plate, repeats):
    warnings.filterwarnings("ignore")
    data = bench.make_atlas(bench.WIDE, cells_per_plate)
    values = measure.interleaved(
        {
            "cellshuffle, packing included": lambda: pipeline(data),
            "reference path": lambda: published(data),
        },
        repeats,
    )
    n_cells = len(data.weights())
    rows = [
        measure.median_row(f"{name}, {n_cells:,} training cells", seconds, "seconds")
        for name, seconds in values.items()
    ]
    ratio = rows[1]["median"] / rows[0]["median"]
    bars = [measure.bar("six strategies end to end: reference / cellshuffle", ratio, 5)]
    measure.write_tables("end_to_end", rows, bars)
    groups = {"seconds": {row["what"]: row["median"] for row in rows}}
    measure.draw_bars("end_to_end", groups, "seconds", "Six strategies, from published plates")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells-per-plate", type=int, default=bench.CELLS_PER_PLATE)
    parser.add_argument("--repeats", type=int, default=1)
    chosen = parser.parse_args()
    main(chosen.cells_per_plate, chosen.repeats)
