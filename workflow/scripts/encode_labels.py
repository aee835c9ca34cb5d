"""Plates and lookup tables in; class names, codes of every cell of both splits, cells a plate out."""

import numpy as np
from cellshuffle.console import run_rule, say
from cellshuffle.errors import InputError
from cellshuffle.files import create_npy, whole, write_json, write_rows
from cellshuffle.labels import class_names, encode, plate_labels
from cellshuffle.origin import check_origin, origin


def main(snakemake):
    tasks, max_cells = snakemake.params.tasks, snakemake.params.max_cells
    paths = {"train": list(snakemake.input.train), "test": list(snakemake.input.test)}
    for path, made_of in zip(
        paths["train"] + paths["test"], snakemake.params.origins, strict=False
    ):
        check_origin(path, origin(**made_of))
    found = plate_labels([*paths["train"], *paths["test"]], tasks)
    n_train = len(paths["train"])
    split = {
        "train": {task: pairs[:n_train] for task, pairs in found.items()},
        "test": {task: pairs[n_train:] for task, pairs in found.items()},
    }
    plates = []
    kept = {"train": {}, "test": {}}
    for name in split:
        left = max_cells[name] or np.inf
        first = next(iter(split[name].values()))
        for position, (codes, _) in enumerate(first):
            n_cells = int(min(len(codes), left))
            left -= n_cells
            plates.append(
                {
                    "split": name,
                    "plate": snakemake.params.plates[name][position],
                    "n_cells": n_cells,
                }
            )
            for task, pairs in split[name].items():
                codes, values = pairs[position]
                kept[name].setdefault(task, []).append((codes[:n_cells], values))
        if sum(row["n_cells"] for row in plates if row["split"] == name) == 0:
            raise InputError(f"atlas: {name}_plates: the split has no cells")
    classes = {task: class_names(kept["train"][task] + kept["test"][task]) for task in tasks}
    dtype = np.uint16 if max(map(len, classes.values())) <= 2**16 else np.int32
    for name in kept:
        rows = [row["n_cells"] for row in plates if row["split"] == name]
        edges = np.cumsum([0, *rows])
        with whole(snakemake.output[name]) as partial:
            codes = create_npy(partial, dtype, (int(edges[-1]), len(tasks)))
            for column, task in enumerate(tasks):
                for plate, part in enumerate(encode(kept[name][task], classes[task])):
                    codes[edges[plate] : edges[plate + 1], column] = part
            codes.flush()
    write_rows(snakemake.output.plates, plates)
    write_json(snakemake.output.classes, classes)
    counts = ", ".join(f"{len(names)} {task}" for task, names in classes.items())
    say(
        f"{sum(row['n_cells'] for row in plates):,} cells on {len(plates)} plates; classes: {counts}"
    )


run_rule(main, snakemake)  # noqa: F821
