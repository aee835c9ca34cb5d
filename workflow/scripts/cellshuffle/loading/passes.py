"""Which epoch a pass over a loader is, and where in it the pass begins, also inside DataLoader's workers.

DataLoader gives every pass new copies of the dataset, in new processes (or, with `persistent_workers`, keeps
those), and tells nothing back. So the number of the epoch is in memory that all copies share: a word of a
number and a key. The key is that of the pass to which the number was given; key 0 says that the number is the
next pass's. Workers of a pass have the same key, so all take the same number, whichever is first; they write
the same word, so no lock is needed.
"""

from typing import NamedTuple

import torch
from torch.utils.data import get_worker_info

from cellshuffle.errors import InputError


class Position(NamedTuple):
    """Where a pass stands: `taken` minibatches of this worker's share of those from `first` on."""

    epoch: int
    first: int = 0
    taken: int = 0
    workers: int = 1

    def next_of(self, worker):
        """Number in the epoch of the minibatch that this worker yields next."""
        return self.first + worker + self.workers * self.taken


class Passes:
    """Counts passes, and holds the position at which the next one is to begin."""

    def __init__(self):
        self.word = torch.zeros(1, dtype=torch.int64).share_memory_()
        self.begun = 0  # passes of this process
        self.resumed = None  # a Position that was loaded
        self.loaded_by_worker = False  # in this process, not in the one that it is a copy of

    def set_epoch(self, epoch):
        """Let the next pass be this epoch; a position inside it that was loaded stays."""
        if self.next().epoch != epoch:
            self.resumed = None
            self._write(0, epoch)

    def resume(self, position):
        """Let the next pass begin at this Position."""
        self.resumed, self.loaded_by_worker = position, get_worker_info() is not None
        if not self.loaded_by_worker:
            self._write(0, position.epoch)

    def next(self, key=0):
        """The Position at which the next pass begins; key: of the pass that asks."""
        current, epoch = self._read()
        if self.resumed is not None:
            told = current in (0, key) and epoch == self.resumed.epoch
            if self.loaded_by_worker or told:
                return self.resumed
        return Position(epoch if current in (0, key) else epoch + 1)

    def begin(self):
        """(Position of the pass that begins now, number of this worker)."""
        worker = get_worker_info()
        key = 0 if worker is None else hash((worker.seed - worker.id, self.begun)) % (2**30 - 1) + 1
        position = self.next(key)
        self.resumed, self.begun = None, self.begun + 1
        n_workers, number = (1, 0) if worker is None else (worker.num_workers, worker.id)
        if position.workers not in (1, n_workers):
            raise InputError(
                f"load_state_dict: the state is of a DataLoader with {position.workers} workers, this one "
                f"has {n_workers}; give it as many"
            )
        if position.workers == 1:
            position = Position(position.epoch, position.next_of(0))
        if worker is None:
            self._write(0, position.epoch + 1)
        else:
            self._write(key, position.epoch)
        return position._replace(workers=n_workers), number

    def by_workers(self):
        """Whether the last pass was that of a DataLoader's workers."""
        return self._read()[0] != 0

    def _read(self):
        word = int(self.word[0])
        return word >> 32, word & 0xFFFFFFFF

    def _write(self, key, epoch):
        self.word[0] = key << 32 | epoch
