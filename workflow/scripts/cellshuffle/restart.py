"""After a kill: Snakemake's lock is removed where no process can be holding it any more."""

import fcntl
import os
from pathlib import Path


def remove_stale_lock(folder=".snakemake"):
    """Remove the lock of a killed Snakemake, and hold off others that would remove ours.

    Every run of the workflow keeps a shared lock of the operating system, which vanishes with its
    process, however that ends. Who can make it exclusive is alone in the folder, so what Snakemake's
    own lock files say is about a run that is no more. Returns an open file descriptor, to be kept as
    long as the process lives; None where the file system knows no such locks.
    """
    folder = Path(folder)
    try:
        folder.mkdir(exist_ok=True)
        ours = os.open(folder / "cellshuffle.lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # Snakemake will say what is wrong with the folder
        return None
    try:
        fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for stale in (folder / "locks").glob("*.lock"):
            stale.unlink(missing_ok=True)
    except BlockingIOError:  # another run is under way; Snakemake compares what both want to make
        pass
    except OSError:
        os.close(ours)
        return None
    fcntl.flock(ours, fcntl.LOCK_SH)
    return ours
