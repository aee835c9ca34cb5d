"""How fast this machine packs, reads and trains: the real code, for some seconds, on a small block."""

import math
import time
from contextlib import suppress

import numpy as np
import torch

from cellshuffle.atlas.h5ad import matrix_format, matrix_of, open_hdf5
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.plates import Plates, Rows
from cellshuffle.atlas.selection import Selection
from cellshuffle.errors import InputError
from cellshuffle.loading.coverage import read_order
from cellshuffle.loading.minibatches import epoch_batches
from cellshuffle.loading.samplers import is_labelled, is_weighted, loading_of, sampler_of
from cellshuffle.packing.pack import pack_plate
from cellshuffle.training.batches import LABELS, training_loader
from cellshuffle.training.loop import take_step
from cellshuffle.training.model import criterion_of, heads_of
from cellshuffle.training.settings import Recipe
from cellshuffle.training.state import new_state

PACKED_CELLS = 512  # that the packing rate is measured on
MAX_CELLS = 8192  # of the block
PASSES = 4  # over the block, at least, of a measurement of loading
SECONDS = 0.5  # of every measurement, at least one pass
# Keys of a strategy that the block is too small for.
TOO_LARGE = ("total_size", "sampling_size", "replace", "drop_last")


def calibrate(survey, strategies, training, folder, linear=False):
    """Cells a second: {"pack", "train", "in_order", "load": {strategy: rate}}; the device used; every
    pass over the cells by loading alone under "measured", as rows of a table.

    survey: a Survey; strategies, training: sections of the config; folder: for temporary files,
    where the packed plates will lie; linear: whether the linear model is trained too, whose rate is then
    measured as well ("train_linear"). Without a GPU the CPU is measured, whatever the config says.
    """
    device = training["device"] if torch.cuda.is_available() else "cpu"
    fetch = max(math.prod(loading_of(entry, training).values()) for entry in strategies.values())
    block = _block(survey, int(np.clip(fetch, 2048, MAX_CELLS)))
    packed, source = folder / "packed.h5ad", folder / "source.h5ad"
    rates = {"pack": _packing_rate(survey, block, source, packed), "device": device}
    _write(source, block, survey.n_genes)
    pack_plate(source, packed)
    plates = Plates([packed])
    classes = {task: list(range(n)) for task, n in survey.n_classes.items()}
    sizes = list(survey.n_classes.values())
    labels = np.random.default_rng(0).integers(sizes, size=(len(plates), len(sizes)))
    training = training | {"device": device}
    rates["train"] = _training_rate(packed, labels, classes, training)
    if linear:
        rates["train_linear"] = _training_rate(packed, labels, classes, training | {"model": {"hidden": []}})
    in_order = _loading_rates(plates, labels, {"sampler": "Streaming"}, training)
    rates["in_order"] = float(np.median(in_order))
    rates["load"], measured = {}, {}
    for name, entry in strategies.items():
        options = _options(entry)
        if str(options) not in measured:
            measured[str(options)] = _loading_rates(plates, labels, options, training)
        rates["load"][name] = float(np.median(measured[str(options)]))
    rates["measured"] = [
        {"strategy": name, "cells_per_second": rate}
        for name, entry in strategies.items()
        for rate in measured[str(_options(entry))]
    ]
    return rates


def _packing_rate(survey, block, source, packed):
    """Cells a second: of the first cells of a zarr store or Parquet files that are there, else of an h5ad."""
    there = [path for path in survey.files if not path.endswith(".h5ad")]
    shape = None
    if there:
        with open_plate(there[0]) as file:
            form, shape = matrix_format(matrix_of(file, survey.layer))
            shape = None if form == "csc" else shape  # all of it would be read
    if shape:
        plate = there[0], packed, survey.layer, Selection(np.arange(min(shape[0], MAX_CELLS)))
    else:
        _write(source, block, survey.n_genes, PACKED_CELLS, compression="gzip")
        plate = source, packed
    began = time.perf_counter()
    pack_plate(*plate)
    return (min(shape[0], MAX_CELLS) if shape else PACKED_CELLS) / (time.perf_counter() - began)


