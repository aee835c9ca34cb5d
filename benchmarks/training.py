"""How fast does the whole training loop go, and what stands in its way?

`python benchmarks/training.py [--quick]`: cells/s of an epoch against four dense linear heads with
plain Adam over the reference path, at 2,000 and 62,710 genes; the share of time spent waiting for
data; as the limit, the bare products and the bytes of the optimiser. Writes results/bench/training.*.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import atlas as bench
import measure
import numpy as np
import reference
import torch
from cellshuffle.atlas.plates import Plates
from cellshuffle.loading.minibatches import epoch_batches
from cellshuffle.loading.samplers import is_sequential, sampler_of
from cellshuffle.training import model
from cellshuffle.training.counts import SparseCounts
from cellshuffle.training.loop import Trainer
from cellshuffle.training.settings import PREFETCH, Execution, Recipe

STRATEGIES = ["streaming", "random_sampling"]
ADAM_BYTES = 7 * 4  # a parameter: weight, gradient, two moments read; weight, two moments written


def own(data, strategy, n_cells=None, device="cpu", copies=1):
    """History row of an epoch of `n_cells` training cells (None: all) from copies of the packed plates."""
    entry = data.strategies[strategy]
    labels, weights = np.tile(data.labels("train"), (copies, 1)), np.tile(data.weights(), copies)
    plates = Plates(data.train * copies, n_cells, random=not is_sequential(entry))
    test = Plates(data.test, 1024)
    recipe = Recipe(strategy, entry, 0, 1, **reference.LOADING, learning_rate=1e-4, device=device)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            (plates, labels[:n_cells]),
            (test, data.labels("test")[:1024]),
            data.classes,
            sampler_of(entry, weights[:n_cells]),
            recipe,
            Execution(threads=os.cpu_count(), prefetch=PREFETCH),
            Path(folder) / "checkpoint.pt",
            "benchmark",
        )
        return trainer.train().state.history[0]


def published(data, strategy, seconds):
    """Cells/s of dense heads and plain Adam over the reference path."""
    torch.set_num_threads(os.cpu_count())
    entry, classes = data.strategies[strategy], data.classes
    encoders = reference.lookups(data)
    collection = reference.collection(data.originals)
    epoch = reference.batches(collection, entry, data.weights(), encoders)
    heads = reference.DenseHeads(len(collection.var_names), classes)
    adam = torch.optim.Adam(heads.parameters(), lr=1e-4)
    return measure.rate(reference.train_steps(heads, adam, epoch), seconds)


def median_seconds(run, repeats=15):
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def step_seconds(data):
    """{part of a step: seconds}, each alone and in warm memory."""
    torch.set_num_threads(os.cpu_count())
    heads = model.heads_of(data.classes)
    plates = Plates(data.train, random=True)
    sampler = sampler_of(data.strategies["random_sampling"])
    batch = next(epoch_batches(plates, sampler, **reference.LOADING))
    counts = SparseCounts(batch.rows, "none", plates.n_genes)
    weight, bias = model.initial_parameters(plates.n_genes, heads, 0)[0]
    weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
    adam = torch.optim.Adam([weight, bias], lr=1e-4, fused=True)
    above = torch.randn(reference.BATCH, weight.shape[1])
    source = torch.empty(weight.numel() * ADAM_BYTES // 8)
    target = torch.empty_like(source)
    with torch.no_grad():
        return {
            "product": median_seconds(lambda: counts.times(weight)),
            "gradient": median_seconds(lambda: counts.write_gradient(above, weight.grad, counts)),
            "optimiser": median_seconds(adam.step),
            "optimiser's bytes, copied": median_seconds(lambda: target.copy_(source)),
            "genes expressed in the batch": len(counts.expressed),
        }


def bench_genes(genes, quick):
    """Rows of the table and {label: median cells/s} for one number of genes."""
    data = bench.make_atlas(genes)
    n_cells = (2048 if genes == bench.WIDE else 20_480) // (4 if quick else 1)
    names = STRATEGIES[1:2] if quick else STRATEGIES
    runs, rows, waits = {}, [], {}

    def record(strategy):
        history = own(data, strategy, n_cells)
        waits.setdefault(strategy, []).append(history["wait_seconds"] / history["epoch_seconds"])
        return history["cells_per_second"]

    for strategy in names:
        runs["cellshuffle", strategy] = partial(record, strategy)
        runs["dense heads, reference path", strategy] = partial(published, data, strategy, 6)
    values = measure.interleaved(runs, 1 if quick else 3)
    median = {key: statistics.median(rates) for key, rates in values.items()}
    for (loop, strategy), rates in values.items():
        wait = statistics.median(waits[strategy]) if loop == "cellshuffle" else float("nan")
        row = {"genes": genes, "loop": loop} | measure.median_row(strategy, rates, "cells/s")
        rows.append(row | {"share waiting for data": round(wait, 3)})
    parts = step_seconds(data)
    bare = parts["product"] + parts["gradient"]
    for name, seconds in (
        ("limit: products and optimiser step", bare + parts["optimiser"]),
        ("limit: products and optimiser's bytes", bare + parts["optimiser's bytes, copied"]),
    ):
        values = [reference.BATCH / seconds]
        row = {"genes": genes, "loop": name} | measure.median_row("any", values, "cells/s")
        rows.append(row | {"share waiting for data": 0.0})
    for name, value in parts.items():
        unit = "genes" if name.startswith("genes") else "ms"
        row = {"genes": genes, "loop": f"one step alone: {name}"}
        row |= measure.median_row("any", [value if unit == "genes" else 1e3 * value], unit)
        rows.append(row | {"share waiting for data": float("nan")})
    return rows, median


def main(quick):
    warnings.filterwarnings("ignore")
    rows, bars, groups = [], [], {}
    for genes in (bench.NARROW, bench.WIDE):
        found, median = bench_genes(genes, quick)
        rows += found
        for (loop, strategy), value in median.items():
            groups.setdefault(loop, {})[f"{strategy}, {genes:,} genes"] = value
        least = {bench.WIDE: 5, bench.NARROW: 1}[genes]
        for strategy in (name for loop, name in median if loop == "cellshuffle"):
            ratio = median["cellshuffle", strategy] / median["dense heads, reference path", strategy]
            what = f"training loop, {strategy}, {genes:,} genes / dense heads, reference path"
            bars.append(measure.bar(what, ratio, least))
        for row in found:
            if row["loop"].startswith("limit"):
                groups.setdefault(row["loop"], {})[f"random_sampling, {genes:,} genes"] = row["median"]
    measure.write_tables("training", rows, bars)
    measure.draw_bars("training", groups, "cells per second", "Training, batches of 64")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    np.seterr(all="ignore")
    main(parser.parse_args().quick)
