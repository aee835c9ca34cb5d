"""What it costs to write the cells of an atlas once more in another order: tried on a part of them."""

import os
import time
from pathlib import Path

import numpy as np

AT_ONCE = 16_384  # cells that are read together, sorted, and written in their new order
MOST = 100_000  # cells that are written
NAME = "rewriting.partial"


def measure_rewriting(plates, cells, folder):
    """Write the counts of the first of `cells` into a file, which is removed again.

    plates: Plates; cells: (n,) cell numbers in the new order, so that the first come from all over the atlas;
    folder: where the store would lie. Returns {"cells": n, "measured_cells", "measured_bytes",
    "measured_seconds", until they are on the disk, "seconds": of all cells at that rate}.
    """
    path, measured = Path(folder) / NAME, cells[:MOST]
    began = time.perf_counter()
    try:
        with open(path, "wb") as file:
            for low in range(0, len(measured), AT_ONCE):
                block = measured[low : low + AT_ONCE]
                by_number = np.argsort(block)
                rows = plates.fetch(block[by_number]).take(np.argsort(by_number))
                for array in (rows.data, rows.indices, rows.indptr):
                    file.write(array.tobytes())
            n_bytes = file.tell()
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)
    seconds = time.perf_counter() - began
    return {
        "cells": len(cells),
        "measured_cells": len(measured),
        "measured_bytes": n_bytes,
        "measured_seconds": round(seconds, 3),
        "seconds": round(seconds * len(cells) / max(1, len(measured)), 3),
    }
