"""How fast are cells read where no memory holds the atlas, against what the disk itself gives?

`python benchmarks/disk.py [--quick]`: the six orders, minibatches of 64 with their labels, from packed plates
four times as large as the memory of the process (a control group; where none can be made, past the page
cache all the same), beside the disk's own reads of the same places, by a bare loop and, where installed, by
fio, and beside scDataset over AnnCollection (of the same cells as published) under the same limit. Writes
results/bench/disk.{csv,md,svg,png}.
`python benchmarks/disk.py --folder FOLDER [--depths 1 32 128]`: random cells of the packed plates in a
folder, on any file system, at these numbers of reads under way; writes nothing.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from itertools import islice
from pathlib import Path

import atlas as bench
import h5py
import measure
import numpy as np
import reference
import torch
from bare import Disk
from cellshuffle import Loader, Plates
from cellshuffle.atlas.copying import copy_table
from cellshuffle.atlas.plates import Plate
from cellshuffle.files import atomic_write
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.packing.format import lay_out
from limit import limited

COPIES, QUICK_COPIES = 26, 11  # of the cells of the other benchmarks: 4.3 GB, 1.8 GB
SHARE = 4  # the plates are so many times larger than the memory
LEAST_MEMORY = 2**30  # bytes: what the reference path needs for itself
SECONDS = 2.0
COLUMNS = ["cell_line", "drug"]
REFERENCE = "scDataset over AnnCollection"
SAME = {  # strategies whose reads are of the same sizes
    "true_weighted": "random_sampling",
    "block_weighted": "block_shuffling",
    "streaming_buffer": "streaming",
}
REFERENCE_SECONDS = 2.0
MISSING_FIO = "fio is not installed: the disk's own numbers are those of a bare loop of direct reads"


def repeated(source, target, count):
    """Write a packed plate that has the cells of another so many times, unless it is there already."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    plate = Plate(source)
    arrays = plate.data.array, plate.indices.array
    indptr = np.cumsum([0, *np.tile(np.diff(plate.indptr), count)])
    with atomic_write(target) as path:
        offsets = lay_out(path, indptr, [array.dtype for array in arrays], plate.n_genes)
        with h5py.File(path, "r+") as file:
            copy_table(plate.file, file, "obs", np.tile(np.arange(plate.n_cells), count))
            copy_table(plate.file, file, "var")
        with open(path, "r+b") as out:
            for array, offset in zip(arrays, offsets, strict=True):
                out.seek(offset)
                for _ in range(count):
                    out.write(array.data)


