"""A limit on the memory of a process and its page cache: a control group that is made for it and removed."""

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
# Where a group's files are, and which one holds the limit: of the older and the newer kind of control groups.
KINDS = (("memory", "memory.limit_in_bytes"), ("", "memory.max"))
JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@contextmanager
def limited(n_bytes):
    """The beginning of a command that gives the rest of it so much memory; None where nobody lets us."""
    for kind, file in KINDS:
        group = MOUNTED / kind / f"cellshuffle-bench-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / file).exists():
                (group / file).write_text(str(n_bytes))
                yield ["sh", "-c", JOIN, str(group)]
                return
        finally:
            with suppress(OSError):
                group.rmdir()
    yield _by_systemd(n_bytes)


def _by_systemd(n_bytes):
    """`limited` by the service manager, which also lets those make groups who are not root."""
    user = [] if os.getuid() == 0 else ["--user"]
    command = ["systemd-run", *user, "--scope", "--quiet", "-p", f"MemoryMax={n_bytes}"]
    if shutil.which(command[0]) is None:
        return None
    works = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if works else None
