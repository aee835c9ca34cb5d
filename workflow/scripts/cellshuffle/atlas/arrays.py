"""Intervals of a one-dimensional HDF5 dataset: mapped or read where it lies flat, decoded by chunk else."""

import mmap
import os
import threading
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from operator import getitem

import h5py
import numpy as np

from cellshuffle.atlas.direct import Direct, Elements
from cellshuffle.errors import InputError

RESIDENT_BYTES = 8 * 2**20  # of a mapped array, before its pages are handed back to the page cache
LONG_STRETCH = 64 * 2**10  # bytes: what a page fault maps at once
ANNOUNCE_GAP = 64 * 2**10  # intervals closer than this are announced to the kernel as one read
DECODED = 2**21  # elements of a form other than h5ad that are decoded at a time
SAMPLED = 8  # intervals of a fetch that are tried first: when all are in memory, none is announced
BYTE, PAGE = bytearray(1), mmap.PAGESIZE


def open_elements(*datasets, workers=1, random=False, queue=None):
    """Readers of one-dimensional datasets, all flat in their file or all decoded: `.read(starts, stops)`.

    workers: threads that decode chunks; random: intervals come in no order, so the kernel is told
    not to read ahead; queue: of reads past the page cache, None for the page cache.
    """
    if not all(isinstance(dataset, h5py.Dataset) for dataset in datasets):
        return [Sliced(dataset) for dataset in datasets]
    if all(is_flat(dataset) for dataset in datasets):
        if queue is not None:
            return [Direct(dataset, queue) for dataset in datasets]
        return [Mapped(dataset, random) for dataset in datasets]
    return [Chunked(dataset, workers) for dataset in datasets]


def is_flat(dataset):
    """Whether the elements of `dataset` lie one after the other in its file, ready to be mapped."""
    if not isinstance(dataset, h5py.Dataset):
        return False
    flat = dataset.chunks is None and dataset.dtype.isnative and dataset.size > 0
    return flat and dataset.id.get_offset() is not None


