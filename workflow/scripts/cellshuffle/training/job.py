"""One training as a plain description; `python -m cellshuffle.training.job job.json` runs it."""

import itertools
import os
import resource
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
import torch

from cellshuffle.atlas.held_out import cells_kept, held_out_cells
from cellshuffle.atlas.obs import where_of
from cellshuffle.atlas.page_cache import into_memory
from cellshuffle.atlas.plates import Plates
from cellshuffle.console import say
from cellshuffle.errors import InputError, Stopped
from cellshuffle.files import atomic_write, read_json, save_npz, write_json, write_rows
from cellshuffle.labels.codes import code_type
from cellshuffle.labels.stored import load_classes, load_labels, load_weights
from cellshuffle.loading.samplers import is_sequential, is_weighted, sampler_of
from cellshuffle.orphans import end_with_parent
from cellshuffle.training import distributed
from cellshuffle.training.checkpoint import fingerprint
from cellshuffle.training.devices import device_of
from cellshuffle.training.launch import DETAIL, MESSAGE
from cellshuffle.training.loop import Trainer
from cellshuffle.training.settings import Execution, Recipe


def run_job(job):
    """Train as `job` says and write its outputs.

    The checkpoint stays: were this job's end not noticed, it would have to be done again. The rule
    that gathers the scores of all trainings removes it.

    job: {"recipe", "execution": see training/settings.py, "plates": {"train": [paths], "test": [paths]},
    "labels": {"train", "test", "classes"}, "weights": path or None,
    "outputs": {"metrics", "history", "predictions", "model", "checkpoint"}}
    """
    # A packed plate takes six descriptors, and a process is given 1,024 unless it asks for more.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    recipe, execution = Recipe(**job["recipe"]), Execution(**job["execution"])
    classes = load_classes(job["labels"]["classes"])
    plates = {
        split: Plates(
            job["plates"][split],
            recipe.max_cells[split],
            layer=recipe.layer,
            workers=execution.workers,
            read_depth=execution.read_depth,
            random=split == "train" and not is_sequential(recipe.sampler),
            unique_genes=recipe.transform != "none",
            where=where_of(job["plates"][split], recipe.where),
        )
        for split in ("train", "test")
    }
    labels = {split: load_labels(job["labels"][split], classes, len(plates[split])) for split in plates}
    weighted, order_file = is_weighted(recipe.sampler), recipe.sampler.get("path")
    weights = load_weights(job["weights"], len(plates["train"])) if weighted else None
    plates["train"], labels["train"], weights, held_out = _hold_out(
        plates["train"], labels["train"], weights, recipe.held_out
    )
    codes = dict(zip(classes, labels["train"].T, strict=True))
    files = [*itertools.chain(*job["plates"].values()), job["labels"]["train"], job["labels"]["test"]]
    files += [job["weights"]] * weighted + ([order_file] if order_file else [])
    # More epochs are the same ones and then some.
    deciding = asdict(replace(recipe, epochs=0, device=device_of(recipe.device)))
    if not is_sequential(recipe.sampler):
        into_memory(plates["train"])
    result = Trainer(
        (plates["train"], labels["train"]),
        (plates["test"], labels["test"]),
        classes,
        sampler_of(recipe.sampler, weights, codes),
        recipe,
        execution,
        job["outputs"]["checkpoint"],
        fingerprint([deciding, classes], files),
        held_out,
    ).train()
    if result is not None:
        _write(job["outputs"], recipe, result, plates, classes, labels["test"])


def _hold_out(plates, labels, weights, parts):
    """Plates, labels, weights (or None) of the cells to train on; {part: (plates, labels)} of others."""
    if not parts:
        return plates, labels, weights, {}
    sizes = plates.plate_sizes.tolist()
    kept, cells = cells_kept(parts, sizes), held_out_cells(sizes, parts)
    held_out = {part: (plates.only(own), labels[own]) for part, own in cells.items()}
    return plates.only(kept), labels[kept], None if weights is None else weights[kept], held_out


def _write(outputs, recipe, result, plates, classes, test_labels):
    state, tasks = result.state, list(classes)
    with atomic_write(outputs["model"]) as partial, open(partial, "wb") as file:
        n_columns = recipe.hidden[0] if recipe.hidden else sum(map(len, classes.values()))
        parameters = {
            "weight": state.weight[:, :n_columns].contiguous().cpu(),
            "bias": state.bias[:n_columns].contiguous().cpu(),
        }
        if state.layers:
            parameters["layers"] = [[part.detach().cpu() for part in layer] for layer in state.layers]
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
            "strategy": recipe.strategy,
            "seed": recipe.seed,
            "epochs": recipe.epochs,
            "fingerprint": recipe.fingerprint(),
            "n_train": len(plates["train"]),
            "n_test": len(plates["test"]),
            "tasks": tasks,
            "scores": result.scores,
            "order_sha256": state.orders,
        }
        | ({"held_out": result.held_out} if result.held_out else {}),
    )


if __name__ == "__main__":  # one of the processes of torchrun
    end_with_parent()
    try:
        description = read_json(sys.argv[1])
        distributed.join(device_of(description["recipe"]["device"]))
        run_job(description)
        distributed.leave()
    except BaseException as reason:
        for_people = isinstance(reason, InputError | Stopped)
        prefix, text = (MESSAGE, str(reason)) if for_people else (DETAIL, traceback.format_exc())
        for line in text.splitlines():
            say(prefix + line)
        # At once: to leave the group, a process waits for the others, which may wait for a sum of this one.
        os._exit(1)
