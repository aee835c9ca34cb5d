"""SIGTERM, which schedulers send before they kill, and Ctrl-C, as a question the loop can ask."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def term_signal(then=lambda: None):
    """Yield a function that tells whether SIGTERM or SIGINT has come; the old handlers return afterwards.

    then: called when it comes.
    """
    told = threading.Event()

    def hear(*_):
        told.set()
        then()

    if threading.current_thread() is not threading.main_thread():
        yield told.is_set
        return
    old = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told.is_set
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
