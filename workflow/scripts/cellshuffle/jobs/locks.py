"""After a kill: Snakemake's lock goes where no process holds it; a job waits for one that lives on."""

import fcntl
import os
from base64 import urlsafe_b64decode
from contextlib import contextmanager, suppress
from pathlib import Path

from cellshuffle.console import say


def remove_traces_of_kill(made, folder=".snakemake"):
    """Remove what a killed run of this workflow left in Snakemake's folder, and hold off others that would.

    That is its lock, and its marks on files as incomplete, for which Snakemake would ask for
    `--rerun-incomplete`: our files appear whole or not at all, and records say which were under way.
    made: folders in which the run makes files; a lock or mark on files elsewhere is another workflow's.
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
                if any(_is_in(file, made) for file in files):
                    lock.unlink()
        for mark in filter(Path.is_file, (folder / "incomplete").rglob("*")):
            if _is_in(_marked_file(mark.relative_to(folder / "incomplete")), made):
                mark.unlink(missing_ok=True)
    except BlockingIOError:  # another run is under way; Snakemake compares what both want to make
        pass
    except OSError:
        os.close(ours)
        return None
    fcntl.flock(ours, fcntl.LOCK_SH)
    return ours


def _is_in(file, places):
    """Whether a file lies in one of the folders, however the paths are written."""
    file, *places = map(os.path.normpath, [file, *places])
    return any(file.startswith(f"{place}/") for place in places)


def _marked_file(mark):
    """The path of the file that a mark is of: its name in base64, a long one in folders that begin with @."""
    with suppress(ValueError):
        return urlsafe_b64decode("".join(part.removeprefix("@") for part in mark.parts)).decode()
    return ""


@contextmanager
def alone_in(folder):
    """Hold `folder`; where a job that outlived its Snakemake holds it, wait until that one has ended."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone_with(path):
    """Hold a file that is to be made, by a lock file beside it; where another job is making it, wait.

    Runs in other folders may share it, as packed plates are; the last one to come makes it last.
    """
    lock = Path(path).with_name(f".{Path(path).name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        _wait_for(descriptor, path)
        with suppress(FileNotFoundError):  # whoever held it before has removed it
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                break
        os.close(descriptor)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _wait_for(descriptor, path):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(
            f"{path}: the same job, of a run that was killed or another one, is still at work; waiting for "
            "its end, to go on from what it leaves"
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass
