"""Other people's loaders, compared when they are installed: see requirements-bench.txt.

Each makes its own copy of the training plates under data/bench once; batches of 64 stay sparse.
"""

import os
import subprocess
import sys
from pathlib import Path

import measure
from reference import BATCH

SECONDS = 1.0
BENCHMARKS = Path(__file__).parent
ANNBATCH = os.environ.get("ANNBATCH_PYTHON", sys.executable)  # the Python that has annbatch


def loaders(data):
    """{loader: {strategy: function that returns cells/s}} of the loaders that are installed."""
    found = {}
    for name, python, package, make in (
        ("BioNeMo-SCDL", sys.executable, "bionemo.scdl", scdl),
        ("annbatch", ANNBATCH, "annbatch", annbatch),
    ):
        done = subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False)
        if done.returncode:
            print(f"{name} is not installed: left out (requirements-bench.txt says how)")
        else:
            found |= make(data)
    return found


def scdl(data):
    """BioNeMo-SCDL: memory-mapped, in order and random, in one process and with a worker a core."""
    from bionemo.scdl.io.single_cell_collection import SingleCellCollection
    from bionemo.scdl.io.single_cell_memmap_dataset import SingleCellMemMapDataset
    from bionemo.scdl.util.torch_dataloader_utils import collate_sparse_matrix_batch
    from torch.utils.data import DataLoader

    store = data.folder / "scdl"
    if not store.exists():
        parts = SingleCellCollection(str(data.folder / "scdl-parts"))
        for path in data.originals:
            parts.load_h5ad(str(path), use_X_not_raw=True)
        parts.flatten(str(store), destroy_on_copy=True)
    dataset = SingleCellMemMapDataset(str(store))

    def run(shuffle, workers, dense=False):
        loader = DataLoader(
            dataset,
            batch_size=BATCH,
            shuffle=shuffle,
            num_workers=workers,
            collate_fn=collate_sparse_matrix_batch,
        )
        return measure.rate((len(batch.to_dense() if dense else batch) for batch in loader), SECONDS)

    def both(workers):
        orders = (("streaming", False), ("random_sampling", True))
        return {name: lambda shuffle=shuffle: run(shuffle, workers) for name, shuffle in orders}

    cores = os.cpu_count()
    dense = {"random_sampling": lambda: run(True, 0, dense=True)}
    return {
        "BioNeMo-SCDL": both(0),
        f"BioNeMo-SCDL, {cores} workers": both(cores),
        "BioNeMo-SCDL, dense": dense,
    }


def annbatch(data):
    """annbatch over a store pre-shuffled by it: in the store's order, in chunks of 32 and cell by cell."""

    def run(order, chunk_size):
        command = [ANNBATCH, BENCHMARKS / "annbatch_rate.py", data.folder / "annbatch.zarr"]
        command += [str(chunk_size), order, *data.originals]
        return float(subprocess.check_output(command, text=True).split()[-1])

    return {
        "annbatch, order of its store": {"streaming": lambda: run("in-order", 32)},
        "annbatch, chunks of 32": {"block_shuffling": lambda: run("shuffle", 32)},
        "annbatch": {"random_sampling": lambda: run("shuffle", 1)},
    }
