"""How fast is the loader for one's own training, and what does it leave to the model?

`python benchmarks/loader.py [--quick]`: 62,710 genes, minibatches of 64 and their labels, warm page cache:
`cellshuffle.Loader` and scDataset over `cellshuffle.Plates` against the pipeline's own path, scDataset over
AnnCollection, AnnLoader and other loaders where installed; an MLP trained over two of them; and how soon the
first minibatch comes. Writes results/bench/loader.{csv,md,svg,png}.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from functools import partial

import atlas as bench
import extras
import loaders
import measure
import numpy as np
import reference
import torch
from scdataset import scDataset

COLUMNS = ["cell_line", "drug"]
SECONDS = 1.5
HIDDEN = 512
MLP_STEPS = 24
STRATEGY = "random_sampling"
START = """
import time
began = time.perf_counter()
import torch
torch_done = time.perf_counter()
import cellshuffle
loader = cellshuffle.Loader({files}, cellshuffle.sampler("BlockShuffling", block_size=1), obs={columns})
next(iter(loader))
print(time.perf_counter() - torch_done, torch_done - began)
"""


def own_loader(data, form, **options):
    """A Loader of random cells and their labels."""
    from cellshuffle import Loader
    from cellshuffle.loading.samplers import sampler_of

    sampler = sampler_of(data.strategies[STRATEGY])
    return Loader(data.train, sampler, form=form, obs=COLUMNS, **reference.LOADING, **options)


def loader_rate(data, form):
    loader = own_loader(data, form)
    return measure.rate((len(b) for epoch in range(10**6) for b in loader.epoch(epoch)), SECONDS)


def path_rate(data):
    """Cells/s of what training was made of before there was a loader: epoch_batches, a thread ahead."""
    from cellshuffle import Plates, epoch_batches
    from cellshuffle.loading.prefetch import by_thread
    from cellshuffle.loading.samplers import sampler_of

    plates, sampler = Plates(data.train, random=True), sampler_of(data.strategies[STRATEGY])
    labels = data.labels("train")

    def passes():
        for epoch in range(10**6):
            batches = epoch_batches(plates, sampler, labels, epoch=epoch, **reference.LOADING)
            yield from (len(batch.cells) for batch in by_thread(batches, 32))

    return measure.rate(passes(), SECONDS)


def with_dense(batch):
    """A minibatch of scDataset over Plates as the reference path has it: counts as a dense tensor."""
    batch.X = torch.from_numpy(batch.X.dense())
    return batch


def plates_rate(data, transform=None):
    """Cells/s of scDataset over Plates."""
    from cellshuffle import Plates
    from cellshuffle.loading.samplers import sampler_of

    plates = Plates(data.train, obs=COLUMNS, random=True)
    sampler = sampler_of(data.strategies[STRATEGY])
    dataset = scDataset(plates, sampler, **reference.LOADING, batch_transform=transform, seed=0)
    return measure.rate((len(batch) for _ in range(10**6) for batch in dataset), SECONDS)


def fill_rate(n_genes):
    """Cells/s at which zeroed float32 matrices of a minibatch can be had: the limit of dense ones."""

    def matrices():
        while True:
            np.zeros((reference.BATCH, n_genes), np.float32).fill(0)
            yield reference.BATCH

    return measure.rate(matrices(), SECONDS)


def mlp_rate(minibatches, n_genes, n_classes, waiting):
    """Cells/s of an MLP over (X, codes) pairs; seconds that it waited for them are added to `waiting`."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(n_genes, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, n_classes)
    )
    adam, cells, waited = torch.optim.Adam(model.parameters()), 0, 0.0
    minibatches = iter(minibatches)
    next(minibatches)
    began = time.perf_counter()
    for _ in range(MLP_STEPS):
        asked = time.perf_counter()
        X, codes = next(minibatches)
        waited += time.perf_counter() - asked
        loss = torch.nn.functional.cross_entropy(model(X), codes)
        adam.zero_grad()
        loss.backward()
        adam.step()
        cells += len(codes)
    seconds = time.perf_counter() - began
    waiting.append(waited / seconds)
    return cells / seconds


