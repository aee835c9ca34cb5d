"""The stages that benchmarks/scale.py measures, each in a process of its own.

`python benchmarks/scale_stages.py plates|labels|weights|indices|train FOLDER ...` prints seconds, the
peak of memory and the memory at the start, both in MiB.
"""

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import atlas as bench

N_PLATES = 14


def timed(run):
    """Call `run`; print seconds, peak MiB and MiB at the start."""
    from cellshuffle.training.state import peak_memory_mib

    base, began = peak_memory_mib(), time.perf_counter()
    run()
    print(json.dumps([time.perf_counter() - began, peak_memory_mib(), base]))


def make_plates(folder, n_cells):
    """Plates with an obs and no counts; stored as packed plates are. Lines and drugs of Tahoe-100M."""
    import h5py
    import numpy as np

    generator = np.random.default_rng(0)
    n_plate = -(-n_cells // N_PLATES)
    (folder / "drugs.csv").write_text(
        "drug,moa-broad,moa-fine\n" + "".join(f"drug {k},broad {k % 4},fine {k % 27}\n" for k in range(380))
    )
    for plate in range(1, N_PLATES + 1):
        with h5py.File(folder / f"plate{plate}.h5ad", "w") as file:
            obs = file.create_group("obs")
            obs.attrs["_index"] = "_index"
            size = min(n_plate, n_cells - n_plate * (plate - 1))
            obs.create_dataset("_index", shape=size, dtype="S1")  # names that nothing reads
            for column, n_values, kind in (("cell_line", 50, np.int8), ("drug", 380, np.int16)):
                group = obs.create_group(column)
                codes = generator.integers(0, n_values, size).astype(kind)
                group.create_dataset("codes", data=codes)
                names = [f"{column.split('_')[0]} {k}" for k in range(n_values)]
                group.create_dataset("categories", data=names)


def script(name, snakemake):
    """The main function of a rule's script."""
    from cellshuffle.jobs import run

    run.run_rule = lambda main, _: main(snakemake)
    text = (bench.LIBRARY / f"{name}.py").read_text()
    exec(compile(text, name, "exec"), {"snakemake": snakemake})


def labels_of(folder):
    """What rule encode_labels is given: all plates for training, the last for the test too."""
    paths = [str(folder / f"plate{plate}.h5ad") for plate in range(1, N_PLATES + 1)]
    table = {"table": str(folder / "drugs.csv"), "key": "drug"}
    tasks = {"cell_line": {"column": "cell_line"}, "drug": {"column": "drug"}}
    for task, value in (("moa_broad", "moa-broad"), ("moa_fine", "moa-fine")):
        tasks[task] = {"column": "drug", "lookup": table | {"value": value}}
    outputs = {name: folder / f"{name}.npy" for name in ("train", "test")}
    return SimpleNamespace(
        input=Named(train=paths, test=paths[-1:]),
        output=Named(outputs | {"classes": folder / "classes.json", "plates": folder / "plates.csv"}),
        params=Named(
            tasks=tasks,
            plates={"train": [*range(1, N_PLATES + 1)], "test": [N_PLATES]},
            max_cells={"train": None, "test": None},
            origins=[],
            where=None,
        ),
    )


def weights_of(folder):
    """What rule weigh_cells is given."""
    return SimpleNamespace(
        input=Named(
            classes=folder / "classes.json",
            labels=folder / "train.npy",
            plates=folder / "plates.csv",
            train=[],
        ),
        output=Named(
            combinations=folder / "combinations.csv",
            cells=folder / "weights.npy",
            classes=folder / "classes.csv",
        ),
        params=Named(balance=["cell_line", "drug"], baseline=1000, where=None, held_out={}),
    )


class Named(dict):
    """Named inputs, outputs or parameters of a rule, as attributes and as items."""

    __getattr__ = dict.__getitem__


def draw_indices(folder, n_cells, entry):
    """One epoch's indices, from the weights on disk on."""
    import numpy as np
    from cellshuffle.files import load_npy, read_json
    from cellshuffle.loading.orders import PlateSizes, epoch_indices
    from cellshuffle.loading.samplers import is_weighted, sampler_of

    weights = load_npy(folder / "weights.npy") if is_weighted(entry) else None
    labels = dict(zip(read_json(folder / "classes.json"), load_npy(folder / "train.npy").T, strict=True))
    plates = PlateSizes(np.diff(np.linspace(0, n_cells, N_PLATES + 1).astype(int)))
    assert len(epoch_indices(sampler_of(entry, weights, labels), plates, 0, 1)) == n_cells


def train(plate, n_cells, entry):
    """An epoch over the first `n_cells` cells, with the library's own loop."""
    import tempfile

    import numpy as np
    from cellshuffle.atlas.plates import Plates
    from cellshuffle.loading.samplers import is_sequential, sampler_of
    from cellshuffle.training.loop import Trainer
    from cellshuffle.training.settings import PREFETCH, Execution, Recipe

    classes = {"cell_line": [f"line {k}" for k in range(50)]}
    labels = np.load(plate.parent / f"labels{n_cells}.npy", mmap_mode="r")
    split = Plates([plate], n_cells, random=not is_sequential(entry)), labels
    recipe = Recipe("benchmark", entry, 0, 1, 64, 16, 1e-4, device="cpu")
    sampler = sampler_of(entry, 1.0 / (1 + np.arange(n_cells) % 7))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        test = Plates([plate], 1024), labels[:1024]
        Trainer(
            split, test, classes, sampler, recipe, Execution(prefetch=PREFETCH), checkpoint, "bench"
        ).train()


def run_stage(stage, *arguments):
    folder = Path(arguments[0])
    if stage == "plates":
        timed(lambda: make_plates(folder, int(arguments[1])))
    elif stage == "labels":
        timed(lambda: script("encode_labels", labels_of(folder)))
    elif stage == "weights":
        timed(lambda: script("weigh_cells", weights_of(folder)))
    elif stage == "indices":
        timed(lambda: draw_indices(folder, int(arguments[1]), json.loads(arguments[2])))
    elif stage == "train":
        import numpy as np

        n_cells = int(arguments[1])
        codes = (np.arange(n_cells, dtype=np.uint16) % 50)[:, None]
        np.save(folder.parent / f"labels{n_cells}.npy", codes)
        timed(lambda: train(folder, n_cells, json.loads(arguments[2])))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_stage(*sys.argv[1:])
