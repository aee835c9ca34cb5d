"""What is prepared ahead of its use: by a thread, or by a process of its own.

A step on the CPU takes far longer than its batch takes to prepare, and a thread does. On a GPU both
are many short calls, for each of which two threads of one Python wait for each other
(benchmarks/gpu.py); there a process prepares the batches.
"""

import ctypes
import itertools
import mmap
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import traceback
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch

from cellshuffle.errors import InputError

ALIGNED = 16  # bytes; a tensor of any type may begin there
MOST_SLOTS = 256  # each takes a file descriptor
PR_SET_PDEATHSIG = 1  # of prctl(2): the signal that comes when the parent ends


def by_thread(items, depth):
    """Yield `items` in order while a thread prepares up to `depth` more; depth 0 prepares none.

    An exception in the thread is raised here. The thread ends when the consumer stops early.
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
    """Yield `items`, each a list of arrays, in order, each as the bytes of all and their layout: see `parts`.

    The bytes are one tensor, which a GPU can fetch by itself. A forked process prepares up to `depth`
    (at least 1) of them ahead, in memory that both share. Its exceptions are raised here; InputError
    when it was killed. It ends when the consumer does.
    """
    # Items hold open files, which no other way of starting a process passes on.
    context = multiprocessing.get_context("fork")
    slots = [Slot() for _ in range(min(depth, MOST_SLOTS))]
    here, there = context.Pipe()
    process = context.Process(
        target=_fill, args=(items, slots, here, there, os.getpid()), daemon=True
    )
    process.start()
    there.close()
    try:
        for slot in itertools.cycle(slots):
            try:
                layout = here.recv()
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
            whole = slot.read(layout[-1].stop)
            with suppress(OSError):  # it has prepared the last one and is gone
                here.send_bytes(b"taken")
            yield whole, layout
    finally:
        process.kill()
        process.join()
        here.close()
        for slot in slots:
            slot.close()


def parts(whole, layout):
    """The arrays of an item as tensors: parts of its bytes, wherever these are."""
    return [
        whole[part.start : part.stop].view(getattr(torch, part.dtype)).view(part.shape)
        for part in layout
    ]


def _fill(items, slots, here, there, parent):
    """What the other process does: an item to each slot in turn, once the one before was taken."""
    here.close()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it ends with the training
    if os.getppid() != parent:
        return
    try:
        for number, arrays in enumerate(items):
            if number >= len(slots):
                there.recv_bytes()
            there.send(slots[number % len(slots)].write(arrays))
        there.send(None)
    except (EOFError, ConnectionError):
        pass  # the training has ended
    except BaseException as error:  # handed to the consumer, whatever it is
        with suppress(OSError):
            there.send(_told(error))


def _told(error):
    """The error with the story of this process, as something that another can raise."""
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


class Slot:
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
        self._reach(stop)
        for array, part in zip(arrays, layout, strict=True):
            np.ndarray(part.shape, array.dtype, self.map, part.start)[...] = array
        return layout

    def read(self, stop):
        """A copy of the first `stop` bytes, pinned where there is a GPU."""
        self._reach(stop)
        whole = torch.empty(stop, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
        whole.numpy()[:] = np.frombuffer(self.map, np.uint8, stop)
        return whole

    def _reach(self, stop):
        """Map the first `stop` bytes, if the map ends before."""
        if len(self.map) < stop:
            self.map = mmap.mmap(self.file, stop)

    def close(self):
        os.close(self.file)
