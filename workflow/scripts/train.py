"""Plates, labels and (for weighted strategies) weights in; metrics, history, predictions and model out."""

from dataclasses import asdict
from pathlib import Path

from cellshuffle.jobs.gpus import claim_gpus
from cellshuffle.jobs.locks import alone_in
from cellshuffle.jobs.run import run_rule, show_by
from cellshuffle.jobs.staging import stage
from cellshuffle.jobs.trainings import TrainingLines
from cellshuffle.packing.origin import advising
from cellshuffle.training.launch import launch
from cellshuffle.training.settings import Execution


def main(snakemake):
    recipe, execution = snakemake.params.recipe, Execution(**snakemake.params.execution)
    world_size = recipe["world_size"]
    outputs = {name: str(path) for name, path in snakemake.output.items()}
    folder = Path(outputs["metrics"]).parent
    show_by(TrainingLines(outputs["metrics"]).shown)
    train, test = list(snakemake.input.train), list(snakemake.input.test)
    with alone_in(folder), stage([*train, *test], execution.scratch) as plates:
        if recipe["device"] != "cpu" and execution.nodes == 1:
            claim_gpus(world_size)
        job = {
            "recipe": recipe,
            "execution": asdict(execution.limited_to(snakemake.threads, world_size)),
            "plates": {"train": plates[: len(train)], "test": plates[len(train) :]},
            "labels": {
                "train": snakemake.input.train_labels,
                "test": snakemake.input.test_labels,
                "classes": snakemake.input.classes,
            },
            "weights": snakemake.input.get("weights"),
            "outputs": outputs | {"checkpoint": f"{folder}/checkpoint.pt"},
        }
        with advising(plates):
            launch(job, folder)


run_rule(main, snakemake)  # noqa: F821
