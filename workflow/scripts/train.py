"""Plates, labels and (for weighted strategies) weights in; metrics, history, predictions and model out."""

from cellshuffle.console import run_rule
from cellshuffle.job import launch


def main(snakemake):
    outputs = {name: str(path) for name, path in snakemake.output.items()}
    folder = snakemake.params.folder
    job = {
        "strategy": snakemake.wildcards.strategy,
        "entry": snakemake.params.entry,
        "settings": snakemake.params.settings
        | {"strategy": snakemake.wildcards.strategy, "seed": int(snakemake.wildcards.seed)},
        "plates": {"train": list(snakemake.input.train), "test": list(snakemake.input.test)},
        "max_cells": snakemake.params.max_cells,
        "layer": snakemake.params.layer,
        "workers": snakemake.params.workers,
        "labels": {
            "train": snakemake.input.train_labels,
            "test": snakemake.input.test_labels,
            "classes": snakemake.input.classes,
        },
        "weights": snakemake.input.get("weights"),
        "outputs": outputs | {"checkpoint": f"{folder}/checkpoint.pt"},
    }
    launch(job, snakemake.params.world_size, folder)


run_rule(main, snakemake)  # noqa: F821
