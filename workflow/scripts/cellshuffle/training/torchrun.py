"""`python -m cellshuffle.training.torchrun`: torchrun that ends with its parent and says who was killed."""

import os
import signal

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from cellshuffle.console import say
from cellshuffle.orphans import end_with_parent
from cellshuffle.training.launch import KILLED


def killed(failures):
    """A line on a process that was killed, other than by torchrun itself; None where there is none.

    failures: {rank: with its exitcode, minus the number of the signal where there was one}.
    """
    for rank, failure in sorted(failures.items()):
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            name = signal.Signals(-failure.exitcode).name
            return (
                f"process {rank} of the training (PID {failure.pid}, counted from 0) was killed by {name}: "
                "out of memory? Start again to go on from the checkpoint"
            )
    return None


if __name__ == "__main__":
    end_with_parent()
    try:
        main()
    except ChildFailedError as error:
        line = killed(error.failures)
        if line:
            say(KILLED + line)
        os._exit(1)
