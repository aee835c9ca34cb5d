"""Items prepared ahead of their use, by a thread or by a process.

A step on the CPU takes far longer than its batch takes to prepare, and a thread does. On a GPU both
are many short calls, for each of which two threads of one Python wait for each other
(benchmarks/gpu.py); there a process prepares the batches.
"""

import itertools
import mmap
import multiprocessing
import os
import pickle
import queue
import threading
import traceback
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch

from cellshuffle.errors import InputError
from cellshuffle.orphans import end_with_parent

ALIGNED = 16  # bytes; a tensor of any type may begin at a multiple
MAX_BUFFERS = 256  # each takes a file descriptor


def by_thread(items, depth):
    """Yield `items` in order while a thread prepares up to `depth` more; depth 0 prepares none.

    An exception in the thread is raised in the consumer. The thread ends when the consumer stops early.
    """
    if depth == 0:
        yield from items
        return
    ready, stopped = queue.Queue(depth), threading.Event()

    def put(entry):
        while not stopped.is_set():
            try:
                return ready.put(entry, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, StopIteration))
        except BaseException as error:  # handed to the consumer, whatever it is
            put((None, error))

    thread = threading.Thread(target=work, name="loader", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is StopIteration:
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def by_process(items, depth):
    """Yield (content, layout) of `items`, lists of arrays, in order; `tensors_of` makes tensors of them.

    content: all bytes of an item as one tensor, which a GPU can fetch by itself. A forked process
    prepares up to `depth` (at least 1) items ahead, in memory that both share. Its exceptions are raised
    in the consumer; InputError when it was killed. It ends when the consumer does.
    """
    # Items hold open files, which no other way of starting a process passes on.
    context = multiprocessing.get_context("fork")
    buffers = [SharedBuffer() for _ in range(min(depth, MAX_BUFFERS))]
    parent_end, child_end = context.Pipe()
    process = context.Process(
        target=_prepare, args=(items, buffers, parent_end, child_end, os.getpid()), daemon=True
    )
    process.start()
    child_end.close()
    try:
        for buffer in itertools.cycle(buffers):
            try:
                layout = parent_end.recv()
            except (EOFError, ConnectionError):
                process.join()
                raise InputError(
                    f"the process that prepares batches was killed (exit code {process.exitcode}): out of "
                    "memory? Start again to go on from the checkpoint"
                ) from None
            if layout is None:
                return
            if isinstance(layout, BaseException):
                raise layout
            content = buffer.read(layout[-1].stop)
            with suppress(OSError):  # it has prepared the last one and is gone
                parent_end.send_bytes(b"taken")
            yield content, layout
    finally:
        process.kill()
        process.join()
        parent_end.close()
        for buffer in buffers:
            buffer.close()


def tensors_of(content, layout):
    """The arrays of an item as tensors: parts of its bytes, wherever these are."""
    return [
        content[part.start : part.stop].view(getattr(torch, part.dtype)).view(part.shape) for part in layout
    ]


def _prepare(items, buffers, parent_end, child_end, parent):
    """What the other process does: an item to each buffer in turn, once the one before was taken."""
    parent_end.close()
    end_with_parent()
    if os.getppid() != parent:
        return
    try:
        for number, arrays in enumerate(items):
            if number >= len(buffers):
                child_end.recv_bytes()
            child_end.send(buffers[number % len(buffers)].write(arrays))
        child_end.send(None)
    except (EOFError, ConnectionError):
        pass  # the training has ended
    except BaseException as error:  # handed to the consumer, whatever it is
        with suppress(OSError):
            child_end.send(_raisable(error))


def _raisable(error):
    """The error with the traceback of this process, as something that another can raise."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(traceback.format_exc())
    return error


class Part(NamedTuple):
    """Where an array lies among the bytes of its item."""

    dtype: str
    shape: tuple
    start: int
    stop: int


class SharedBuffer:
    """Memory that two processes share, as large as the largest item it has held."""

    def __init__(self):
        self.file = os.memfd_create("batch")
        os.ftruncate(self.file, mmap.PAGESIZE)
        self.map = mmap.mmap(self.file, mmap.PAGESIZE)

    def write(self, arrays):
        """Copy the arrays in; return their layout, a Part each."""
        layout, stop = [], 0
        for array in arrays:
            start = -(-stop // ALIGNED) * ALIGNED
            stop = start + array.nbytes
            layout.append(Part(array.dtype.name, array.shape, start, stop))
        if len(self.map) < stop:
            os.ftruncate(self.file, stop)
        self._map_up_to(stop)
        for array, part in zip(arrays, layout, strict=True):
            np.ndarray(part.shape, array.dtype, self.map, part.start)[...] = array
        return layout

    def read(self, stop):
        """A copy of the first `stop` bytes, pinned where there is a GPU."""
        self._map_up_to(stop)
        content = torch.empty(stop, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
        content.numpy()[:] = np.frombuffer(self.map, np.uint8, stop)
        return content

    def _map_up_to(self, stop):
        """Map the first `stop` bytes, if the map ends before."""
        if len(self.map) < stop:
            self.map = mmap.mmap(self.file, stop)

    def close(self):
        os.close(self.file)