def _training_rate(path, labels, classes, training):
    """Cells a second of the training loop, loading included, on blocks in order."""
    names = ("batch_size", "fetch_factor", "learning_rate", "transform", "device")
    streaming = {"sampler": "Streaming"}
    hidden = training["model"]["hidden"]
    recipe = Recipe("plan", streaming, 0, 1, hidden=hidden, **{name: training[name] for name in names})
    torch.set_num_threads(training["threads"])
    heads = heads_of(classes)
    state = new_state(Plates([path]).n_genes, heads, recipe)
    criterion = criterion_of(heads, state.parameters[-1])

    def seconds_for(n_cells):
        plates, previous, began = Plates([path], max_cells=n_cells), None, time.perf_counter()
        loader = training_loader(
            plates, labels[: len(plates)], sampler_of(streaming), recipe.transform, state.weight.device,
            batch_size=recipe.batch_size, fetch_factor=recipe.fetch_factor, prefetch=training["prefetch"],
        )  # fmt: skip
        state.weight.grad.zero_()
        with torch.no_grad():
            for batch in loader:
                take_step(state, batch.X, batch.obs[LABELS], criterion, len(batch), previous)
                previous = batch.X
        state.losses.sum().item()  # waits until a GPU has done its work
        return time.perf_counter() - began

    n_cells = min(4 * recipe.batch_size, len(labels))
    seconds_for(n_cells)  # the first steps claim memory
    seconds = seconds_for(n_cells)
    if seconds < SECONDS:  # too short to tell
        n_cells = int(min(len(labels), n_cells * SECONDS / seconds))
        seconds = seconds_for(n_cells)
    return n_cells / seconds


def _options(entry):
    return {key: value for key, value in entry.items() if key not in TOO_LARGE}


def _loading_rates(plates, labels, entry, training):
    """Cells a second of reading alone, in a strategy's order, from memory: a number a pass."""
    loading = loading_of(entry, training)
    sampler = _sampler_on(entry, len(plates))
    rates, began = [], time.perf_counter()
    while len(rates) < PASSES or time.perf_counter() - began < SECONDS:
        cells, started = 0, time.perf_counter()
        for batch in epoch_batches(plates, sampler, labels, epoch=len(rates), **loading):
            cells += len(batch.cells)
        rates.append(cells / (time.perf_counter() - started))
    return rates[1:]  # the first one fills caches


def _sampler_on(entry, n_cells):
    """A strategy's sampler over the few cells of the block."""
    if "path" in entry:  # its cell numbers are those of the whole atlas
        cells = read_order(entry["path"])[0, :n_cells].astype(np.int64)
        sampler = sampler_of(entry)
        sampler.rows = np.unique(cells, return_inverse=True)[1][None]
        return sampler
    weights = np.ones(n_cells) if is_weighted(entry) else None
    return sampler_of(entry, weights, {entry["task"]: np.zeros(n_cells, int)} if is_labelled(entry) else None)


def _block(survey, n_cells):
    """Rows of the atlas's first plate, or made-up ones with as many genes and values a cell."""
    for path in survey.files[:1]:
        with suppress(InputError):  # of a CSC matrix, say
            plates = Plates([path], max_cells=n_cells)
            if plates.n_genes == survey.n_genes and len(plates) >= PACKED_CELLS:
                return plates[np.arange(len(plates))]
    generator, genes = np.random.default_rng(0), []
    for _ in range(n_cells):
        # A few thousand genes are found in most cells, most genes in few.
        drawn = generator.exponential(survey.n_genes / 12, int(1.25 * survey.nonzeros) + 1)
        drawn = np.unique(drawn.astype(np.int64))
        genes.append(drawn[drawn < survey.n_genes])
    indptr = np.cumsum([0, *map(len, genes)])
    return Rows(np.ones(indptr[-1], np.float32), np.concatenate(genes), indptr)


def _write(path, rows, n_genes, max_cells=MAX_CELLS, compression=None):
    """An h5ad that holds little but the matrix of the first `max_cells` rows."""
    indptr = rows.indptr[: max_cells + 1]
    data, indices = rows.data[: indptr[-1]], rows.indices[: indptr[-1]]
    shape = np.array([len(indptr) - 1, n_genes])
    with open_hdf5(path, "w") as file:
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "shape": shape})
        x.create_dataset("data", data=data.astype(np.float32), compression=compression)
        x.create_dataset("indices", data=indices.astype(np.int32), compression=compression)
        x.create_dataset("indptr", data=indptr.astype(np.int64))
        for name, length in zip(("obs", "var"), shape, strict=True):
            table = file.create_group(name)
            table.attrs["_index"] = "_index"
            table.create_dataset("_index", data=np.arange(length).astype("S"))
