"""Plates packed into a folder: several at a time, and from where it was stopped."""

import hashlib
import os
import re
import shutil
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from cellshuffle.atlas.genes import gene_numbers
from cellshuffle.atlas.h5ad import member, readable
from cellshuffle.atlas.names import file_name
from cellshuffle.atlas.obs import absent_line, absent_values, names_wanted, where_mask, where_masks
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.parquet import data_files
from cellshuffle.atlas.selection import Selection, choose_genes
from cellshuffle.atlas.stamps import stamp
from cellshuffle.atlas.tables import column_names, gene_names
from cellshuffle.atlas.zarr_store import zeros_line
from cellshuffle.commands.size import expected_size
from cellshuffle.console import progress, say
from cellshuffle.errors import InputError, check_whole
from cellshuffle.files import remove_leftovers
from cellshuffle.orphans import end_with_parent
from cellshuffle.packing.format import FORMAT
from cellshuffle.packing.origin import DIFFERENCES, differences, origin, packed_format
from cellshuffle.packing.pack import pack_plate, rows_path
from cellshuffle.phrasing import byte_words, natural_key

PLATE = "plate"  # the column of Parquet files by whose values they are packed
SECONDS = 0.5  # between two looks at how far the processes are


@dataclass
class Request:
    """What is kept of every plate."""

    layer: str | None
    genes: list | None
    where: dict | None
    align: dict | None  # see selection.select_cells
    gene_column: str | None

    def select(self, file, plate=None):
        """The Selection of cells and genes of an open plate; plate: which one of several, or None."""
        masks = [where_mask(file, where) for where in (self.where, plate and {PLATE: plate}) if where]
        rows = np.logical_and.reduce(masks).nonzero()[0] if masks else None
        if not self.genes:
            return Selection(rows, *choose_genes(file, self.layer, None, self.gene_column, self.align))
        there = gene_names(file, self.layer, self.gene_column)
        return Selection(
            rows, gene_numbers(there, self.genes, file.filename), self.gene_column and np.array(self.genes)
        )

    def origin(self, source, plate):
        """What a plate is packed from, see packing/origin.py."""
        genes = self.genes and hashlib.sha256("\n".join(self.genes).encode()).hexdigest()
        select = {"genes": genes} | ({"plate": plate} if plate else {})
        if self.align:
            select["align"] = self.align
        if self.gene_column:
            select["gene_column"] = self.gene_column
        if self.where:
            select["where"] = {name: sorted(set(values)) for name, values in names_wanted(self.where).items()}
        return origin(self.layer, select, stamp(source))


