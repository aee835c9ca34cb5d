"""Whether the places that a run writes to take what it will write, asked before its first job."""

import os
import resource
import shutil
import tempfile
from pathlib import Path

from cellshuffle.jobs.run import operating_system

SMALLEST_LIMIT = 64 * 2**20  # bytes that one file of any run may have: the report, Snakemake's own


def place_problems(folders, largest_file):
    """Lines on folders that cannot be written to, and on a limit of this shell that is too small.

    folders: those that a run writes into; of one that is not there, the nearest above it is tried.
    largest_file: bytes of the largest file that the run will write, as far as is known.
    """
    places = {_nearest(folder): folder for folder in reversed(folders)}
    for place, folder in reversed(places.items()):
        try:
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


def simulation_problems(sizes, n_plates, folder, memory):
    """Lines on a simulated atlas that this machine cannot hold; nothing where it can.

    sizes: `atlas: simulate` of the configuration; n_plates: that are still to be made, in `folder`;
    memory: of this machine, in bytes. Estimates from below: what is refused cannot be done.
    """
    genes, cells = sizes["genes"], sizes["cells_per_plate"]
    stored = 270 * (genes / 2000) ** 0.6 * 2  # bytes a cell: the genes that it expresses, compressed
    needed = n_plates * cells * stored
    free = shutil.disk_usage(_nearest(folder)).free
    if needed > free:
        yield (
            f"atlas: simulate: {n_plates} plates of {cells:,} cells and {genes:,} genes take about "
            f"{needed / 1e9:,.3g} GB, but {free / 1e9:,.3g} GB are free in {folder}; simulate fewer"
        )
    profiles = sizes["cell_lines"] + sizes["drugs"] // 4
    columns = sizes["cell_lines"] + sizes["drugs"]  # classes of a usual configuration
    for what, needed in (
        (f"a plate of {cells:,} cells", cells * 40),
        (
            f"profiles of {sizes['cell_lines']:,} cell lines and {sizes['drugs']:,} drugs",
            profiles * genes * 8,
        ),
        (f"a model of {genes:,} genes and {columns:,} classes", columns * genes * 16),
    ):
        yield from _memory_problem(f"atlas: simulate: {what}", needed, memory, "simulate fewer")


def draw_problems(strategies, memory):
    """Lines on strategies whose draws of an epoch do not fit into the memory of this machine, in bytes."""
    for name, entry in strategies.items():
        draws = entry.get("total_size") or 0
        what = f"strategies: {name}: total_size: {draws:,} draws"
        yield from _memory_problem(what, draws * 8, memory, "draw fewer an epoch, and train for more epochs")


def process_problems(processes, cores):
    """A line on more processes of a training on this machine than it has cores."""
    if processes > cores:
        yield (
            f"training: world_size: {processes:,} processes need a core each, this machine has {cores}; take "
            f"{cores} at most, or train on GPUs"
        )


def _nearest(folder):
    """The folder, or the nearest above it that is there."""
    place = Path(folder).absolute()
    return next(above for above in (place, *place.parents) if above.exists())


def _memory_problem(what, needed, memory, advice):
    if needed > memory:
        has = f"this machine has {memory / 1e9:,.3g} GB"
        yield f"{what} take {needed / 1e9:,.3g} GB of memory, {has}; {advice}"


def machine_memory():
    """Bytes of memory of this machine, or of the container that this process is in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total
