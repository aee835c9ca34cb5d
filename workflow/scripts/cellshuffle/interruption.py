"""SIGTERM, which schedulers send before they kill, as a question the loop can ask."""

import signal
import threading
from contextlib import contextmanager


class Stopped(Exception):
    """The job was told to end and its checkpoint stands: starting it again goes on from there."""


@contextmanager
def term_signal(then=lambda: None):
    """Yield a function that tells whether SIGTERM has come; the old handler returns afterwards.

    then: called when it comes.
    """
    told = threading.Event()

    def hear(*_):
        told.set()
        then()

    if threading.current_thread() is not threading.main_thread():
        yield told.is_set
        return
    old = signal.signal(signal.SIGTERM, hear)
    try:
        yield told.is_set
    finally:
        signal.signal(signal.SIGTERM, old)
