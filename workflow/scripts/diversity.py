"""Labels, plate sizes and (for weighted strategies) weights in; what a strategy's minibatches hold out."""

import numpy as np
import pandas as pd
from cellshuffle.analysis.diversity import measure
from cellshuffle.files import load_npy, read_json, write_csv
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.codes import balanced_codes
from cellshuffle.labels.weights import count_combinations
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.samplers import sampler_of


def main(snakemake):
    entry, settings = snakemake.params.entry, snakemake.params.settings
    batch_size, fetch_factor, seed, balance = (
        settings[key] for key in ("batch_size", "fetch_factor", "seed", "balance")
    )
    classes = read_json(snakemake.input.classes)
    every = load_npy(snakemake.input.labels)
    names, codes = balanced_codes(balance, classes, every, list(snakemake.input.get("train", [])))
    n_classes = tuple(map(len, names))
    labels = np.ascontiguousarray(codes)  # in memory: the order visits single cells all over it
    sizes = pd.read_csv(snakemake.input.plates, dtype={"plate": str})
    sizes = sizes[sizes["split"] == "train"]
    weights = load_npy(snakemake.input.weights) if snakemake.input.get("weights") else None
    sampler = sampler_of(entry, weights)
    order = cell_order(sampler, len(labels), batch_size, fetch_factor, seed, epoch=0)
    n_batches = -(-sampler.get_len(range(len(labels))) // batch_size)
    ends = sizes["n_cells"].cumsum().to_numpy()
    position, entropy, share, drawn = measure(order, labels, n_classes, ends, n_batches)
    table = pd.DataFrame(entropy, columns=["plate", *balance])
    table.insert(0, "position", position, allow_duplicates=True)
    write_csv(snakemake.output.entropy, table.round(5))
    strip = pd.DataFrame(share, columns=sizes["plate"].tolist())
    middle = (np.arange(len(share)) + 0.5) / len(share)
    strip.insert(0, "position", middle, allow_duplicates=True)
    write_csv(snakemake.output.plates, strip.round(5))
    count = count_combinations(labels, n_classes)
    there = count > 0
    write_csv(snakemake.output.draws, pd.DataFrame({"count": count[there], "drawn": drawn[there]}))


run_rule(main, snakemake)  # noqa: F821