def repeated_as_published(source, target, count):
    """`repeated` for a compressed plate, whose chunks are copied as they are.

    The last chunk of each copy ends in zeros, which belong to the last cell.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(source) as plate, atomic_write(target) as path, h5py.File(path, "w") as file:
        matrix = file.create_group("X")
        (length,) = {_repeat_chunks(plate["X"][name], matrix, count) for name in ("data", "indices")}
        indptr, n_cells = plate["X/indptr"][:-1], len(plate["X/indptr"]) - 1
        matrix["indptr"] = np.append((np.arange(count)[:, None] * length + indptr).ravel(), count * length)
        matrix.attrs.update(plate["X"].attrs)
        matrix.attrs["shape"] = [count * n_cells, plate["X"].attrs["shape"][1]]
        file.attrs.update(plate.attrs)
        copy_table(plate, file, "obs", np.tile(np.arange(n_cells), count))
        copy_table(plate, file, "var")


def _repeat_chunks(dataset, group, count):
    """Elements that each copy takes: whole chunks."""
    n_chunks = -(-dataset.size // dataset.chunks[0])
    length = n_chunks * dataset.chunks[0]
    name = dataset.name.rpartition("/")[2]
    space = h5py.h5s.create_simple((count * length,))
    made = h5py.h5d.create(
        group.id, name.encode(), dataset.id.get_type(), space, dataset.id.get_create_plist()
    )
    for number in range(n_chunks):
        mask, content = dataset.id.read_direct_chunk((number * dataset.chunks[0],))
        for copy in range(count):
            made.write_direct_chunk((copy * length + number * dataset.chunks[0],), content, mask)
    return length


def steady(batches, seconds, fetch=16):
    """Cells/s of an iterable of batch sizes from the second fetch on: what comes before is the beginning."""
    batches = iter(batches)
    for _ in islice(batches, fetch):
        pass
    return measure.rate(batches, seconds, fetch)


def own(plates, entry, weights):
    """Cells/s of a Loader in the order of a strategy, from the disk."""
    measure.drop_from_cache([plate.path for plate in plates.plates])
    loader = Loader(plates, sampler_of(entry, weights), form="csr", prefetch=0, **reference.LOADING)
    return steady((len(batch) for batch in loader.epoch(0)), SECONDS)


def published(paths, collection, entry, weights, encoders):
    """Cells/s of the reference path, from the disk."""
    measure.drop_from_cache(paths)
    epoch = reference.batches(collection, entry, weights, encoders)
    return steady((len(codes) for _, codes in epoch), REFERENCE_SECONDS)


def contenders(data, packed, originals, count, depth, folder):
    """{(loader, strategy): function that returns cells/s}."""
    plates = Plates(packed, obs=COLUMNS, random=True, read_depth=depth)
    if not plates.read_depth:
        sys.exit("this file system has no reads past the page cache: nothing to measure")
    weights = np.concatenate([np.tile(part, count) for part in np.split(data.weights(), len(packed))])
    encoders, collection = reference.lookups(data), reference.collection(originals)
    runs = {}
    for name, entry in data.strategies.items():
        runs["packed", name] = lambda entry=entry: own(plates, entry, weights)
        if SAME.get(name, name) == name:
            disk = Disk(plates, entry, folder)
            print(f"  {name}, cells/s by reads under way: {disk.tried}", flush=True)
            runs["disk alone", name] = disk.rate
        runs[REFERENCE, name] = lambda e=entry: published(originals, collection, e, weights, encoders)
    return runs


def bars(median):
    """Rows of the table of targets, from {(loader, strategy): median cells/s}."""
    rows = []
    names = [name for loader, name in median if loader == "packed"]
    for name in names:
        limit = SAME.get(name, name)
        words = "the disk in order" if limit == "streaming" else "the disk's own reads of these sizes"
        rows.append(
            measure.bar(f"{name} / {words}", median["packed", name] / median["disk alone", limit], 0.8)
        )
    for name in names:
        ratio = median["packed", name] / median[REFERENCE, name]
        least = 20 if name == "random_sampling" else 0
        rows.append(measure.bar(f"{name} / {REFERENCE}", ratio, least))
    return rows


def inside(quick, depth):
    """The measurements, in a process of limited memory."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)  # loaders alone: more threads only wait for each other
    data = bench.make_atlas(bench.WIDE)
    packed, originals, count = plates_of(data, quick)
    if shutil.which("fio") is None:
        print(MISSING_FIO)
    with tempfile.TemporaryDirectory() as folder:
        runs = contenders(data, packed, originals, count, depth, folder)
        values = measure.interleaved(runs, 1 if quick else 5)
    rows = [
        {"loader": loader} | measure.median_row(name, rates, "cells/s")
        for (loader, name), rates in values.items()
    ]
    median = {key: statistics.median(rates) for key, rates in values.items()}
    measure.write_tables("disk", rows, bars(median))
    groups = {}
    for (loader, name), rate in median.items():
        groups.setdefault(loader, {})[name] = rate
    title = "Larger than memory: 62,710 genes, batches of 64, from the disk"
    measure.draw_bars("disk", groups, "cells per second", title)


def plates_of(data, quick):
    """(packed plates, the same as published, how often each has the cells of one of the other benchmarks)."""
    count = QUICK_COPIES if quick else COPIES
    paths, originals = (
        [data.folder / folder / f"{path.stem}_{count}.h5ad" for path in data.train]
        for folder in ("disk", "disk/published")
    )
    for source, published, target, original in zip(data.train, data.originals, paths, originals, strict=True):
        repeated(source, target, count)
        repeated_as_published(published, original, count)
    return paths, originals, count


def main(quick):
    packed, _, _ = plates_of(bench.make_atlas(bench.WIDE), quick)
    memory = max(LEAST_MEMORY, sum(os.path.getsize(path) for path in packed) // SHARE)
    command = [sys.executable, __file__, *(["--quick"] if quick else [])]
    environment = os.environ | {"HDF5_USE_FILE_LOCKING": "FALSE"}  # both sides open the same files
    with limited(memory) as prefix:
        if prefix is None:
            print(
                "no control group can be made here: what is cached is dropped, and plates are read directly"
            )
            done = subprocess.run([*command, "--inside", "1024"], check=False, env=environment)
        else:
            print(f"in a control group of {memory / 1e9:.2g} GB")
            done = subprocess.run([*prefix, *command, "--inside", "-1"], check=False, env=environment)
    sys.exit(done.returncode)


def by_depth(folder, depths):
    """Print cells/s of random cells of a folder's packed plates, for each number of reads under way."""
    entry = {"sampler": "BlockShuffling", "block_size": 1}
    for depth in depths:
        plates = Plates(sorted(Path(folder).glob("*.h5ad")), random=True, read_depth=depth)
        print(f"{depth:>6} reads under way: {own(plates, entry, None):>10,.0f} cells/s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller atlas, one repetition")
    parser.add_argument("--inside", type=int, help="read_depth, -1 for none: the process that is limited")
    parser.add_argument("--folder", help="packed plates to read at each of --depths, and nothing else")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 32, 128])
    given = parser.parse_args()
    if given.folder:
        by_depth(given.folder, given.depths)
    elif given.inside is None:
        main(given.quick)
    else:
        inside(given.quick, None if given.inside < 0 else given.inside)
