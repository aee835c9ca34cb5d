"""Labels, plate sizes and (for weighted strategies) weights in; what each strategy's minibatches hold out."""

import numpy as np
from cellshuffle.analysis.comparison import read_table
from cellshuffle.analysis.diversity import diversity_tables
from cellshuffle.analysis.order_measures import OrderMeasures
from cellshuffle.atlas.held_out import cells_kept, sizes_kept
from cellshuffle.console import say
from cellshuffle.errors import InputError
from cellshuffle.files import write_csv
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.codes import balanced_codes
from cellshuffle.labels.stored import load_classes, load_labels, load_weights
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.orders import PlateSizes
from cellshuffle.loading.samplers import sampler_of


def main(snakemake):
    inputs, params = snakemake.input, snakemake.params
    classes = load_classes(inputs.classes)
    labels = load_labels(inputs.labels, classes)
    train = list(inputs.get("train", []))
    names, codes = balanced_codes(params.balance, classes, labels, train, params.where)
    weights = load_weights(inputs.weights[0], len(labels)) if inputs.weights else None
    plates = read_table(inputs.plates, ("split", "plate", "n_cells"), text=["plate"]).query(
        "split == 'train'"
    )
    if plates["n_cells"].sum() != len(labels):
        raise InputError(
            f"{inputs.plates}: has {plates['n_cells'].sum()} train cells, {inputs.labels} has {len(labels)}; "
            "delete both to make them again"
        )
    if params.held_out:
        kept = cells_kept(params.held_out, plates["n_cells"].tolist())
        plates = plates.assign(n_cells=sizes_kept(plates["n_cells"], kept))
        labels, codes, weights = labels[kept], codes[kept], None if weights is None else weights[kept]
    codes = np.ascontiguousarray(codes)  # in memory: the order visits single cells all over it
    by_task = dict(zip(classes, labels.T, strict=True))
    ends = plates["n_cells"].cumsum().to_numpy()
    n_classes, cells = tuple(map(len, names)), PlateSizes(plates["n_cells"].to_numpy())
    for k, (strategy, entry) in enumerate(params.strategies.items()):
        sampler, batch_size = sampler_of(entry, weights, by_task), entry["batch_size"]
        order = cell_order(sampler, cells, batch_size, entry["fetch_factor"], params.seed, epoch=0)
        n_batches = -(-sampler.get_len(cells) // batch_size)
        measures = OrderMeasures(dict(zip(params.balance, codes.T, strict=True)), ends, n_batches)
        watched = measures.watch(order)
        tables = diversity_tables(watched, codes, params.balance, n_classes, plates, n_batches)
        for name, table in zip(("entropy", "plates", "draws"), tables, strict=True):
            write_csv(snakemake.output[name][k], table)
        write_csv(snakemake.output.order[k], measures.table())
        say(f"{strategy}: saw what {n_batches:,} minibatches hold")


run_rule(main, snakemake)  # noqa: F821
