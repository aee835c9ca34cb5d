"""Training codes in; tables of label combinations and of classes, and a weight per training cell, out."""

import numpy as np
from cellshuffle.atlas.held_out import cells_kept
from cellshuffle.console import say
from cellshuffle.files import atomic_write, create_npy, write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.codes import balanced_codes
from cellshuffle.labels.plates import train_sizes
from cellshuffle.labels.stored import load_classes, load_labels
from cellshuffle.labels.weights import class_rows, combination_rows, combination_weights


def main(snakemake):
    classes = load_classes(snakemake.input.classes)
    labels = load_labels(snakemake.input.labels, classes)
    balance, baseline = snakemake.params.balance, snakemake.params.baseline
    names, codes = balanced_codes(
        balance, classes, labels, list(snakemake.input.train), snakemake.params.where
    )
    kept = cells_kept(snakemake.params.held_out, train_sizes(snakemake.input.plates))
    rows = combination_rows(codes[kept], balance, names, baseline)
    write_rows(snakemake.output.combinations, rows)
    with atomic_write(snakemake.output.cells) as partial:
        cells = create_npy(partial, np.float64, (len(labels),))
        combination_weights(codes, tuple(map(len, names)), baseline, cells, kept)
        cells.flush()
    write_rows(snakemake.output.classes, class_rows(labels[kept], classes))
    counts, weights = ([row[key] for row in rows] for key in ("count", "weight"))
    say(
        f"{len(rows):,} combinations of {' x '.join(balance)}, of {min(counts):,} to {max(counts):,} cells; "
        f"weights {min(weights):.3g} to {max(weights):.3g}"
    )


run_rule(main, snakemake)  # noqa: F821
