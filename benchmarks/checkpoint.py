"""What checkpoints cost at the full size of Tahoe-100M: `python benchmarks/checkpoint.py [folder] [minutes]`.

Trains on random counts (no plate is read) with and without checkpoints a few seconds apart, so that their
cost shows, and says what it comes to at the default interval. The folder is the disk that is measured.
"""

import sys
import tempfile
import time
from pathlib import Path

import atlas  # noqa: F401  (finds the library)
import numpy as np
import torch
from cellshuffle.atlas.plates import Rows
from cellshuffle.training.checkpoint import load_checkpoint, save_checkpoint
from cellshuffle.training.counts import SparseCounts
from cellshuffle.training.loop import take_step
from cellshuffle.training.model import criterion_of, heads_of
from cellshuffle.training.settings import Recipe
from cellshuffle.training.state import new_state
from measure import ceiling, write_tables

GENES, EXPRESSED, BATCH = 62_710, 2_100, 64
CLASSES = {"cell_line": 50, "drug": 380, "moa_broad": 4, "moa_fine": 27}
STEPS, EVERY = 160, 20  # steps of a pass; steps between its checkpoints
DEFAULT_MINUTES = 10


def start():
    heads = heads_of({task: range(n) for task, n in CLASSES.items()})
    state = new_state(GENES, heads, Recipe("benchmark", {}, 0, 1, BATCH, 16, 1e-5, device="cpu"))
    return state, criterion_of(heads, state.parameters[-1])


def batches(n):
    """Counts of random cells, few genes being expressed often, as in real ones."""
    generator = np.random.default_rng(0)
    likely = generator.lognormal(0, 2, GENES)
    for _ in range(n):
        genes = [
            generator.choice(GENES, EXPRESSED, replace=False, p=likely / likely.sum(), shuffle=False)
            for _ in range(BATCH)
        ]
        counts = generator.integers(1, 9, BATCH * EXPRESSED).astype(np.float32)
        indptr = np.arange(BATCH + 1) * EXPRESSED
        labels = torch.from_numpy(generator.integers(0, list(CLASSES.values()), (BATCH, len(CLASSES))))
        rows = Rows(counts, np.concatenate(genes).astype(np.int32), indptr)
        yield SparseCounts(rows, "none", GENES), labels


def train(state, criterion, prepared, steps, save):
    """Seconds of `steps` steps, of which seconds spent in `save`, called every EVERY steps."""
    began, saving, previous = time.perf_counter(), 0.0, None
    for step in range(steps):
        counts, labels = prepared[step % len(prepared)]
        take_step(state, counts, labels, criterion, BATCH, previous)
        previous = counts
        if save and step % EVERY == EVERY - 1:
            now = time.perf_counter()
            save()
            saving += time.perf_counter() - now
    return time.perf_counter() - began, saving


def main(folder=None, minutes=DEFAULT_MINUTES):
    torch.set_num_threads(1)
    with torch.no_grad(), tempfile.TemporaryDirectory(dir=folder) as scratch:
        path, (state, criterion) = Path(scratch) / "checkpoint.pt", start()
        prepared = list(batches(8))
        train(state, criterion, prepared, 20, None)  # Adam's moments exist, memory is warm

        def save():
            save_checkpoint(path, "benchmark", state, state.losses)

        plain, _ = train(state, criterion, prepared, STEPS, None)
        saved, saving = train(state, criterion, prepared, STEPS, save)
        now = time.perf_counter()
        load_checkpoint(path, "benchmark", state, epochs=1)
        reading, size = time.perf_counter() - now, path.stat().st_size
    each = saving / (STEPS // EVERY)
    share = each / (60 * float(minutes) + each)
    rows = [
        {"what": "size of a checkpoint", "value": size / 1e6, "unit": "MB"},
        {"what": "write, flush and rename one", "value": each, "unit": "s"},
        {"what": "read one", "value": reading, "unit": "s"},
        {"what": "training step, without", "value": 1000 * plain / STEPS, "unit": "ms"},
        {"what": "training step, between", "value": 1000 * (saved - saving) / STEPS, "unit": "ms"},
        {"what": f"share of time, every {minutes} min", "value": 100 * share, "unit": "%"},
    ]
    rows = [row | {"value": f"{row['value']:.3g}"} for row in rows]
    write_tables("checkpoint", rows, [ceiling(f"share of time, every {minutes} min", share, 0.02)])


if __name__ == "__main__":
    main(*sys.argv[1:])
