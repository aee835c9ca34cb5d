"""Plates, labels and (for weighted strategies) weights in; metrics, history, predictions and model out."""

from cellshuffle.console import run_rule
from cellshuffle.launching import launch
from cellshuffle.staging import stage


def within(granted, settings, workers):
    """Settings and workers of a process that was given `granted` threads: `--cores 1` allows one.

    Without a thread to spare batches are made between the steps. The numbers are the same.
    """
    threads = min(settings["threads"], granted)
    spare = granted - threads
    prefetch = settings["prefetch"] if spare else 0
    return settings | {"threads": threads, "prefetch": prefetch}, min(workers, spare or granted)


def main(snakemake):
    folder, params = snakemake.params.folder, snakemake.params
    granted = snakemake.threads * params.nodes // params.world_size
    settings, workers = within(max(1, granted), params.settings, params.workers)
    train, test = list(snakemake.input.train), list(snakemake.input.test)
    name, seed = snakemake.wildcards.strategy, int(snakemake.wildcards.seed)
    outputs = {kind: str(path) for kind, path in snakemake.output.items()}
    with stage([*train, *test], params.scratch) as plates:
        job = {
            "strategy": name,
            "entry": params.entry,
            "settings": settings | {"strategy": name, "seed": seed},
            "plates": {"train": plates[: len(train)], "test": plates[len(train) :]},
            "max_cells": params.max_cells,
            "layer": params.layer,
            "workers": workers,
            "labels": {
                "train": snakemake.input.train_labels,
                "test": snakemake.input.test_labels,
                "classes": snakemake.input.classes,
            },
            "weights": snakemake.input.get("weights"),
            "outputs": outputs | {"checkpoint": f"{folder}/checkpoint.pt"},
        }
        launch(job, params.world_size, params.nodes, folder)


run_rule(main, snakemake)  # noqa: F821
