"""Small trainings of the library itself, to be stopped and started again."""

import os
import signal
from dataclasses import fields

import numpy as np
import pytest
import scipy.sparse as sp
from atlases import write_plate
from cellshuffle.errors import Stopped
from cellshuffle.files import write_json
from cellshuffle.training import loop
from cellshuffle.training.job import run_job
from cellshuffle.training.settings import Execution

STRATEGIES = {
    "buffer": {"sampler": "Streaming", "shuffle": True},
    "blocks": {"sampler": "BlockShuffling", "block_size": 4},
    "weighted": {"sampler": "BlockWeightedSampling", "block_size": 2},
}
BATCH, FETCH, EPOCHS = 8, 4, 3
N_TRAIN = 270
STEPS = -(-N_TRAIN // BATCH)  # an epoch's
SAME = ("metrics.json", "predictions.npz", "model.pt")


def write_inputs(folder):
    """Three plates, labels and weights."""
    generator = np.random.default_rng(0)
    for number, n_cells in enumerate((150, 120, 60)):
        counts = sp.random_array((n_cells, 40), density=0.2, rng=generator).toarray()
        write_plate(folder / f"{number}.h5ad", np.ceil(9 * counts).astype("f4"), "csr", {}, "i4")
    for split, n_cells in (("train", N_TRAIN), ("test", 60)):
        codes = generator.integers(0, [3, 5], (n_cells, 2)).astype(np.uint16)
        np.save(folder / f"{split}.npy", codes)
    np.save(folder / "weights.npy", generator.random(N_TRAIN))
    write_json(folder / "classes.json", {"line": list("abc"), "drug": list("vwxyz")})


EXECUTION = [field.name for field in fields(Execution)]


def job_of(atlas, folder, strategy, **settings):
    """A training as `run_job` takes it; settings: of its recipe or its execution."""
    settings = {
        "seed": 3,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "fetch_factor": FETCH,
        "learning_rate": 0.01,
        "device": "cpu",
        "prefetch": 0,
    } | settings
    names = {"metrics": SAME[0], "predictions": SAME[1], "model": SAME[2], "history": "history.csv"}
    return {
        "recipe": {"strategy": strategy, "sampler": STRATEGIES[strategy]}
        | {name: value for name, value in settings.items() if name not in EXECUTION},
        "execution": {name: value for name, value in settings.items() if name in EXECUTION},
        "plates": {"train": [atlas / "0.h5ad", atlas / "1.h5ad"], "test": [atlas / "2.h5ad"]},
        "labels": {name: atlas / f"{name}.npy" for name in ("train", "test")}
        | {"classes": atlas / "classes.json"},
        "weights": atlas / "weights.npy",
        "outputs": {name: str(folder / file) for name, file in names.items()}
        | {"checkpoint": str(folder / "checkpoint.pt")},
    }


def results(folder):
    return {name: (folder / name).read_bytes() for name in SAME}


def undisturbed_results(atlas, folder):
    """{strategy: content of the results} of trainings that nothing stopped."""
    found = {}
    for strategy in STRATEGIES:
        run_job(job_of(atlas, folder / strategy, strategy))
        found[strategy] = results(folder / strategy)
    return found


def at_step(monkeypatch, number, act):
    """Call `act` when the model takes its step `number`, counted over all epochs, from 1."""
    taken, original = [], loop.take_step

    def counting(*arguments):
        taken.append(1)
        if len(taken) == number:
            act()
        return original(*arguments)

    monkeypatch.setattr(loop, "take_step", counting)
    return taken


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def stopped(atlas, folder, monkeypatch, **settings):
    """A folder with the checkpoint of a training that was stopped; its job."""
    job = job_of(atlas, folder, "buffer", **settings)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        at_step(patch, 7, terminate)
        run_job(job)
    return job
