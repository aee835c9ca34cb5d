"""Whether the places that a run writes to take what it will write, asked before its first job."""

import os
import resource
import tempfile
from pathlib import Path

from cellshuffle.jobs.run import operating_system

SMALLEST_LIMIT = 64 * 2**20  # bytes that one file of any run may have: the report, Snakemake's own


def place_problems(folders, largest_file):
    """Lines on folders that cannot be written to, and on a limit of this shell that is too small.

    folders: those that a run writes into; of one that is not there, the nearest above it is tried.
    largest_file: bytes of the largest file that the run will write, as far as is known.
    """
    for folder in dict.fromkeys(folders):
        try:
            place = Path(folder).absolute()
            while not place.exists():
                place = place.parent
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"x")
                file.flush()
        except OSError as error:
            error.filename = folder
            yield operating_system(error)
    limit, needed = resource.getrlimit(resource.RLIMIT_FSIZE)[0], max(largest_file, SMALLEST_LIMIT)
    if resource.RLIM_INFINITY != limit < needed:
        yield (
            f"this shell lets a file have {limit / 1e6:,.1f} MB (`ulimit -f`), the run writes files of up to "
            f"{needed / 1e6:,.0f} MB; lift the limit: `ulimit -f unlimited`"
        )


def machine_memory():
    """Bytes of memory of this machine, or of the container that this process is in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total
