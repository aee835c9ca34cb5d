"""The rolling buffer of webdataset and Hugging Face datasets."""

import numpy as np

from cellshuffle.loading.arguments import check_sizes
from cellshuffle.loading.orders import CellOrder, generator_of

AT_ONCE = 100_000  # cells that pass through the buffer together


class ShuffleBuffer(CellOrder):
    """A buffer that the stream of cells fills, and from which the next cell is drawn while it is refilled.

    The first `buffer_size` cells of the stream fill the buffer. For each further cell a place of the buffer
    is drawn: its cell comes next, and the new one takes the place. What is in the buffer at the end comes in
    random order. The stream has the cells in file order; with `shuffle_plates`, plate after plate in an order
    drawn every epoch. Sources: `IterableDataset.shuffle` of Hugging Face datasets; `shuffle` of webdataset.

    >>> ShuffleBuffer(buffer_size=2).draw([5], seed=0, epoch=0)
    array([1, 2, 3, 4, 0])
    """

    def __init__(self, buffer_size: int = 1000, shuffle_plates: bool = False):
        super().__init__()
        check_sizes(buffer_size=buffer_size)
        self.buffer_size, self.shuffle_plates = buffer_size, shuffle_plates

    def draw(self, plate_sizes, seed, epoch):
        generator, stops = generator_of(seed, epoch), np.cumsum(plate_sizes)
        plates = generator.permutation(len(stops)) if self.shuffle_plates else range(len(stops))
        stream = np.concatenate([np.arange(stops[p] - plate_sizes[p], stops[p]) for p in plates])
        buffer, arriving = stream[: self.buffer_size].copy(), stream[self.buffer_size :]
        places = generator.integers(self.buffer_size, size=len(arriving), dtype=np.uint32)
        for low in range(0, len(arriving), AT_ONCE):
            part = slice(low, low + AT_ONCE)
            drawn = passed_through(buffer, arriving[part], places[part])
            stream[low : low + len(drawn)] = drawn  # what arrived there is in the buffer, or drawn
        stream[len(arriving) :] = generator.permutation(buffer)
        return stream


def passed_through(buffer, arriving, places):
    """(n,) cells drawn from these places, each of which takes the arriving cell instead; changes the buffer.

    A place that is drawn again gives the cell that arrived when it was last drawn.
    """
    by_place = np.argsort(places, kind="stable")
    place, arrived = places[by_place], arriving[by_place]
    first = np.r_[True, place[1:] != place[:-1]]
    last = np.r_[first[1:], True]
    left = np.r_[arrived[:1], arrived[:-1]]
    left[first] = buffer[place[first]]
    buffer[place[last]] = arrived[last]
    drawn = np.empty_like(left)
    drawn[by_place] = left
    return drawn
