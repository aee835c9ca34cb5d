"""Plates read into memory before a training in random order, so that its first epoch finds them there.

Cell by cell a disk gives less than in sequence (benchmarks/README.md), and plates that were packed, or
copied, elsewhere or long ago are in nobody's memory.
"""

import os

from cellshuffle.atlas.direct import memory_limit
from cellshuffle.atlas.plates import Plates
from cellshuffle.console import progress
from cellshuffle.phrasing import byte_words

SHARE = 0.5  # of memory, that the plates may take
AT_ONCE = 2**20  # bytes of one read


def into_memory(plates: Plates) -> None:
    """Read the files of plates into the page cache, as far as they are not there.

    Not where they take more than SHARE of memory, or are read past the page cache; and not a plate of
    which less than half of the cells are in the sequence.

    >>> into_memory(Plates([plate]))
    """
    sizes = zip(plates.plates, plates.plate_sizes, strict=True)
    paths = [plate.path for plate, n_cells in sizes if 2 * n_cells >= plate.n_cells]
    n_bytes = sum(map(os.path.getsize, paths))
    if plates.read_depth or n_bytes > SHARE * memory_limit():
        return
    missing = [(path, offset) for path in paths for offset in _missing(path)]
    bar = progress(len(missing) * AT_ONCE, "bytes", f"reading {byte_words(n_bytes)} of plates into memory")
    buffer = bytearray(AT_ONCE)
    for path, offset in missing:
        with open(path, "rb", buffering=0) as file:
            os.preadv(file.fileno(), [buffer], offset)
        bar.update(AT_ONCE)
    bar.close()


def _missing(path):
    """Offsets of the stretches of AT_ONCE bytes whose first byte is not in memory."""
    with open(path, "rb", buffering=0) as file:
        return [n for n in range(0, os.path.getsize(path), AT_ONCE) if not _is_in_memory(file.fileno(), n)]


def _is_in_memory(file, offset):
    try:
        return os.preadv(file, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:  # not in memory, or this file system does not say
        return False
