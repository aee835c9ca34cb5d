"""Plates, labels and (for weighted strategies) weights in; metrics, history, predictions and model out."""

from pathlib import Path

from cellshuffle.jobs.gpus import claim_gpus
from cellshuffle.jobs.locks import alone_in
from cellshuffle.jobs.run import run_rule
from cellshuffle.jobs.staging import stage
from cellshuffle.training.launch import launch
from cellshuffle.training.settings import granted_settings


def main(snakemake):
    params, ways = snakemake.params, snakemake.params.ways
    world_size, nodes = params.settings["world_size"], ways["nodes"]
    train, test = list(snakemake.input.train), list(snakemake.input.test)
    name, seed = snakemake.wildcards.strategy, int(snakemake.wildcards.seed)
    outputs = {kind: str(path) for kind, path in snakemake.output.items()}
    folder = Path(outputs["metrics"]).parent
    how, workers = granted_settings(ways, world_size)
    settings = params.settings | how | {"strategy": name, "seed": seed}
    with alone_in(folder), stage([*train, *test], ways["scratch"]) as plates:
        if settings["device"] != "cpu" and nodes == 1:
            claim_gpus(world_size)
        job = {
            "strategy": name,
            "entry": params.entry,
            "settings": settings,
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
        launch(job, world_size, nodes, folder)


run_rule(main, snakemake)  # noqa: F821
