"""The one exception that is meant for people."""


class InputError(Exception):
    """Something a person gave is wrong: the message says what, where, and what would be right.

    Several findings are several lines. `console.run_rule` prints it without a traceback.
    """

    def __init__(self, message=""):
        # A DataLoader raises the error of a worker again, with the worker's traceback as its message.
        if isinstance(message, str) and message.startswith("Caught InputError in DataLoader worker"):
            message = message.rpartition("InputError: ")[2].strip()
        super().__init__(message)


class Stopped(Exception):
    """The job was told to end and its checkpoint stands: starting it again goes on from there."""
