"""How fast does each strategy read cells, from packed plates, original plates and other loaders?

`python benchmarks/loaders.py [--quick]`: batches of 64 and their labels, no model, warm and cold
page cache. Writes results/bench/loaders.{csv,md} and loaders_{warm,cold}.{svg,png}.
"""

import argparse
import statistics
import warnings

import atlas as bench
import extras
import measure
import reference
import torch

REFERENCE_SECONDS, OWN_SECONDS = 2.0, 0.7


def own(plates, data, entry, one_pass=False, workers=2):
    """Cells/s of this pipeline's batches from `plates` (paths), opened anew."""
    from cellshuffle.atlas.plates import Plates
    from cellshuffle.loading.minibatches import epoch_batches
    from cellshuffle.loading.samplers import is_sequential, sampler_of

    opened = Plates(plates, workers=workers, random=not is_sequential(entry))
    labels, sampler = data.labels("train"), sampler_of(entry, data.weights())

    def passes():
        for epoch in range(1 if one_pass else 10**6):
            for batch in epoch_batches(opened, sampler, labels, epoch=epoch, **reference.LOADING):
                yield len(batch.cells)

    return measure.rate(passes(), OWN_SECONDS if not one_pass else 10)


def published(collection, data, entry, encoders):
    """Cells/s of the reference path."""
    epoch = reference.batches(collection, entry, data.weights(), encoders)
    return measure.rate((len(codes) for _, codes in epoch), REFERENCE_SECONDS)


def ann_loader(collection, shuffle):
    """Cells/s of anndata's AnnLoader."""
    from anndata.experimental import AnnLoader

    loader = AnnLoader(collection, batch_size=reference.BATCH, shuffle=shuffle)
    return measure.rate((batch.X.shape[0] for batch in loader), REFERENCE_SECONDS, fetch=1)


def contenders(data, collection, others):
    """{(loader, strategy): function that returns cells/s}, page cache warm."""
    encoders = reference.lookups(data)
    runs = {}
    for name, entry in data.strategies.items():
        runs["packed", name] = lambda entry=entry: own(data.train, data, entry)
        runs["original", name] = lambda entry=entry: own(data.originals, data, entry)
        runs["reference", name] = lambda e=entry: published(collection, data, e, encoders)
    runs["AnnLoader", "streaming"] = lambda: ann_loader(collection, False)
    runs["AnnLoader", "random_sampling"] = lambda: ann_loader(collection, True)
    for loader, strategies in others.items():
        for name, run in strategies.items():
            runs[loader, name] = run
    return runs | limits(data)


def limits(data, name="streaming"):
    """Plain sequential reads of the same bytes."""
    cells = len(data.labels("train"))
    return {
        ("sequential read, packed", name): lambda: measure.read_rate(data.train, cells),
        ("sequential read, original", name): lambda: measure.read_rate(data.originals, cells),
    }


def cold_contenders(data, collection):
    """The same from the disk: the plates are dropped from the page cache before every run."""
    encoders = reference.lookups(data)
    runs = {}
    for name, entry in data.strategies.items():
        runs["packed, cold", name] = lambda e=entry: own(data.train, data, e, one_pass=True)
        runs["original, cold", name] = lambda e=entry: own(data.originals, data, e, one_pass=True)
        runs["reference, cold", name] = lambda e=entry: published(collection, data, e, encoders)
    runs |= {(f"{loader}, cold", name): run for (loader, name), run in limits(data).items()}

    def dropped(run):
        def cold():
            measure.drop_from_cache([*data.train, *data.originals])
            return run()

        return cold

    return {key: dropped(run) for key, run in runs.items()}


def bars(median):
    """Rows of the table of targets, from {(loader, strategy): median cells/s}."""
    rows = []
    least = {"random_sampling": 50, "true_weighted": 50}
    for name in (name for loader, name in median if loader == "packed"):
        ratio = median["packed", name] / median["reference", name]
        rows.append(measure.bar(f"{name}, packed / reference", ratio, least.get(name, 30)))
    for name in (name for loader, name in median if loader == "original"):
        ratio = median["original", name] / median["reference", name]
        rows.append(measure.bar(f"{name}, original / reference", ratio, 2))
    ratio = median["packed", "random_sampling"] / median["packed", "streaming"]
    rows.append(measure.bar("random / streaming, packed", ratio, 1 / 3))
    if ("BioNeMo-SCDL", "random_sampling") in median:
        ratio = median["packed", "random_sampling"] / median["BioNeMo-SCDL", "random_sampling"]
        rows.append(measure.bar("random, packed / BioNeMo-SCDL random", ratio, 2))
    return rows


def main(quick):
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)  # loaders alone: more threads only wait for each other
    data = bench.make_atlas(bench.WIDE)
    collection = reference.collection(data.originals)
    runs = contenders(data, collection, extras.loaders(data))
    for run in runs.values():  # fill the page cache, import what is imported late
        if not quick:
            run()
    values = measure.interleaved(runs, 1 if quick else 5)
    median = {key: statistics.median(rates) for key, rates in values.items()}
    values |= measure.interleaved(cold_contenders(data, collection), 1 if quick else 3)
    rows = [
        {"loader": loader} | measure.median_row(name, rates, "cells/s")
        for (loader, name), rates in values.items()
    ]
    measure.write_tables("loaders", rows, bars(median))
    groups = {"warm": {}, "cold": {}}
    for (loader, name), rates in values.items():
        cache = "cold" if loader.endswith(", cold") else "warm"
        loader = loader.removesuffix(", cold")
        groups[cache].setdefault(loader, {})[name] = statistics.median(rates)
    for cache, found in groups.items():
        title = f"Loading, 62,710 genes, batches of 64, {cache} page cache"
        measure.draw_bars(f"loaders_{cache}", found, "cells per second", title)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    main(parser.parse_args().quick)