class Mapped:
    """A contiguous dataset mapped into memory; nothing is copied until a batch is gathered.

    Attributes: `array`, the mapped elements; `file` and `offset` (bytes), where they lie.
    """

    def __init__(self, dataset, random=False):
        path, self.offset, self.dtype = (
            dataset.file.filename,
            dataset.id.get_offset(),
            dataset.dtype,
        )
        self.size = dataset.size
        if self.offset + dataset.nbytes > os.path.getsize(path):
            raise InputError(f"{path}: truncated, {dataset.name} reaches beyond the end of the file")
        self.file = open(path, "rb", buffering=0)  # noqa: SIM115  (as long as the map)
        if random:
            os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        self._map()

    def _map(self):
        """Map the dataset, anew each time: pages and page tables of the map before are freed."""
        self.map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        self.array = np.frombuffer(self.map, self.dtype, self.size, self.offset)
        self.touched = 0

    def read(self, starts, stops):
        """Announce the sorted intervals to the kernel; return what to gather them from, and where.

        Small datasets and long full stretches are gathered from the map, other scattered cells by reading: a
        page fault would map 16 pages for the one or two of a cell, and each 2 MB touched keep a page table.
        """
        size = self.dtype.itemsize
        if self.array.nbytes <= RESIDENT_BYTES:
            return self.array, starts
        first = (self.offset + starts * size) // PAGE * PAGE
        last = self.offset + stops * size
        apart = np.flatnonzero(first[1:] > np.maximum.accumulate(last)[:-1] + ANNOUNCE_GAP)
        begin = first[np.concatenate([[0], apart + 1])]
        length = last[np.concatenate([apart, [len(last) - 1]])] - begin
        begin, length = begin[length > 0], length[length > 0]
        if not self._cached(begin):
            advise = map(self.map.madvise, repeat(mmap.MADV_WILLNEED), begin.tolist(), length.tolist())
            deque(advise, maxlen=0)
        wanted = int((stops - starts).sum()) * size
        if 2 * wanted < length.sum() or length.sum() < LONG_STRETCH * len(length):
            return self, starts
        self.touched += int(length.sum())
        if self.touched > RESIDENT_BYTES:
            self._map()
        return self.array, starts

    def _cached(self, places):
        """Whether a few of the bytes at `places` can all be read without waiting for the disk."""
        file, sample = self.file.fileno(), places[:: 1 + len(places) // SAMPLED].tolist()
        return all(is_in_memory(file, place) for place in sample)


def is_in_memory(file, offset):
    """Whether a byte of a file, by its descriptor, can be read without waiting for the disk."""
    try:
        return os.preadv(file, [BYTE], offset, os.RWF_NOWAIT) == 1
    except OSError:  # not in memory, or this file system does not say
        return False


def arrived(sources, pieces, starts):
    """(sources, starts) with the arrays of Elements in place of these, once the disk has given them.

    starts: (k,) elements of the datasets, of sources[pieces[k]]; returned where they are in the arrays.
    """
    sources, starts = list(sources), starts.copy()
    for number, source in enumerate(sources):
        if isinstance(source, Elements):
            own = pieces == number
            starts[own] = source.locate(starts[own])
            sources[number] = source.array
    return sources, starts


def gather(sources, pieces, starts, stops, in_place=False):
    """Runs of elements, one after the other: run k is starts[k]:stops[k] of sources[pieces[k]].

    sources: arrays, or Mapped datasets, whose runs are read from their file; in_place: a single run is not
    copied, since nobody else uses its array.
    """
    if all(isinstance(s, Mapped) and s.dtype == sources[0].dtype for s in sources):
        return _read(sources, pieces, starts, stops)
    arrays = [source.array if isinstance(source, Mapped) else source for source in sources]
    slices = map(slice, starts.tolist(), stops.tolist())
    runs = list(map(getitem, map(arrays.__getitem__, pieces.tolist()), slices))
    return runs[0] if in_place and len(runs) == 1 else np.concatenate(runs)


def _read(sources, pieces, starts, stops):
    """`gather` by one system call a run, from mapped datasets of one dtype."""
    size = sources[0].dtype.itemsize
    files = np.array([source.file.fileno() for source in sources])[pieces].tolist()
    offsets = np.array([source.offset for source in sources])[pieces]
    lengths = ((stops - starts) * size).tolist()
    out = bytearray().join(map(os.pread, files, lengths, (offsets + starts * size).tolist()))
    if len(out) != sum(lengths):
        names = ", ".join(sorted({source.file.name for source in sources}))
        raise InputError(f"{names}: {sum(lengths) - len(out)} bytes are missing; cut meanwhile?")
    return np.frombuffer(out, sources[0].dtype)


class Chunked:
    """A chunked (compressed) dataset: every chunk an interval touches is decoded exactly once."""

    def __init__(self, dataset, workers):
        self.dataset, self.dtype, self.size = dataset, dataset.dtype, dataset.size
        self.chunk = dataset.chunks[0] if dataset.chunks else max(1, 2**20 // dataset.dtype.itemsize)
        self.decode = _decoder(dataset)
        self.workers, self.pools = workers if self.decode else 1, {}

    @property
    def pool(self):
        """Threads that decode, None for one worker: of this process, as those of another are not forked."""
        if self.workers == 1:
            return None
        if os.getpid() not in self.pools:
            self.pools[os.getpid()] = ThreadPoolExecutor(self.workers)
        return self.pools[os.getpid()]

    def read(self, starts, stops):
        """Concatenate sorted, disjoint intervals; return the elements and each interval's start."""
        begins = np.zeros(len(starts) + 1, np.int64)
        np.cumsum(stops - starts, out=begins[1:])
        out = np.empty(begins[-1], self.dtype)
        jobs = list(self._jobs(starts, stops, begins))

        def copy(chunk, pieces, raw):
            values = self._values(chunk, raw, pieces[-1][1])
            for left, right, place in pieces:
                out[place : place + right - left] = values[left:right]

        if self.pool is None:
            for chunk, pieces in jobs:
                copy(chunk, pieces, self._raw(chunk))
        else:  # HDF5 reads one chunk at a time; only decoding runs in parallel
            for part in _batched(jobs, 64):
                done = [self.pool.submit(copy, *job, self._raw(job[0])) for job in part]
                for future in done:
                    future.result()
        return out, begins[:-1]

    def _jobs(self, starts, stops, begins):
        """Yield every chunk touched and its pieces: (first element, end, place in the output)."""
        chunks = touched_chunks(starts, stops, self.chunk)
        low = np.searchsorted(stops, chunks * self.chunk, side="right")
        count = np.searchsorted(starts, (chunks + 1) * self.chunk, side="left") - low
        ends = np.cumsum(count)
        interval = np.arange(count.sum()) + np.repeat(low - (ends - count), count)
        edge = np.repeat(chunks * self.chunk, count)
        left = np.maximum(starts[interval] - edge, 0)
        right = np.minimum(stops[interval] - edge, self.chunk)
        place = begins[interval] + np.maximum(edge - starts[interval], 0)
        pieces = list(zip(left.tolist(), right.tolist(), place.tolist(), strict=True))
        for chunk, end, n in zip(chunks.tolist(), ends.tolist(), count.tolist(), strict=True):
            yield chunk, pieces[end - n : end]

    def _raw(self, chunk):
        if self.decode is None:
            return None
        return self.dataset.id.read_direct_chunk((chunk * self.chunk,))

    def _values(self, chunk, raw, wanted):
        """The first `wanted` elements of a chunk, or more."""
        if self.decode is None:
            return self.dataset[chunk * self.chunk : chunk * self.chunk + wanted]
        try:
            values = self.decode(*raw, wanted)
            if len(values) < wanted:
                raise ValueError("it ends early")
        except (zlib.error, ValueError) as error:
            where = f"{self.dataset.file.filename}: {self.dataset.name}"
            raise InputError(f"{where} is damaged, chunk {chunk}: {error}") from None
        return values


class Sliced:
    """An array of a form other than h5ad, which decodes by itself; several threads may read from it.

    Rows that follow one another are read as they are; the next read decodes a chunk at their edge once more.
    Of rows apart, and where a chunk is large, whole chunks are read, and the last is kept for the next read.
    """

    def __init__(self, array):
        self.array, self.dtype, self.size = array, array.dtype, array.size
        self.chunk = array.chunks[0] if array.chunks else max(1, 2**20 // array.dtype.itemsize)
        self.kept = -1, None  # number of the last chunk, its values
        self.lock = threading.Lock()

    def read(self, starts, stops):
        """Concatenate sorted, disjoint intervals; return the elements and each interval's start."""
        begins = np.concatenate([[0], np.cumsum(stops - starts)])
        if self.chunk <= DECODED // 4 and (starts[1:] == stops[:-1]).all():
            return self.array[starts[0] : stops[-1]], begins[:-1]
        chunks = touched_chunks(starts, stops, self.chunk)
        parts = [np.zeros(0, self.dtype)]
        with self.lock:
            for run in np.split(chunks, np.flatnonzero(np.diff(chunks) > 1) + 1):
                for low, values in self._pieces(run.tolist()):
                    left, right = (np.clip(edges, low, low + len(values)) - low for edges in (starts, stops))
                    parts.append(_intervals(values, left, right))
        return parts[1] if len(parts) == 2 else np.concatenate(parts), begins[:-1]

    def _pieces(self, run):
        """Yield (first element, values) of neighbouring chunks, by their numbers, some of them at a time."""
        if run and self.kept[0] == run[0]:
            yield run[0] * self.chunk, self.kept[1]
            run = run[1:]
        most = max(1, DECODED // self.chunk)
        for first in range(0, len(run), most):
            part = run[first : first + most]
            low, last = part[0] * self.chunk, part[-1]
            values = self.array[low : (last + 1) * self.chunk]
            self.kept = last, values[last * self.chunk - low :]
            yield low, values


def _intervals(values, starts, stops):
    """The elements of sorted intervals of an array."""
    full = stops > starts
    starts, stops = starts[full], stops[full]
    if not len(starts) or (starts[1:] == stops[:-1]).all():
        return values[starts[0] : stops[-1]] if len(starts) else values[:0]
    lengths = stops - starts
    shift = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return values[np.arange(len(shift)) + shift]


def touched_chunks(starts, stops, chunk):
    """Sorted numbers of the chunks of `chunk` elements that non-empty sorted intervals touch."""
    full = stops > starts
    first, last = starts[full] // chunk, (stops[full] - 1) // chunk
    count = last - first + 1
    chunk_of_interval = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.unique(np.repeat(first, count) + chunk_of_interval)


def _batched(iterable, size):
    part = []
    for item in iterable:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    yield part


def _decoder(dataset):
    """A function (filter mask, bytes, elements wanted) -> elements; None leaves it to HDF5.

    Knows gzip and shuffle. A gzip stream is decoded up to the last element wanted: half of a chunk
    on average, where a random cell is wanted. Only whole chunks have their checksum verified.
    """
    filters = dataset.id.get_create_plist()
    names = [filters.get_filter(k)[0] for k in range(filters.get_nfilters())]
    known = [[], [h5py.h5z.FILTER_DEFLATE], [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]]
    if dataset.chunks is None or dataset.is_virtual or names not in known:
        return None
    dtype, chunk = dataset.dtype, dataset.chunks[0]
    shuffled = h5py.h5z.FILTER_SHUFFLE in names

    def decode(skipped, raw, wanted):
        for position in reversed(range(len(names))):
            if skipped >> position & 1:
                continue
            if names[position] == h5py.h5z.FILTER_DEFLATE:
                if shuffled or wanted == chunk:
                    raw = zlib.decompress(raw)
                else:
                    raw = zlib.decompressobj().decompress(raw, wanted * dtype.itemsize)
            else:
                planes = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1)
                raw = np.ascontiguousarray(planes.T)
        return np.frombuffer(raw, dtype)

    return decode
