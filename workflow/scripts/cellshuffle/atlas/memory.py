"""Large arrays in memory that was used before.

The system gives new memory in pages, each of which it must clear and map at its first use: for the dense
counts of a minibatch that takes longer than to fill them in.
"""

import math
import sys
from collections import deque

import numpy as np

SMALLEST = 2**20  # bytes of an array that is worth it
KEPT = 2**29  # bytes of all buffers that are kept


def _references(entry):
    return sys.getrefcount(entry[0])


IDLE = _references([np.empty(1)])  # of a buffer that no array looks into any more
_buffers = deque()  # [buffer] each


def empty(shape, dtype):
    """As numpy.empty; a large array may lie where an earlier one did that nobody refers to any more."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    for _ in range(len(_buffers)):
        try:
            entry = _buffers.popleft()  # another thread cannot find it now
        except IndexError:
            break
        idle = _references(entry) == IDLE
        if idle and len(entry[0]) < size:
            continue  # of smaller matrices, and free to go
        array = entry[0][:size].view(dtype).reshape(shape) if idle else None
        _buffers.append(entry)
        if idle:
            return array
    buffer = np.empty(size, np.uint8)
    if size + sum(len(entry[0]) for entry in list(_buffers)) <= KEPT:
        _buffers.append([buffer])
    return buffer.view(dtype).reshape(shape)
