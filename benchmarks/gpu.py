"""On a GPU: cells/s of training at batch 64 and 62,710 genes, and the share of the card's limit.

`python benchmarks/gpu.py [--quick]`. Without a GPU it says so and ends. The limit of a step is the
slowest of three things alone: the dense products, the optimiser's bytes, the copy of the batch.
Writes results/bench/gpu.*.
"""

import argparse
import os
import statistics
import sys

import atlas as bench
import measure
import reference
import torch
import training
from cellshuffle import model
from cellshuffle.loading import Loading, epoch_batches
from cellshuffle.plates import Plates
from cellshuffle.strategies import make_sampler

STRATEGIES = ["streaming", "random_sampling", "block_weighted", "true_weighted"]
PUBLISHED_CAP, REQUIRED = 4_600, 100_000  # cells/s


def milliseconds(run, repeats=50):
    """Median time of `run` on the device, by its own clock."""
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def step_limits(data):
    """{part: milliseconds of it alone} for one batch of random cells."""
    device = torch.device("cuda")
    heads = model.heads(data.classes)
    plates = Plates(data.train, random=True)
    loading = Loading(reference.BATCH, reference.FETCH, seed=0)
    sampler = make_sampler(data.strategies["random_sampling"])
    batch = next(epoch_batches(plates, data.labels("train"), sampler, loading, 0))
    weight = model.initial_parameters(plates.n_genes, heads, 0)[0].to(device)
    weight.grad = torch.zeros_like(weight)
    adam = torch.optim.Adam([weight], lr=1e-4, fused=True)
    dense = torch.rand(reference.BATCH, plates.n_genes, device=device)
    above = torch.rand(reference.BATCH, weight.shape[1], device=device)
    source = torch.empty(weight.numel() * training.ADAM_BYTES // 8, device=device)
    target = torch.empty_like(source)
    sparse = torch.empty(len(batch.rows.data) * 12, dtype=torch.uint8).pin_memory()
    return {
        "products": milliseconds(
            lambda: (dense @ weight, torch.mm(dense.T, above, out=weight.grad))
        ),
        "optimiser": milliseconds(adam.step),
        "optimiser's bytes, copied": milliseconds(lambda: target.copy_(source)),
        "batch, copied to the device": milliseconds(lambda: sparse.to(device, non_blocking=True)),
    }


def main(quick):
    if not torch.cuda.is_available():
        print("PyTorch finds no GPU here: nothing is measured")
        return
    data = bench.make_atlas(bench.WIDE)
    runs = {
        name: lambda name=name: training.own(data, name, None, "cuda")["cells_per_second"]
        for name in STRATEGIES
    }
    values = measure.interleaved(runs, 1 if quick else 5)
    parts = step_limits(data)
    limit = reference.BATCH / (1e-3 * (parts["products"] + parts["optimiser's bytes, copied"]))
    rows = []
    for name, rates in values.items():
        share = statistics.median(rates) / limit
        rows.append(measure.median_row(name, rates, "cells/s", share_of_limit=round(share, 3)))
    for name, value in parts.items():
        rows.append(
            measure.median_row(f"limit: {name}", [value], "ms", share_of_limit=float("nan"))
        )
    bars = [
        measure.bar(f"{row['what']}, cells/s", row["median"], REQUIRED)
        for row in rows
        if row["what"] in STRATEGIES[1:]
    ]
    measure.write_tables("gpu", rows, bars)
    groups = {
        "cellshuffle": {row["what"]: row["median"] for row in rows if row["unit"] == "cells/s"},
        "limit of the card": {"random_sampling": limit},
        "published cap": {"random_sampling": PUBLISHED_CAP},
    }
    title = f"Training on {torch.cuda.get_device_name()}, {os.cpu_count()} cores"
    measure.draw_bars("gpu", groups, "cells per second", title)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    sys.exit(main(parser.parse_args().quick))
