"""What many reads at once gain where each takes milliseconds, as on a network file system.

`python benchmarks/delayed.py [FOLDER] [--delay MS] [--depths 1 32 128]` (as root): shows a folder of packed
plates as a file system of its own (FUSE) that answers every read so many milliseconds late, as many at once
as are asked for, and reads random cells from it with these numbers of reads under way. The default folder is
that of `make bench-disk`. Writes nothing.
"""

import argparse
import ctypes
import errno
import heapq
import itertools
import multiprocessing
import os
import select
import struct
import tempfile
import time
from pathlib import Path

import atlas as bench
from disk import by_depth

# Messages of <linux/fuse.h>: what is asked, what is answered.
ASKED, ANSWER = struct.Struct("=IIQQIIII"), struct.Struct("=IiQ")
ATTRIBUTES = struct.Struct("=6Q10I")
READ = struct.Struct("=QQII")
LOOKUP, FORGET, GETATTR, OPEN, READ_FILE, STATFS, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = (
    1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 28, 29,
)  # fmt: skip
INTERRUPT, BATCH_FORGET = 36, 42
NO_ANSWER = {FORGET, BATCH_FORGET, INTERRUPT}
ASYNC_READ, ASYNC_DIRECT = 1, 1 << 15
AT_ONCE = 4096  # reads that the kernel passes on before the first is answered
MESSAGE = 2**20
ROOT, VALID = 1, 3600  # the folder's number; seconds for which the kernel may believe what it was told
MS_RDONLY, MNT_DETACH = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


class Delayed:
    """The files of a folder, served through the open /dev/fuse: every read `delay` seconds late."""

    def __init__(self, folder, device, delay):
        self.device, self.delay, self.folder = device, delay, Path(folder)
        self.names = sorted(path.name for path in self.folder.iterdir() if path.is_file())
        self.files = [os.open(self.folder / name, os.O_RDONLY) for name in self.names]
        self.due, self.count = [], itertools.count()

    def serve(self):
        """Answer until the file system is gone."""
        poll = select.poll()
        poll.register(self.device, select.POLLIN)
        while True:
            wait = max(0, self.due[0][0] - time.perf_counter()) if self.due else 1
            if poll.poll(wait * 1000):
                try:
                    self.receive(os.read(self.device, MESSAGE))
                except OSError as error:
                    if error.errno == errno.ENODEV:
                        return
                    raise
            while self.due and self.due[0][0] <= time.perf_counter():
                _, _, unique, file, offset, size = heapq.heappop(self.due)
                self.answer(unique, os.pread(self.files[file - 2], size, offset))

    def receive(self, message):
        _, operation, unique, node, *_ = ASKED.unpack_from(message)
        rest = message[ASKED.size :]
        if operation == READ_FILE:
            _, offset, size, _ = READ.unpack_from(rest)
            due = time.perf_counter() + self.delay
            heapq.heappush(self.due, (due, next(self.count), unique, node, offset, size))
        elif operation not in NO_ANSWER:
            content = self.content(operation, node, rest)
            self.answer(unique, content or b"", 0 if content is not None else -errno.ENOSYS)

    def content(self, operation, node, rest):
        """What answers everything but reads; None for what there is not."""
        if operation == INIT:
            flags = ASYNC_READ | ASYNC_DIRECT
            head = struct.pack("=IIIIHHIIHHI", 7, 31, 0, flags, AT_ONCE, AT_ONCE, MESSAGE // 2, 1, 0, 0, 0)
            return head + bytes(64 - len(head))
        if operation == LOOKUP:
            name = rest.rstrip(b"\0").decode()
            number = self.names.index(name) + 2 if name in self.names else 0
            entry = struct.pack("=QQQQII", number, 0, VALID, VALID, 0, 0)
            return entry + (self.attributes(number) if number else bytes(ATTRIBUTES.size))
        if operation == GETATTR:
            return struct.pack("=QII", VALID, 0, 0) + self.attributes(node)
        if operation in (OPEN, OPENDIR):
            return struct.pack("=QII", 0, 0, 0)
        if operation == READDIR:
            return self.entries(READ.unpack_from(rest)[1])
        return b"" if operation in (RELEASE, RELEASEDIR, FLUSH) else None

    def attributes(self, node):
        found = os.stat(self.folder) if node == ROOT else os.fstat(self.files[node - 2])
        size, times = found.st_size, [int(found.st_mtime)] * 3
        owner = found.st_uid, found.st_gid
        return ATTRIBUTES.pack(node, size, size // 512, *times, 0, 0, 0, found.st_mode, 1, *owner, 0, 4096, 0)

    def entries(self, first):
        parts = []
        for number, name in list(enumerate(self.names))[first:]:
            encoded = name.encode()
            part = struct.pack("=QQII", number + 2, number + 1, len(encoded), 8) + encoded
            parts.append(part + bytes(-len(part) % 8))
        return b"".join(parts)

    def answer(self, unique, content, error=0):
        os.writev(self.device, [ANSWER.pack(ANSWER.size + len(content), error, unique), content])


def main(folder, delay, depths):
    device = os.open("/dev/fuse", os.O_RDWR)
    with tempfile.TemporaryDirectory() as mounted:
        options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
        if libc.mount(b"delayed", mounted.encode(), b"fuse", MS_RDONLY, options.encode()):
            raise SystemExit(f"mount: {os.strerror(ctypes.get_errno())}; it needs root and /dev/fuse")
        served = Delayed(folder, device, delay / 1000)
        server = multiprocessing.get_context("fork").Process(target=served.serve)
        server.start()
        os.close(
            device
        )  # where only the server has it, no file waits for an answer once the server has ended
        try:
            print(f"every read {delay:g} ms late:")
            by_depth(mounted, depths)
        finally:
            libc.umount2(mounted.encode(), MNT_DETACH)
            server.terminate()
            server.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=bench.DATA / f"{bench.WIDE}_genes/disk")
    parser.add_argument("--delay", type=float, default=2, help="milliseconds")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 32, 128])
    given = parser.parse_args()
    main(given.folder, given.delay, given.depths)
