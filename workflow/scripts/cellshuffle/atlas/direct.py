"""Many reads at once, past the page cache: for plates that no memory holds.

A disk gives its full number of reads a second only to who asks for many at once, and a file system far
away answers each after milliseconds. Of an atlas much larger than memory nothing stays in the page cache
until it is read again, so the cache only costs: a third of an NVMe disk's random reads
(benchmarks/README.md). Linux begins many such reads in one call and waits for none (io_submit(2)). A
thread for each read would do too, but threads take turns at Python's interpreter and reach less.
"""

import ctypes
import errno
import itertools
import os
import platform
import threading
from collections import deque
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

import h5py
import numpy as np

from cellshuffle.atlas.memory import empty
from cellshuffle.errors import InputError

ALIGNED = 4096  # bytes: where direct reads begin and end, in the file and in memory
NEAR = 32 * 2**10  # bytes: intervals closer than this are one read
LONGEST = 2**20  # bytes of one read
MOST_READS = 2**16  # under way: the system has no more for all its processes
DEPTH = 1024  # reads under way: an NVMe disk takes some hundreds, and has others while cells are gathered
LARGER = 1.5  # plates so many times larger than memory are read past the page cache

# This process's control groups, and where their files are.
CONTROL_GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")

# struct iocb and struct io_event of <linux/aio_abi.h>
REQUEST = np.dtype(
    [("batch", "u8"), ("key", "u4"), ("flags", "u4"), ("operation", "u2"), ("priority", "i2"),
     ("file", "u4"), ("memory", "u8"), ("n_bytes", "u8"), ("offset", "i8"), ("reserved", "u8", 2)]
)  # fmt: skip
EVENT = np.dtype([("batch", "u8"), ("request", "u8"), ("n_bytes", "i8"), ("reserved", "i8")])

# Numbers of io_setup, io_destroy, io_submit and io_getevents, for which the C library has no functions.
SYSTEM_CALLS = {"x86_64": (206, 207, 209, 208), "aarch64": (0, 1, 2, 4)}
IO_SETUP, IO_DESTROY, IO_SUBMIT, IO_GETEVENTS = SYSTEM_CALLS.get(platform.machine(), (-1, -1, -1, -1))
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def default_depth(paths: Sequence[str | Path]) -> int:
    """Reads under way that suit plates: 0, for the page cache, unless they are much larger than memory."""
    sizes = (os.path.getsize(path) for path in paths if os.path.isfile(path))
    larger = sum(sizes) >= LARGER * memory_limit()
    return DEPTH if larger and reads_directly(paths[0]) else 0


def memory_limit() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    listed, mounted = CONTROL_GROUPS
    for line in listed.read_text().splitlines() if listed.exists() else []:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        folder = mounted / controllers / group.lstrip("/")
        for above in (folder, *folder.parents):
            file = above / ("memory.limit_in_bytes" if controllers else "memory.max")
            text = file.read_text().strip() if file.is_file() else "max"
            limits += [int(text)] if text.isdigit() else []
    return min(limits)


def reads_directly(path: str | Path) -> bool:
    """Whether a file can be read past the page cache, and this machine begins reads without waiting."""
    try:
        with open_direct(path) as file:
            Reads(Queue(1), file, 0, np.zeros(1, np.int64), np.array([ALIGNED])).wait()
    except (OSError, InputError):
        return False
    return True


def open_direct(path: str | Path, mode: str = "rb") -> FileIO:
    """A file opened for reads, or writes, past the page cache. Raises OSError where there are none."""
    return open(path, mode, buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_DIRECT))


def aligned_memory(n_bytes: int) -> np.ndarray:
    """(n_bytes,) uint8 from which a file that is opened so is written, and into which it is read."""
    memory = empty((n_bytes + ALIGNED,), np.uint8)
    low = -memory.ctypes.data % ALIGNED
    return memory[low : low + n_bytes]


