"""On a GPU: cells/s of training at batch 64 and 62,710 genes, and the share of the card's limit.

`python benchmarks/gpu.py [--quick]`. The limit of a step is the dense products and the optimiser's
bytes, each alone. With or without a GPU: how many cells/s
the host can prepare and launch steps for, with batches prepared by a process and by a thread; the
arithmetic is that of ten genes and eight classes, next to nothing. Writes results/bench/gpu.*.
"""

import argparse
import math
import os
import statistics
import sys
from operator import truediv as divide

import atlas as bench
import measure
import numpy as np
import reference
import torch
import training
from cellshuffle.atlas.plates import Plates, Rows
from cellshuffle.loading import loader
from cellshuffle.loading.forms import on_device
from cellshuffle.loading.minibatches import epoch_batches
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.training import batches as batches_of_training
from cellshuffle.training import model
from cellshuffle.training.batches import LABELS, training_loader
from cellshuffle.training.counts import DenseCounts
from cellshuffle.training.loop import take_step
from cellshuffle.training.settings import Recipe
from cellshuffle.training.state import new_state

STRATEGIES = ["streaming", "random_sampling", "block_weighted", "true_weighted"]
PUBLISHED_CAP, REQUIRED = 4_600, 100_000  # cells/s
HOST_CELLS = 100_000
TIMED = 20  # calls between two looks at the device's clock
PREFETCH = 32
COPIES = 20  # of the train plates: an epoch of 500,000 cells, so that its start does not count


def milliseconds(run, repeats=50):
    """Median time of `run` on the device, by its own clock."""
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(TIMED):  # so that the device, not the launching, is timed
            run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / TIMED)
    return statistics.median(times)


def step_limits(data):
    """{part: milliseconds of it alone} for one batch of random cells."""
    device = torch.device("cuda")
    heads = model.heads_of(data.classes)
    plates = Plates(data.train, random=True)
    sampler = sampler_of(data.strategies["random_sampling"])
    batch = next(epoch_batches(plates, sampler, **reference.LOADING))
    weight = model.padded(model.initial_parameters(plates.n_genes, heads, 0)[0][0]).to(device)
    weight.grad = torch.zeros_like(weight)
    adam = torch.optim.Adam([weight], lr=1e-4, fused=True)
    dense = torch.rand(reference.BATCH, plates.n_genes, device=device)
    above = torch.rand(reference.BATCH, weight.shape[1], device=device)
    source = torch.empty(weight.numel() * training.ADAM_BYTES // 8, device=device)
    target = torch.empty_like(source)
    sparse = torch.empty(len(batch.rows.data) * 4, dtype=torch.uint8).pin_memory()
    return {
        "products": milliseconds(lambda: (dense @ weight, torch.mm(dense.T, above, out=weight.grad))),
        "optimiser": milliseconds(adam.step),
        "optimiser's bytes, copied": milliseconds(lambda: target.copy_(source)),
        "batch, copied to the device": milliseconds(lambda: sparse.to(device, non_blocking=True)),
    }


def host_rate(data, apart):
    """Cells/s of an epoch of weighted draws, all steps of which are launched but take no time."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plates = Plates(data.train, random=True)
    entry = data.strategies["true_weighted"] | {"total_size": HOST_CELLS}
    sampler = sampler_of(entry, data.weights())
    recipe = Recipe("host", entry, 0, 1, **reference.LOADING, learning_rate=1e-4)
    tasks = model.heads_of({task: range(2) for task in data.classes})
    indptr = np.arange(0, 10 * reference.BATCH + 1, 10)
    few = Rows(np.ones(indptr[-1], np.uint16), np.arange(indptr[-1], dtype=np.uint16) % 10, indptr)
    few, codes = (
        DenseCounts(few, "none", 10),
        torch.zeros(reference.BATCH, len(tasks)).long().to(device),
    )
    state = new_state(10, tasks, recipe)
    criterion = model.FusedLosses(tasks, len(state.bias), device)
    # Also without a GPU, prepared as for one.
    batches_of_training.counts_type = lambda device: DenseCounts
    loader.is_gpu = lambda device: apart
    batches = training_loader(
        plates, data.labels("train"), sampler, "none", device, **reference.LOADING, prefetch=PREFETCH
    )

    def steps():
        for batch in batches:
            for array in [*batch.X.arrays, batch.obs[LABELS]]:
                on_device(array, device)
            take_step(state, few, codes, criterion, len(codes), None)
            yield len(batch)

    with torch.no_grad():
        return measure.rate(steps(), math.inf)


def gpu_rows(data, quick):
    """(rows, bars, groups of bars) of the trainings on a GPU and of what bounds them."""
    runs = {
        name: lambda name=name: training.own(data, name, None, "cuda", COPIES)["cells_per_second"]
        for name in STRATEGIES
    }
    training.own(data, STRATEGIES[0], None, "cuda")  # the first use of a GPU sets it up
    values = measure.interleaved(runs, 1 if quick else 5)
    parts = step_limits(data)
    limit = reference.BATCH / (1e-3 * (parts["products"] + parts["optimiser's bytes, copied"]))
    rows, bars = [], []
    for name, rates in values.items():
        share = round(statistics.median(rates) / limit, 3)
        rows.append(measure.median_row(name, rates, "cells/s", share_of_limit=share))
        if name != "streaming":
            bars.append(measure.bar(f"{name}, cells/s", rows[-1]["median"], REQUIRED))
    for name, value in parts.items():
        row = measure.median_row(f"limit: {name}", [value], "ms", share_of_limit=float("nan"))
        rows.append(row)
    groups = {
        "training": {name: statistics.median(rates) for name, rates in values.items()},
        "limit of the card": {"random_sampling": limit},
        "published cap": {"random_sampling": PUBLISHED_CAP},
    }
    return rows, bars, groups


def main(quick):
    data = bench.make_atlas(bench.WIDE)
    values = measure.interleaved(
        {
            "host alone, a process prepares batches": lambda: host_rate(data, True),
            "host alone, a thread prepares batches": lambda: host_rate(data, False),
        },
        1 if quick else 7,
    )
    median = {name: statistics.median(rates) for name, rates in values.items()}
    rows = [
        measure.median_row(name, rates, "cells/s", share_of_limit=float("nan"))
        for name, rates in values.items()
    ]
    bars = [measure.bar("host alone, by process / by thread", divide(*median.values()), 1)]
    groups = {"host": median}
    if torch.cuda.is_available():
        more_rows, more_bars, more_groups = gpu_rows(data, quick)
        rows, bars, groups = rows + more_rows, bars + more_bars, groups | more_groups
    else:
        print("PyTorch finds no GPU here: only the host's side is measured")
    measure.write_tables("gpu", rows, bars)
    title = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    measure.draw_bars("gpu", groups, "cells per second", f"{title}, {os.cpu_count()} cores")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    sys.exit(main(parser.parse_args().quick))
