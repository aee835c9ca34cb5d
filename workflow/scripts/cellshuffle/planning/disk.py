"""How fast a disk gives what the orders of cells ask of it, measured by direct reads for some seconds."""

import os
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from cellshuffle.atlas.direct import (
    ALIGNED,
    DEPTH,
    LONGEST,
    Queue,
    Reads,
    memory_limit,
    open_direct,
    reads_directly,
)
from cellshuffle.errors import InputError
from cellshuffle.loading.samplers import is_sequential
from cellshuffle.packing.format import BYTES, COUNT_TYPE, index_type, packed_size

SECONDS = 0.7  # of every measurement
UNDER_WAY = 2**26  # bytes of reads under way, at most
IN_ORDER = 32  # reads of LONGEST bytes under way, of cells in order
LEAST = 2**26  # bytes of files that are worth reading at random places
WRITTEN = 2**28  # bytes of a file that is written where there are none


def disk_limits(survey, strategies, plates, folder):
    """What the disk gives where the packed train cells are larger than memory; None where they are not.

    survey: a Survey; strategies: {name: entry}; plates: those of the survey's request; folder: where packed
    plates go. Returns {"packed", "memory": bytes, "source": what was read, in words, "load": {strategy: cells
    a second}, "in_order": cells a second, "reads": random reads of a cell's size, "read_bytes", a second,
    "bytes": a second in order}; "source" is None, and the others are not there, where the disk allows no
    direct reads.
    """
    n_cells, memory = survey.cells["train"], memory_limit()
    packed = packed_size(n_cells, n_cells * survey.nonzeros, survey.n_genes)
    if packed <= memory:
        return None
    bytes_a_cell = survey.nonzeros * (BYTES[COUNT_TYPE] + BYTES[index_type(survey.n_genes)])
    # A block is two reads, of its values and of its gene indices. Large ones are read like cells in order.
    blocks = {
        name: entry.get("block_size", 1) for name, entry in strategies.items() if not is_sequential(entry)
    }
    sizes = {block: int(block * bytes_a_cell / 2) for block in {1, *blocks.values()}}
    random = {block: size for block, size in sizes.items() if size < LONGEST}
    folder = next(part for part in (Path(folder), *Path(folder).parents) if part.is_dir())
    reads, in_order, source = disk_speed([*random.values()], _files(plates, folder), folder)
    limits = {"packed": packed, "memory": memory, "source": source}
    if source is None:
        return limits
    streaming = in_order / bytes_a_cell
    by_block = {block: reads[size] * block / 2 for block, size in random.items()}
    load = {name: by_block.get(blocks.get(name), streaming) for name in strategies}
    return limits | {
        "load": load,
        "in_order": streaming,
        "reads": reads[sizes[1]],
        "read_bytes": sizes[1],
        "bytes": in_order,
    }


def limited(rows, disk):
    """Measured rates of loading from memory, rows of loading.csv, as what the disk leaves of them."""
    if not disk or not disk["source"]:
        return rows
    return [
        {
            "strategy": row["strategy"],
            "cells_per_second": min(row["cells_per_second"], disk["load"][row["strategy"]]),
            "read_from": "disk",
        }
        for row in rows
    ]


def _files(plates, folder):
    """Paths to read from: packed plates, else those to pack where they are on the disk of `folder`."""
    packed = [plate["packed"] for plate in plates if plate["packed"] and os.path.exists(plate["packed"])]
    if packed:
        return packed
    sources = [plate["source"] for plate in plates if os.path.isfile(plate["source"])]
    return [path for path in sources if os.stat(path).st_dev == os.stat(folder).st_dev]


def disk_speed(sizes, files, folder, seconds=SECONDS):
    """How fast a disk gives direct reads of these sizes, in bytes, at random places, and large ones in order.

    files: paths of what is read; where they hold too little, a temporary file in `folder`. Returns
    ({size: reads a second}, bytes a second in order, what was read, in words), the last None where the disk
    allows no direct reads. Raises InputError when nothing can be written to `folder`.
    """
    files = [path for path in files if os.path.getsize(path) > max(sizes, default=0)]
    if sum(map(os.path.getsize, files)) >= LEAST:
        return _speed(sizes, files, seconds, f"of {Path(files[0]).parent}")
    try:
        with tempfile.NamedTemporaryFile(prefix=".cellshuffle-disk-", dir=folder) as file:
            part = np.random.default_rng(0).bytes(LONGEST)
            for _ in range(WRITTEN // LONGEST):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
            return _speed(sizes, [file.name], seconds, f"of a temporary file in {os.path.abspath(folder)}")
    except OSError as error:
        raise InputError(f"{folder}: its disk cannot be measured: {error.strerror}") from None


def _speed(sizes, paths, seconds, words):
    if not reads_directly(paths[0]):
        return {}, 0, None
    with ExitStack() as stack:
        files = [stack.enter_context(open_direct(path)) for path in paths]
        random = {size: read_rate(_random(files, size), DEPTH, seconds)[0] for size in sizes}
        return random, read_rate(in_order(files), IN_ORDER, seconds)[1], words


def read_rate(reads, depth, seconds):
    """(reads, bytes) a second of direct reads, up to `depth` of them under way, for about so many seconds.

    reads: iterable of (open file, (k,) bytes at which reads begin, (k,) their lengths): multiples of ALIGNED,
    no length larger than LONGEST.
    """
    queue, batches, n_reads, n_bytes = Queue(depth), deque(), 0, 0
    began = time.perf_counter()
    for file, begin, length in reads:
        batches.append(Reads(queue, file, os.fstat(file.fileno()).st_size, begin, length))
        n_reads, n_bytes = n_reads + len(begin), n_bytes + batches[-1].expected
        n_ahead, bytes_ahead = map(sum, zip(*(batch.size for batch in batches), strict=True))
        if n_ahead < 2 * depth and bytes_ahead < UNDER_WAY:
            continue
        batches.popleft().wait()
        if time.perf_counter() - began > seconds:
            break
    elapsed = time.perf_counter() - began
    for batch in batches:
        n_reads -= batch.n_missing
        n_bytes -= batch.expected - batch.n_bytes
    for batch in batches:
        batch.wait()
    return n_reads / elapsed, n_bytes / elapsed


def _random(files, size, count=128):
    """Reads of so many bytes at random places, `count` at a time, without end."""
    generator = (
        np.random.default_rng()
    )  # other places each time: the disk may remember those of the last time
    lengths = np.array([os.fstat(file.fileno()).st_size for file in files])
    while True:
        number = generator.choice(len(files), p=lengths / lengths.sum())
        first = generator.integers(0, lengths[number] - size, count)
        begin = first // ALIGNED * ALIGNED
        yield files[number], begin, -(-(first + size) // ALIGNED) * ALIGNED - begin


def in_order(files, count=8):
    """Reads of LONGEST bytes, `count` at a time, one file after the other, without end."""
    while True:
        for file in files:
            begin = np.arange(0, os.fstat(file.fileno()).st_size, LONGEST)
            for low in range(0, len(begin), count):
                part = begin[low : low + count]
                yield file, part, np.full(len(part), LONGEST)