def mlps(data, collection, encoders):
    """({name: function that returns cells/s}, {name: shares of time waited})."""
    waiting = {"MLP, Loader": [], "MLP, scDataset over AnnCollection": []}
    n_genes, drugs = bench.WIDE, len(data.classes["drug"])
    position = list(encoders).index("drug")

    def over_loader():
        return ((b.X, b.obs["drug"]) for b in own_loader(data, "dense").epoch(0))

    def over_collection():
        epoch = reference.batches(collection, data.strategies[STRATEGY], None, encoders)
        return ((X, codes[:, position]) for X, codes in epoch)

    sources = dict(zip(waiting, (over_loader, over_collection), strict=True))
    runs = {
        name: lambda name=name, source=source: mlp_rate(source(), n_genes, drugs, waiting[name])
        for name, source in sources.items()
    }
    return runs, waiting


def first_minibatch(files):
    """Seconds from `import cellshuffle` to the first minibatch of 14 plates, PyTorch's import apart."""
    code = START.format(files=list(map(str, (files * 14)[:14])), columns=COLUMNS)
    environment = os.environ | {"PYTHONPATH": str(bench.LIBRARY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    return float(done.stdout.split()[0])


def bars(median):
    """Rows of the table of targets, from {name: median cells/s}."""
    over = "scDataset over AnnCollection, dense"
    rows = [
        measure.bar(f"{name} / {other}", median[name] / median[other], least)
        for name, other, least in (
            ("Loader, CSR", "pipeline's own path, CSR", 0.95),
            ("scDataset over Plates, CSR", over, 60),
            ("scDataset over Plates, dense", over, 15),
        )
    ]
    ours = {"pipeline's own path, CSR", "limit: filling dense minibatches"}
    for name, rate in median.items():
        if not name.startswith(("Loader", "scDataset over Plates", "MLP")) and name not in ours:
            form = "dense" if "dense" in name else "CSR"
            rows.append(measure.bar(f"Loader, {form} / {name}", median[f"Loader, {form}"] / rate, 1))
    return rows


def main(quick):
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)  # loaders alone: more threads only wait for each other
    data = bench.make_atlas(bench.WIDE, 2_000 if quick else bench.CELLS_PER_PLATE)
    collection, encoders = reference.collection(data.originals), reference.lookups(data)
    entry = data.strategies[STRATEGY]
    runs = {
        "pipeline's own path, CSR": lambda: path_rate(data),
        "Loader, CSR": lambda: loader_rate(data, "csr"),
        "Loader, torch CSR": lambda: loader_rate(data, "torch_csr"),
        "Loader, dense": lambda: loader_rate(data, "dense"),
        "scDataset over Plates, CSR": lambda: plates_rate(data),
        "scDataset over Plates, dense": lambda: plates_rate(data, with_dense),
        "scDataset over AnnCollection, dense": lambda: loaders.published(collection, data, entry, encoders),
        "AnnLoader, dense": lambda: loaders.ann_loader(collection, True),
        "limit: filling dense minibatches": lambda: fill_rate(bench.WIDE),
    }
    for name, strategies in extras.loaders(data).items():
        if STRATEGY in strategies:
            runs[name] = strategies[STRATEGY]
    for run in runs.values():  # fill the page cache, import what is imported late
        if not quick:
            run()
    repeats = 3 if quick else 5
    values = measure.interleaved(runs, repeats)
    torch.set_num_threads(max(1, os.cpu_count() - 1))
    mlp, waiting = mlps(data, collection, encoders)
    values |= measure.interleaved(mlp, repeats)
    median = {name: statistics.median(rates) for name, rates in values.items()}
    rows = [measure.median_row(name, rates, "cells/s") for name, rates in values.items()]
    for name, shares in waiting.items():
        rows.append(
            measure.median_row(f"{name}: waiting for data", [100 * s for s in shares], "% of the time")
        )
    starts = measure.interleaved({"import to first minibatch": partial(first_minibatch, data.train)}, repeats)
    rows += [measure.median_row(f"{name}, 14 plates", v, "s, PyTorch apart") for name, v in starts.items()]
    table = bars(median)
    share = statistics.median(waiting["MLP, Loader"])
    table.append(measure.ceiling("MLP over Loader, share of time waiting for data", share, 0.02))
    start = statistics.median(starts["import to first minibatch"])
    table.append(measure.ceiling("seconds to the first minibatch of 14 plates", start, 1))
    measure.write_tables("loader", rows, table)
    title = "Random cells, 62,710 genes, minibatches of 64, warm page cache"
    measure.draw_bars("loader", {"cells/s": median}, "cells per second", title)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller atlas, three repetitions")
    main(parser.parse_args().quick)
