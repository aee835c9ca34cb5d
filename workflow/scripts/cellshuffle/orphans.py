"""Processes that end with the run that started them, and put no file in place after it."""

import ctypes
import os
import signal
import socket
import sys
import threading
import time
import zlib
from pathlib import Path

RUN = "CELLSHUFFLE_RUN"  # the environment's name of Snakemake's process, for those it starts
PR_SET_PDEATHSIG = 1  # prctl(2) of Linux
PAUSE = 0.5  # seconds between two looks where the system sends no signal

_parent = None  # of this process, once `end_with_parent` was called


def end_with_parent(number=signal.SIGKILL):
    """Have this process sent a signal when its parent ends, however that happens.

    Linux sends it by itself; elsewhere a thread watches. number: SIGTERM for a process that has something
    to save. From now on `files.atomic_write` puts no file in place once the parent is gone.
    """
    global _parent
    _parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    else:
        threading.Thread(target=_watch, args=(number,), name="parent", daemon=True).start()
    if is_orphan():  # since before the call
        os.kill(os.getpid(), number)


def is_orphan():
    """Whether the parent, or the run on this machine, has ended; False before `end_with_parent`."""
    if _parent is None:
        return False
    run, _, process = os.environ.get(RUN, "").partition(".")
    return os.getppid() != _parent or (run == machine() and not is_alive(process))


def name_run():
    """Tell the processes that this one will start who it is."""
    os.environ[RUN] = f"{machine()}.{os.getpid()}"


def machine():
    """Eight characters for this machine since it was started."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    name = socket.gethostname() + (boot.read_text() if boot.exists() else "")
    return f"{zlib.crc32(name.encode()):08x}"


def is_alive(process):
    """Whether there is a process with this number on this machine, other than one that has ended."""
    if not Path("/proc/self").exists():
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _watch(number):
    while not is_orphan():
        time.sleep(PAUSE)
    os.kill(os.getpid(), number)
