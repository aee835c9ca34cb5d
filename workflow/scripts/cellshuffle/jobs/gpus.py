"""The device a training uses, and which GPUs where several are shared out by no scheduler."""

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

HELD = []  # descriptors of the locks; they go with the process, however it ends


def claim_gpus(n):
    """Show this process, and those it starts, `n` GPUs that no other training of this user has.

    Must come before CUDA is used. Where fewer are free (as on a cluster, which gives every job its own
    and calls them all 0) nothing is hidden.
    """
    free = [gpu for gpu in visible_gpus() if len(HELD) < n and _lock(gpu)]
    if len(free) == n:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(free)
        return
    while HELD:
        os.close(HELD.pop())


def visible_gpus():
    """Names of the GPUs that this process may see."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    with suppress(OSError):
        return [str(k) for k in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    return []


def _lock(gpu):
    """Whether the lock of this GPU could be had."""
    folder = Path(tempfile.gettempdir()) / f"cellshuffle-gpus-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder / f"{gpu.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        HELD.append(descriptor)
        return True
    return False