class Queue:
    """Reads under way, at most `depth` of them. Raises InputError where the machine gives none.

    Another process, to which it is sent or which is forked, begins with an empty one.
    """

    def __init__(self, depth: int):
        self.depth, self.process = depth, None
        try:
            self._open()
        except OSError as error:
            raise InputError(
                f"read_depth {depth}: this machine begins no reads without waiting ({error.strerror}); give 0"
            ) from None

    def __reduce__(self):
        return Queue, (self.depth,)

    def _open(self):
        if self.process != os.getpid():
            self.lock = threading.Lock()
            self.process, self.context = os.getpid(), ctypes.c_ulong(0)
            self.numbers, self.batches, self.waiting, self.under_way = itertools.count(), {}, deque(), 0
            self.events = np.zeros(self.depth, EVENT)
            _system_call(IO_SETUP, ctypes.c_uint(self.depth), ctypes.byref(self.context))

    def __del__(self):
        if self.process == os.getpid() and self.context:
            _libc.syscall(ctypes.c_long(IO_DESTROY), self.context)  # waits until the disk has stopped writing

    def submit(self, batch: "Reads"):
        """Begin the requests of a batch, after those of all batches before."""
        self._open()
        if not len(batch.requests):
            return
        with self.lock:
            number = next(self.numbers)
            self.batches[number] = batch  # until its last read has ended: the disk writes into its memory
            batch.requests["batch"] = number
            self.waiting.append(batch)
            self._begin()

    def wait(self, batch: "Reads"):
        """Wait until all requests of a batch have ended."""
        with self.lock:
            while batch.n_missing:
                self._collect(batch.n_missing)

    def _begin(self):
        while self.waiting and self.under_way < self.depth:
            batch = self.waiting[0]
            n_reads = min(self.depth - self.under_way, len(batch.requests) - batch.begun)
            first = ctypes.c_void_p(batch.pointers.ctypes.data + batch.pointers.itemsize * batch.begun)
            n_begun = _system_call(IO_SUBMIT, self.context, ctypes.c_long(n_reads), first)
            batch.begun += n_begun
            self.under_way += n_begun
            if batch.begun == len(batch.requests):
                self.waiting.popleft()

    def _collect(self, n_reads: int):
        """Wait until so many reads have ended, or half of what is under way; begin others in their place."""
        n_reads = min(n_reads, (self.under_way + 1) // 2)
        n_ended = _system_call(
            IO_GETEVENTS, self.context, ctypes.c_long(n_reads), ctypes.c_long(self.depth),
            ctypes.c_void_p(self.events.ctypes.data), None,
        )  # fmt: skip
        self.under_way -= n_ended
        events = self.events[:n_ended]
        for number in np.unique(events["batch"]).tolist():
            batch = self.batches[number]
            batch.ended(events["n_bytes"][events["batch"] == number])
            if batch.n_missing == 0:
                del self.batches[number]
        self._begin()


class Reads:
    """Stretches of a file that are read into one piece of memory, `content`, one after the other.

    file: opened past the page cache, of file_size bytes, where the last read may end early; begin,
    length: (k,) bytes, multiples of ALIGNED.
    """

    def __init__(self, queue: Queue, file, file_size: int, begin: np.ndarray, length: np.ndarray):
        self.queue, self.file, self.begin, self.begun = queue, file, begin, 0
        self.place = np.cumsum(length) - length
        self.content = aligned_memory(int(length.sum()))
        self.requests = self._requests(length)
        self.size = len(self.requests), len(self.content)  # reads, bytes
        self.pointers = self.requests.ctypes.data + REQUEST.itemsize * np.arange(len(self.requests))
        self.n_missing, self.n_bytes, self.error = len(self.requests), 0, 0
        self.expected = int(np.clip(file_size - begin, 0, length).sum())
        queue.submit(self)

    def _requests(self, length):
        """The stretches in requests of at most LONGEST bytes."""
        count = -(-length // LONGEST)
        within = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)) * LONGEST
        requests = np.zeros(len(within), REQUEST)
        requests["file"] = self.file.fileno()
        requests["memory"] = self.content.ctypes.data + np.repeat(self.place, count) + within
        requests["n_bytes"] = np.minimum(np.repeat(length, count) - within, LONGEST)
        requests["offset"] = np.repeat(self.begin, count) + within
        return requests

    def ended(self, n_bytes):
        """Note what requests have given: bytes, or the negative number of an error."""
        self.n_missing -= len(n_bytes)
        self.n_bytes += int(n_bytes.sum())
        self.error = min(self.error, int(n_bytes.min()))

    def wait(self):
        """Wait for all bytes. Raises InputError when they cannot be read."""
        self.queue.wait(self)
        if self.error:
            raise InputError(f"{self.file.name}: cannot be read: {os.strerror(-self.error)}")
        if self.n_bytes < self.expected:
            missing = self.expected - self.n_bytes
            raise InputError(f"{self.file.name}: {missing} bytes are missing; cut meanwhile?")


class Direct:
    """A contiguous dataset whose elements are read past the page cache."""

    def __init__(self, dataset: h5py.Dataset, queue: Queue):
        path, self.queue = dataset.file.filename, queue
        self.offset, self.dtype, self.size = dataset.id.get_offset(), dataset.dtype, dataset.size
        self.file = open_direct(path)
        self.file_size = os.fstat(self.file.fileno()).st_size
        if self.offset + dataset.nbytes > self.file_size:
            raise InputError(f"{path}: truncated, {dataset.name} reaches beyond the end of the file")

    def read(self, starts, stops):
        """Begin to read sorted, disjoint intervals of elements; return what to gather from, and where."""
        item = self.dtype.itemsize
        first = (self.offset + starts * item) // ALIGNED * ALIGNED
        last = np.maximum.accumulate(-(-(self.offset + stops * item) // ALIGNED) * ALIGNED)
        apart = np.flatnonzero(first[1:] > last[:-1] + NEAR)
        begin = first[np.r_[0, apart + 1]]
        length = last[np.r_[apart, len(last) - 1]] - begin
        return Elements(self, Reads(self.queue, self.file, self.file_size, begin, length)), starts


class Elements:
    """Elements of a Direct dataset, under way."""

    def __init__(self, source: Direct, reads: Reads):
        self.source, self.reads = source, reads

    def locate(self, elements):
        """Where elements of the dataset, of intervals that are read, are in `array`."""
        source, reads = self.source, self.reads
        offset = source.offset + elements * source.dtype.itemsize
        stretch = np.searchsorted(reads.begin, offset, side="right") - 1
        return (reads.place[stretch] + offset - reads.begin[stretch]) // source.dtype.itemsize

    @property
    def array(self):
        """The elements, once all are there."""
        self.reads.wait()
        item = self.source.dtype.itemsize
        first = self.source.offset % item  # stretches begin at multiples of ALIGNED, elements may not
        n_elements = (len(self.reads.content) - first) // item
        return np.frombuffer(self.reads.content, self.source.dtype, n_elements, first)


def _system_call(*arguments):
    """The result of a system call, made again where a signal has interrupted it. Raises OSError."""
    while (result := _libc.syscall(ctypes.c_long(arguments[0]), *arguments[1:])) < 0:
        if ctypes.get_errno() != errno.EINTR:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
