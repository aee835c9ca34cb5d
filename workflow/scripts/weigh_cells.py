"""Training codes and class names in; a table of label combinations and a weight per training cell out."""

import numpy as np
from cellshuffle.console import say
from cellshuffle.files import create_npy, load_npy, read_json, whole, write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.codes import balanced_codes
from cellshuffle.labels.weights import combination_weights, count_combinations, weight_of_count


def main(snakemake):
    classes = read_json(snakemake.input.classes)
    labels = load_npy(snakemake.input.labels)
    balance, baseline = snakemake.params.balance, snakemake.params.baseline
    names, codes = balanced_codes(balance, classes, labels, list(snakemake.input.train))
    n_classes = tuple(map(len, names))
    count = count_combinations(codes, n_classes)
    weight = weight_of_count(count, baseline)
    present = np.flatnonzero(count)
    columns = [
        np.array(values)[part]
        for values, part in zip(names, np.unravel_index(present, n_classes), strict=True)
    ]
    rows = zip(*columns, count[present].tolist(), weight[present].tolist(), strict=True)
    header = [*balance, "count", "weight"]
    write_rows(snakemake.output.combinations, [dict(zip(header, row, strict=True)) for row in rows])
    with whole(snakemake.output.cells) as partial:
        cells = create_npy(partial, np.float64, (len(labels),))
        combination_weights(codes, n_classes, baseline, out=cells)
        cells.flush()
    say(
        f"{len(present):,} combinations of {' x '.join(balance)}, of {count[present].min():,} to "
        f"{count[present].max():,} cells; weights {weight[present].min():.3g} to {weight[present].max():.3g}"
    )


run_rule(main, snakemake)  # noqa: F821
