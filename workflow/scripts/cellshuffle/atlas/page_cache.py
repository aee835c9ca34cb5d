"""Plates read into memory before a training in random order, so that its first epoch finds them there.

Cell by cell a disk gives less than in sequence (benchmarks/README.md), and plates that were packed, or
copied, elsewhere or long ago are in nobody's memory.
"""

import os

from cellshuffle.atlas.arrays import is_in_memory
from cellshuffle.atlas.direct import memory_limit
from cellshuffle.atlas.plates import Plates
from cellshuffle.console import progress

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
    bar = progress(n_bytes, "bytes", "reading the plates into memory")
    buffer = memoryview(bytearray(AT_ONCE))
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for low in range(0, size, AT_ONCE):
                n = min(AT_ONCE, size - low)
                # Its last byte, since the system reads ahead a little of what follows the stretch before.
                if not is_in_memory(file.fileno(), low + n - 1):
                    os.preadv(file.fileno(), [buffer[:n]], low)
                bar.update(n)
    bar.close()
