"""SIGTERM, which schedulers send before they kill, and Ctrl-C, as a question the loop can ask."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def stop_signal(on_stop=lambda: None):
    """Yield a function that tells whether SIGTERM or SIGINT has come; afterwards the old handlers return.

    But not that of a SIGTERM that has come: Linux sends it once for each thread of a parent that was killed
    (orphans.end_with_parent), and the second must not kill who is about to say that it was told to stop.
    on_stop: called when it comes.
    """
    stop = threading.Event()

    def handle(*_):
        stop.set()
        on_stop()

    if threading.current_thread() is not threading.main_thread():
        yield stop.is_set
        return
    old = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop.is_set
    finally:
        if stop.is_set():
            del old[signal.SIGTERM]
        for number, handler in old.items():
            signal.signal(number, handler)
