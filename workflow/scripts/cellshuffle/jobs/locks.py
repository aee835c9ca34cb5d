"""After a kill: Snakemake's lock goes where no process holds it; a job waits for one that lives on."""

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from cellshuffle.console import say


def remove_stale_lock(made, folder=".snakemake"):
    """Remove the lock of a killed run of this workflow, and hold off others that would remove ours.

    made: folders in which the run makes files; a lock on files elsewhere is another workflow's.
    Every run of the workflow keeps a shared lock of the operating system, which vanishes with its
    process, however that ends. Who can make it exclusive is alone in the folder, so what Snakemake's
    own lock files say of files that are made here is about a run that is no more. Returns an open file
    descriptor, to be kept as long as the process lives; None where the file system knows no such locks.
    """
    folder = Path(folder)
    try:
        folder.mkdir(exist_ok=True)
        ours = os.open(folder / "cellshuffle.lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # Snakemake will say what is wrong with the folder
        return None
    try:
        fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in (folder / "locks").glob("*.lock"):
            with suppress(FileNotFoundError):  # its run has just ended
                files = lock.read_text().splitlines()
                if any(file.startswith(f"{place}/") for file in files for place in made):
                    lock.unlink()
    except BlockingIOError:  # another run is under way; Snakemake compares what both want to make
        pass
    except OSError:
        os.close(ours)
        return None
    fcntl.flock(ours, fcntl.LOCK_SH)
    return ours


@contextmanager
def alone_in(folder):
    """Hold `folder`; where a job that outlived its Snakemake holds it, wait until that one has ended."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(
                f"{folder}: the same job, left by a run that was killed, is still at work; waiting for its "
                "end, to go on from what it leaves"
            )
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)
