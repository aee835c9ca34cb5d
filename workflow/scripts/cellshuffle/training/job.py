"""One training as a plain description; `python -m cellshuffle.training.job job.json` runs it."""

import itertools
import os
import resource
import sys
import traceback
from contextlib import suppress

import numpy as np
import torch

from cellshuffle.atlas.plates import Plates
from cellshuffle.console import progress
from cellshuffle.errors import InputError, Stopped
from cellshuffle.files import load_npy, read_json, save_npz, whole, write_json, write_rows
from cellshuffle.labels.codes import code_type
from cellshuffle.loading.samplers import is_sequential, is_weighted, sampler_of
from cellshuffle.training import distributed
from cellshuffle.training.checkpoint import fingerprint
from cellshuffle.training.devices import device_of
from cellshuffle.training.launch import SAID
from cellshuffle.training.loop import train
from cellshuffle.training.settings import Settings


def run_job(job):
    """Train as `job` says and write its outputs.

    The checkpoint stays: were this job's end not noticed, it would have to be done again. The rule
    that gathers the scores of all trainings removes it.

    job: {"strategy": name, "entry": config entry, "settings": see training.Settings,
    "plates": {"train": [paths], "test": [paths]}, "max_cells": {"train", "test"}, "layer",
    "workers", "labels": {"train", "test", "classes"}, "weights": path or None,
    "outputs": {"metrics", "history", "predictions", "model", "checkpoint"}}
    """
    # A packed plate takes six descriptors, and a process is given 1,024 unless it asks for more.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    classes = read_json(job["labels"]["classes"])
    labels = {split: load_npy(job["labels"][split]) for split in ("train", "test")}
    random = not is_sequential(job["entry"])
    plates = {
        split: Plates(
            job["plates"][split],
            job["max_cells"][split],
            layer=job["layer"],
            workers=job["workers"],
            random=random and split == "train",
        )
        for split in ("train", "test")
    }
    weights = load_npy(job["weights"]) if is_weighted(job["entry"]) else None
    settings = Settings(**job["settings"])
    result = train(
        (plates["train"], labels["train"]),
        (plates["test"], labels["test"]),
        classes,
        sampler_of(job["entry"], weights),
        settings,
        job["outputs"]["checkpoint"],
        fingerprint(_deciding(job, classes), _files(job)),
        progress,
    )
    if result is not None:
        _write(job, result, plates, classes, labels["test"])


def _deciding(job, classes):
    """What decides the numbers besides files: not where outputs go, nor how data are prepared."""
    # More epochs are the same ones and then some.
    how = ("checkpoint_minutes", "prefetch", "threads", "epochs")
    settings = {key: value for key, value in job["settings"].items() if key not in how}
    settings["device"] = device_of(Settings(**job["settings"]).device)
    return {
        "entry": job["entry"],
        "settings": settings,
        "max_cells": job["max_cells"],
        "layer": job["layer"],
        "classes": classes,
    }


def _files(job):
    weights = [job["weights"]] if is_weighted(job["entry"]) else []
    labels = [job["labels"]["train"], job["labels"]["test"]]
    return [*itertools.chain(*job["plates"].values()), *labels, *weights]


def _write(job, result, plates, classes, test_labels):
    outputs, state, tasks = job["outputs"], result.state, list(classes)
    with whole(outputs["model"]) as partial, open(partial, "wb") as file:
        n_columns = sum(map(len, classes.values()))
        parameters = {
            "weight": state.weight[:, :n_columns].contiguous().cpu(),
            "bias": state.bias[:n_columns].contiguous().cpu(),
        }
        torch.save(parameters | {"classes": classes, "genes": plates["train"].genes.tolist()}, file)
    narrow = code_type(classes)
    save_npz(
        outputs["predictions"],
        tasks=np.array(tasks),
        prediction=result.predictions.astype(narrow),
        truth=np.asarray(test_labels[: len(plates["test"])]).astype(narrow),
        **{f"classes_{task}": np.array(names) for task, names in classes.items()},
    )
    write_rows(outputs["history"], state.history)
    write_json(
        outputs["metrics"],
        {
            "strategy": job["strategy"],
            "seed": job["settings"]["seed"],
            "epochs": job["settings"]["epochs"],
            "n_train": len(plates["train"]),
            "n_test": len(plates["test"]),
            "tasks": tasks,
            "scores": result.scores,
            "order_sha256": state.orders,
        },
    )


if __name__ == "__main__":
    try:
        description = read_json(sys.argv[1])
        distributed.join(device_of(Settings(**description["settings"]).device))
        run_job(description)
        distributed.leave()
    except (InputError, Stopped) as reason:
        print(
            *(SAID + line for line in str(reason).splitlines()),
            sep="\n",
            file=sys.stderr,
            flush=True,
        )
        # At once: to leave the group, a process waits for the others, which may wait for a sum of this one.
        os._exit(1)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
