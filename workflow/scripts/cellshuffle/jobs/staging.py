"""Copies of files on storage of the node itself, shared by all jobs on the node, gone after the last.

Every copy has a lock file beside it, and the kernel keeps the count of its users: a job holds a
shared lock as long as it uses the copy, an exclusive one while it makes or removes it. A job that
is killed drops its locks by dying, so no count can go stale; its copy then serves the next job
on the node, and the last one to leave removes it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

from cellshuffle.errors import InputError


@contextlib.contextmanager
def stage(paths, scratch_dir):
    """Yield the paths of local copies of these files, in the same order.

    paths: files to copy; scratch_dir: folder on the node, may hold environment variables
    ("$TMPDIR"); None: nothing is copied, the paths themselves come back.
    A copy of the right size and modification time is used as it is. While another job copies the
    same file, this one waits. InputError when the folder cannot be used or is too small.
    """
    if scratch_dir is None:
        yield [str(path) for path in paths]
        return
    folder = _folder(scratch_dir)
    with contextlib.ExitStack() as stack:
        copies = [(str(path), folder / _place(path)) for path in paths]
        _check_space(copies, folder)
        yield [str(stack.enter_context(_in_use(*copy))) for copy in copies]


def _folder(scratch_dir):
    """Our own folder in the scratch folder, which belongs to all users of the node."""
    scratch = os.path.expandvars(scratch_dir)
    if "$" in scratch:
        raise InputError(f"atlas.scratch: {scratch_dir}: this variable is not set on the node")
    if not os.path.isdir(scratch):
        raise InputError(f"atlas.scratch: {scratch}: no such folder on the node")
    folder = Path(scratch) / f"cellshuffle-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(f"atlas.scratch: {scratch}: {error.strerror}") from error
    if folder.stat().st_uid != os.getuid():
        raise InputError(f"atlas.scratch: {folder} belongs to another user")
    return folder


def _place(path):
    """A copy keeps its file's name, in a folder that stands for the file's folder."""
    parent, name = os.path.split(os.path.abspath(path))
    return Path(hashlib.sha256(parent.encode()).hexdigest()[:12]) / name


def _is_copy(source, copy):
    """Whether the copy is there, with the source's size and modification time."""
    try:
        ours = os.stat(copy)
    except FileNotFoundError:
        return False
    theirs = os.stat(source)
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _partial(copy):
    return copy.with_name(copy.name + ".partial")


def _check_space(copies, folder):
    """InputError when the files still to be copied do not fit, before the first is copied."""
    wanted = 0
    for source, copy in copies:
        if not _is_copy(source, copy):
            wanted += os.path.getsize(source)
            with contextlib.suppress(FileNotFoundError):  # half done by a job beside this one
                wanted -= _partial(copy).stat().st_size
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise InputError(
            f"atlas.scratch: {folder.parent} has {free / 1e9:.1f} GB free, the packed plates need "
            f"{wanted / 1e9:.1f} GB; use a larger folder, or leave atlas.scratch out"
        )


@contextlib.contextmanager
def _in_use(source, copy):
    """Yield the copy's path under a shared lock; remove the copy if nobody else uses it then."""
    lock = _shared_lock(source, copy)
    try:
        yield copy
    finally:
        with contextlib.suppress(BlockingIOError):  # somebody else's shared lock: still in use
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            copy.unlink(missing_ok=True)
            Path(_lock_path(copy)).unlink(missing_ok=True)
        os.close(lock)
        with contextlib.suppress(OSError):  # other copies are still there
            copy.parent.rmdir()


def _shared_lock(source, copy):
    """File descriptor that holds a shared lock on a complete copy, made here if need be."""
    while True:
        copy.parent.mkdir(exist_ok=True)
        try:
            lock = os.open(_lock_path(copy), os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # the last user of another copy has just removed the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)  # waits for a job that is copying
            if not _is_ours(lock, source, copy):
                fcntl.flock(lock, fcntl.LOCK_UN)
                with contextlib.suppress(BlockingIOError):  # another job was faster
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _still_there(lock, copy) and not _is_copy(source, copy):
                        _copy(source, copy)
                    fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_ours(lock, source, copy):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        time.sleep(0.05)


def _lock_path(copy):
    return f"{copy}.lock"


def _still_there(lock, copy):
    """Whether the lock file that was opened is the one on disk: its last user removes it."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(_lock_path(copy)))
    except FileNotFoundError:
        return False


def _is_ours(lock, source, copy):
    """Whether this lock, shared, makes sure of a complete copy."""
    return _still_there(lock, copy) and _is_copy(source, copy)


def _copy(source, copy):
    """Copy the file under a temporary name, then give it its own: whole or not at all."""
    size = os.path.getsize(source)
    print(f"copying {source} ({size / 1e9:.1f} GB) to {copy.parent}", file=sys.stderr, flush=True)
    partial = _partial(copy)
    try:
        shutil.copyfile(source, partial)
        shutil.copystat(source, partial)
        if not _is_copy(source, partial):
            raise InputError(f"{source} changed while it was copied to {copy.parent}")
        os.replace(partial, copy)
    except OSError as error:
        raise InputError(f"atlas.scratch: cannot copy {source} to {partial}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
