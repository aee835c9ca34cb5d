"""The one exception that is meant for people."""


class InputError(Exception):
    """Something a person gave is wrong: the message says what, where, and what would be right.

    Several findings are several lines. `console.run_rule` prints it without a traceback.
    """


class Stopped(Exception):
    """The job was told to end and its checkpoint stands: starting it again goes on from there."""