def pack(
    plates: str | Path | Sequence[str | Path],
    out: str | Path,
    layer: str | None = None,
    genes: Sequence[str] | None = None,
    where: dict | None = None,
    jobs: int | None = None,
    align: str | Path = "none",
    gene_column: str | None = None,
) -> list[Path]:
    """Rewrite plates once as h5ad, under their own names in the folder `out`, so that cells are read fast.

    What comes out is valid h5ad: counts as uncompressed CSR, obs and var. Plates that are there already, of
    the same file and the same request, are left; so what was stopped goes on with the plates that it lacks.
    No plate is ever there in part.

    plates: h5ad files, zarr stores, and files or folders of Parquet files, whose cells are packed as a plate
    for each value of the column `plate`; layer: None for X, "raw", "obsm/<name>" or a layer; genes: names of
    those to keep, in the order wanted; where: {obs column: value or values}, to keep only cells that have
    them; jobs: processes at a time, as many as there are cores by default (more than there are plates decode
    as threads); align: "intersection", "union" or a text file, one gene a line, to bring plates whose genes
    differ to one list, by name, with zeros for genes that a plate lacks; in the order of the file or of the
    first plate, and then of the others; gene_column: of var, with the names of the genes, None for its index.
    Returns the packed files, in the order of `plates`. Raises InputError, before anything is written, for
    what cannot be read, is not there or does not fit on the disk; for a plate that fails later once the
    others are done.

    >>> packed = pack([plate], "packed", where={"drug": ["d0", "d1"]})
    >>> len(Plates(packed))
    30
    """
    paths = [Path(path) for path in ([plates] if isinstance(plates, str | Path) else plates)]
    out, jobs = Path(out), _cores() if jobs is None else jobs
    check_whole("jobs", jobs, 1)
    if not paths:
        raise InputError("there are no plates to pack: give the path of at least one h5ad file")
    genes = [genes] if isinstance(genes, str) else genes if genes is None else [str(g) for g in genes]
    if genes == []:
        raise InputError("genes: the list is empty; name at least one gene, or leave it out for all of them")
    if genes and align != "none":
        raise InputError(
            "genes: leave it out with align, which brings plates to the genes of a file, in its order"
        )
    aligned = None if align == "none" else {"to": str(align), "plates": [str(path) for path in paths]}
    request = Request(layer, genes, where or None, aligned, gene_column)
    sources = [source for path in paths for source in _plates_of(path)]
    targets = _targets(sources, out)
    are_there = all(path.exists() for path in paths)
    origins = [request.origin(*source) if are_there else None for source in sources]
    todo = [
        (source, target, text)
        for source, target, text in zip(sources, targets, origins, strict=True)
        if text is None or _to_pack(source[0], target, text)
    ]
    if len(todo) < len(sources):
        say(f"{out}: {len(sources) - len(todo)} of {len(sources)} plates are packed already")
    if todo:
        sizes = _looked_at(request, [source for source, _, _ in todo])
        _check_disk(out, todo, sizes, jobs)
        _pack_all(request, todo, [size.n_cells for size in sizes], jobs)
    return targets


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _plates_of(path):
    """[(path, plate), ...] of the plates in a source: values of the column `plate`, or None for one alone."""
    if not (path.exists() and data_files(path)):
        return [(path, None)]
    with open_plate(path) as file:
        if file.files[0].columns.get(PLATE) != "text":
            return [(path, None)]
        return [(path, name) for name in sorted(file.codes(PLATE)[1].tolist(), key=natural_key)]


def _stem(source, plate):
    """The name of a plate, without the endings of its form."""
    if plate is not None:
        return file_name(plate)
    return re.sub(r"\.(h5ad|parquet|zarr(\.zip)?)$", "", source.name)


