"""The one exception that is meant for people."""

from numbers import Integral


class InputError(Exception):
    """Something a person gave is wrong: the message says what, where, and what would be right.

    Several findings are several lines. `console.run_rule` prints it without a traceback.
    """

    def __init__(self, message=""):
        # A DataLoader raises the error of a worker again, with the worker's traceback as its message.
        if isinstance(message, str) and message.startswith("Caught InputError in DataLoader worker"):
            message = message.rpartition("InputError: ")[2].strip()
        super().__init__(message)


def check_whole(name: str, value: object, least: int = 0, most: int | None = None) -> None:
    """Raise InputError unless the argument `name` is a whole number, from `least` to `most`."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise InputError(f"{name}: {value!r} is not a whole number {limits}")


class Stopped(Exception):
    """The job was told to end and its checkpoint stands: starting it again goes on from there."""
