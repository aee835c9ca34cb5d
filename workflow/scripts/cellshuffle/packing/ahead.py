"""Decoding and writing at the same time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice, takewhile

_END = object()


def in_turn(function: Callable, items: Iterable, threads: int = 1) -> Iterator:
    """function(item) of each item, in their order; threads, which begin now, make the next while one is used.

    >>> list(in_turn(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    items, pool = iter(items), ThreadPoolExecutor(threads)
    results = deque(pool.submit(function, item) for item in islice(items, threads))

    def finished():
        try:
            while results:
                result = results.popleft().result()
                results.extend(pool.submit(function, item) for item in islice(items, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)

    return finished()


def ahead(items: Iterable) -> Iterator:
    """The items, of which a thread makes the next one while one is used.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    items = iter(items)
    return takewhile(lambda item: item is not _END, in_turn(lambda _: next(items, _END), count()))
