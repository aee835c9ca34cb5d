"""Plates and lookup tables in; class names, codes of every cell of both splits, cells a plate out."""

import numpy as np
from cellshuffle.atlas.obs import class_names, encode
from cellshuffle.console import say
from cellshuffle.errors import InputError
from cellshuffle.files import atomic_write, create_npy, write_json, write_rows
from cellshuffle.jobs.run import run_rule
from cellshuffle.labels.codes import code_type, plate_labels
from cellshuffle.labels.lookup import read_lookups, with_tables
from cellshuffle.packing.origin import check_origin, origin


def main(snakemake):
    tasks, max_cells, where = (snakemake.params[name] for name in ("tasks", "max_cells", "where"))
    paths = {split: list(snakemake.input[split]) for split in ("train", "test")}
    lookups = read_lookups(tasks)
    origins = snakemake.params.origins  # none of plates that are not packed
    for path, made_of in zip(paths["train"] + paths["test"], origins, strict=False):
        made_of = made_of | {"select": with_tables(made_of["select"], lookups)}
        check_origin(path, origin(**made_of))
    labels = {split: plate_labels(paths[split], tasks, max_cells[split], where) for split in paths}
    classes = {task: class_names(labels["train"][task] + labels["test"][task]) for task in tasks}
    plates = []
    for split, pairs in labels.items():
        n_cells = [len(codes) for codes, _ in next(iter(pairs.values()))]
        if sum(n_cells) == 0:
            raise InputError(f"atlas: {split}_plates: the split has no cells")
        write_codes(snakemake.output[split], pairs, classes)
        plates += [
            {"split": split, "plate": plate, "n_cells": n}
            for plate, n in zip(snakemake.params.plates[split], n_cells, strict=True)
        ]
    write_rows(snakemake.output.plates, plates)
    write_json(snakemake.output.classes, classes)
    counts = ", ".join(f"{len(names)} {task}" for task, names in classes.items())
    n_cells = sum(row["n_cells"] for row in plates)
    say(f"{n_cells:,} cells on {len(plates)} plates; classes: {counts}")


def write_codes(path, pairs, classes):
    """Write the (n_cells, n_tasks) codes of a split; pairs: {task: [(codes, labels) a plate]}."""
    edges = np.cumsum([0, *(len(codes) for codes, _ in next(iter(pairs.values())))])
    with atomic_write(path) as partial:
        written = create_npy(partial, code_type(classes), (int(edges[-1]), len(classes)))
        for column, (task, names) in enumerate(classes.items()):
            for plate, part in enumerate(encode(pairs[task], names)):
                written[edges[plate] : edges[plate + 1], column] = part
        written.flush()


run_rule(main, snakemake)  # noqa: F821
