"""Decoding and writing at the same time."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

_END = object()


def ahead(items: Iterable) -> Iterator:
    """The items, of which a thread makes the next one while one is used.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    items = iter(items)
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, _END)
        while (item := following.result()) is not _END:
            following = thread.submit(next, items, _END)
            yield item