def _targets(sources, out):
    names = [f"{_stem(*source)}.h5ad" for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{out}: several plates would be packed as {twice[0]}; rename one")
    return [out / name for name in names]


def _to_pack(source, target, text):
    """Whether a plate is to be packed (again); InputError where that would replace something else."""
    if not os.path.lexists(target):
        return True
    number = packed_format(target)
    if number is None or (target.exists() and target.samefile(source)):
        raise InputError(f"{target}: is there, and was not packed by cellshuffle; move it away")
    differ = differences(target, text)
    if set(differ) - {DIFFERENCES["stamp"], DIFFERENCES["aligned"]}:
        raise InputError(
            f"{target}: was packed from {' and '.join(differ)}; delete it, or choose another folder"
        )
    if number != FORMAT:
        say(f"{target}: in format {number} of another version; packing it again")
    elif differ == [DIFFERENCES["aligned"]]:
        say(f"{target}: the list of genes has changed since; packing it again")
    elif differ:
        say(f"{target}: {source} has changed since; packing it again")
    return number != FORMAT or bool(differ)


def _looked_at(request, sources):
    """The Size of every plate; InputError with a line for each that cannot be packed."""
    sizes, problems = [], []
    with ExitStack() as stack:
        files = {}  # a folder of Parquet files, which is the source of several plates, is opened once
        for source, plate in sources:
            try:
                if source not in files:
                    files[source] = stack.enter_context(open_plate(source))
                file = files[source]
                with readable(source):
                    select = request.select(file, plate)
                    sizes.append(expected_size(source, file, request.layer, select))
                    for column in column_names(member(file, "obs")):
                        if line := zeros_line(file, column):
                            say(f"warning: {line}")
                    if select.aligned:
                        say(f"{source}: {select.aligned}")
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError("\n".join(problems))
        if request.where:
            files = list(files.values())
            lines = [absent_line(*key, there) for key, there in absent_values(files, request.where).items()]
            if lines:
                raise InputError("\n".join(lines))
            where_masks(files, request.where, [slice(None)] * len(files))  # refuses to keep no cell
    return sizes


def _check_disk(out, todo, sizes, jobs):
    """Say what packing takes on the disk and what is free; InputError where that is less."""
    _remove_leftovers(todo)  # which take room
    meanwhile = sum(sorted((size.meanwhile for size in sizes), reverse=True)[:jobs])
    need = sum(size.packed for size in sizes)
    folder = next(f for f in [out.absolute(), *out.absolute().parents] if f.exists())
    free = shutil.disk_usage(folder).free
    words = f"about {byte_words(need)} on the disk"
    if meanwhile:
        words += f", and {byte_words(meanwhile)} for a while"
    cells = sum(size.n_cells for size in sizes)
    line = f"{out}: packing {cells:,} cells of {_plates(todo)} takes {words}; {byte_words(free)} are free"
    if need + meanwhile > free:
        raise InputError(f"{line}: make room, choose another folder, or keep fewer genes or cells")
    say(line)


def _remove_leftovers(todo):
    """Remove what killed processes have left half-written."""
    for _, target, _ in todo:
        remove_leftovers(target)
        remove_leftovers(rows_path(target))


def _plates(todo):
    return f"{len(todo)} plate{'s' * (len(todo) > 1)}"


def _pack_all(request, todo, n_cells, jobs):
    """Pack in processes, with progress; they end with this one, and what they have not finished is gone."""
    context = get_context("fork")  # a script of a person need not be importable
    taken, done, results = context.Value("q", 0), context.Value("d", 0), context.SimpleQueue()
    n = min(jobs, len(todo))
    common = (request, todo, max(1, jobs // n), taken, done, results, os.getpid())
    workers = [context.Process(target=_work, args=common, daemon=True) for _ in range(n)]
    problems, ended, shown = {}, set(), 0
    try:
        for worker in workers:
            worker.start()
        bar = progress(sum(n_cells), "cells", f"packing {_plates(todo)}")
        running = [worker.sentinel for worker in workers]
        while running:
            wait(running, SECONDS)
            running = [worker.sentinel for worker in workers if worker.is_alive()]
            while not results.empty():
                number, problem = results.get()
                ended.add(number)
                if problem:
                    problems[number] = problem
                else:
                    say(f"{todo[number][1]}: {n_cells[number]:,} cells packed")
            now = done.value
            bar.update(now - shown)
            shown = now
        bar.close()
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.kill()
                worker.join()
        _remove_leftovers(todo)
    for number in set(range(min(taken.value, len(todo)))) - ended:
        codes = sorted({worker.exitcode for worker in workers} - {0})
        problems[number] = (
            f"{todo[number][0][0]}: the process that packed it was killed (exit code {codes[0]}): out of "
            "memory? Start again, with fewer at a time (jobs), to go on with what is not packed yet"
        )
    if problems:
        raise InputError("\n".join(problems[number] for number in sorted(problems)))


def _work(request, todo, threads, taken, done, results, parent):
    """What each process does: the next plate that no other has taken."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the parent ends this process
    end_with_parent()
    if os.getppid() != parent:
        return

    def report(n):
        with done.get_lock():
            done.value += n

    while True:
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + 1
        if number >= len(todo):
            return
        (source, plate), target, text = todo[number]
        try:
            with readable(source), open_plate(source) as file:
                select = request.select(file, plate)
            pack_plate(source, target, request.layer, select, threads, report, text)
        except InputError as error:
            results.put((number, str(error)))
        except OSError as error:
            results.put((number, f"{error.filename or target}: {error.strerror or error}"))
        else:
            results.put((number, None))
