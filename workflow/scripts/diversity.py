"""Labels, plate sizes and (for weighted strategies) weights in; what a strategy's minibatches hold out."""

import numpy as np
import pandas as pd
from cellshuffle.analysis.diversity import diversity_tables
from cellshuffle.files import load_npy, read_json, write_csv
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.codes import balanced_codes
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.samplers import sampler_of


def main(snakemake):
    inputs, settings = snakemake.input, snakemake.params.settings
    batch_size, fetch_factor, seed, balance = (
        settings[key] for key in ("batch_size", "fetch_factor", "seed", "balance")
    )
    classes, labels = read_json(inputs.classes), load_npy(inputs.labels)
    names, codes = balanced_codes(balance, classes, labels, list(inputs.get("train", [])))
    codes = np.ascontiguousarray(codes)  # in memory: the order visits single cells all over it
    weights = load_npy(inputs.weights) if inputs.get("weights") else None
    sampler = sampler_of(snakemake.params.entry, weights)
    order = cell_order(sampler, len(codes), batch_size, fetch_factor, seed, epoch=0)
    n_batches = -(-sampler.get_len(range(len(codes))) // batch_size)
    plates = pd.read_csv(inputs.plates, dtype={"plate": str}, keep_default_na=False).query("split == 'train'")
    n_classes = tuple(map(len, names))
    tables = diversity_tables(order, codes, balance, n_classes, plates, n_batches)
    for name, table in zip(("entropy", "plates", "draws"), tables, strict=True):
        write_csv(snakemake.output[name], table)


run_rule(main, snakemake)  # noqa: F821
