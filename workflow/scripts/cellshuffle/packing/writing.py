"""Write long arrays into a file past the page cache.

Through the page cache each byte is copied into memory that the system has to find and clear first, which
costs more than all else that packing does to it, and drives from the cache what others read there.
"""

import errno
import os

import numpy as np

from cellshuffle.atlas.direct import ALIGNED, aligned_memory, open_direct

AT_ONCE = 2**23  # bytes of one write


class ArrayWriter:
    """Arrays that are written one after the other into a file, the first at `offset` (bytes).

    They go past the page cache, AT_ONCE bytes at a time, where the file system can; what does not fill that,
    at the beginning and the end or before a `flush`, goes through it. At the end of `with`, all that was
    given is written; see `flush`.

    >>> with open("arrays", "wb"), ArrayWriter("arrays", offset=2) as writer:
    ...     writer.write(np.array([1, 2], "uint16"))
    >>> open("arrays", "rb").read()
    b'\\x00\\x00\\x01\\x00\\x02\\x00'
    """

    def __init__(self, path, offset):
        self.file = open(path, "r+b", buffering=0)  # noqa: SIM115  (until the end of `with`)
        try:
            self.direct = open_direct(path, "r+b")
        except OSError:
            self.direct = None
        self.memory = aligned_memory(AT_ONCE)
        self.begin = offset // ALIGNED * ALIGNED  # where the memory lies in the file
        self.low = self.high = offset - self.begin  # what of the memory is to be written

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.flush()
        finally:
            self.file.close()
            if self.direct:
                self.direct.close()

    def write(self, array):
        """Write an array of one dimension. Raises OSError."""
        content = array.view(np.uint8)
        while len(content):
            part, content = np.split(content, [AT_ONCE - self.high])
            self.memory[self.high : self.high + len(part)] = part
            self.high += len(part)
            if self.high == AT_ONCE:
                self.flush()
                self.begin += AT_ONCE
                self.low = self.high = 0

    def flush(self):
        """Hand all that was written to the system; `os.fdatasync(writer.file)` has it on the disk."""
        while self.low < self.high:
            is_whole = self.low % ALIGNED == self.high % ALIGNED == 0
            file = self.direct if self.direct and is_whole else self.file
            try:
                self.low += os.pwrite(file.fileno(), self.memory[self.low : self.high], self.begin + self.low)
            except OSError as error:
                if file is self.file or error.errno != errno.EINVAL:
                    raise
                self.direct.close()
                self.direct = None  # the file system opens files so, but does not write them
