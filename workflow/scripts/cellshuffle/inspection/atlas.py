"""What is wrong with an atlas, found by cheap reads before hours are spent: all findings at once."""

import hashlib
import os
import shutil
import stat
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import h5py

from cellshuffle.atlas.h5ad import gene_names, index_of, member, open_h5ad, readable
from cellshuffle.atlas.plates import check_same_genes
from cellshuffle.errors import InputError
from cellshuffle.inspection.census import Labels
from cellshuffle.inspection.matrix import check_links, look_at_matrix
from cellshuffle.inspection.ownership import not_packed
from cellshuffle.labels.codes import missing_lines
from cellshuffle.labels.lookup import read_lookup


class Findings:
    """Lines about files, the same line about several files told once."""

    def __init__(self):
        self.files = {}  # {text: files it is said of, in order}

    def add(self, file, error):
        """Take the lines of an exception or a text about `file`."""
        for line in str(error).splitlines():
            text = line.removeprefix(f"{file}: ")
            about = self.files.setdefault(text, [])
            if file not in about:
                about.append(file)

    def lines(self):
        for text, files in self.files.items():
            first, *others = map(str, files)
            shown = ", ".join(map(os.path.basename, others[:3]))
            dots = ", ..." if len(others) > 3 else ""
            also = f" (and the same of {len(others)} more: {shown}{dots})" if others else ""
            yield f"{first}: {text}{also}"

    @contextmanager
    def of(self, file):
        """Anything that goes wrong inside the block becomes a finding about `file`."""
        try:
            with readable(file):
                yield
        except InputError as error:
            self.add(file, error)


def check_atlas(request):
    """Look at every plate and table that a run will read.

    request: {"plates": [{"plate", "split", "source", "packed" (path or None), "select": see
    selection.select_cells}, ...] in the config's order, "layer", "transform", "tasks", "columns"
    (obs columns needed besides), "max_cells": {split: cells or None}}
    Returns (errors, warnings, plates): lines, lines, and a dict an entry of "plates".
    """
    findings = Findings()
    lookups = {}
    for task, entry in request["tasks"].items():
        if entry.get("lookup"):
            with findings.of(entry["lookup"]["table"]):
                lookups[task] = read_lookup(entry["lookup"])
    sources = {}
    for entry in request["plates"]:
        sources.setdefault(entry["source"], []).append(entry)
    labels = Labels(request, lookups)
    usable, rows = {}, []
    for source, entries in sources.items():
        with findings.of(source):
            check_file(source)
            with open_h5ad(source) as file:
                check_links(file, request["layer"])
                look = look_at_source(file, request, findings)
                for entry in entries:
                    with findings.of(source):
                        kept = labels.count(file, entry)
                        rows.append(_row(entry, look["matrix"], kept, source))
            usable[source] = look
    order = [(entry["plate"], entry["split"]) for entry in request["plates"]]
    rows.sort(key=lambda row: order.index((row["plate"], row["split"])))
    _compare_sources(usable, findings)
    labels.check_combinations(findings)
    if not findings.files:
        _check_disk(request["plates"], rows, findings)
    errors = [*findings.lines(), *missing_lines(labels.missing, request["tasks"])]
    errors += not_packed(request["plates"])
    errors += [] if errors else list(labels.empty_splits())
    return errors, [] if errors else list(labels.unseen()), rows


def check_file(path):
    """Raise InputError unless `path` is a file that can be read and is not empty."""
    if not os.path.exists(path):
        link = f" (it is a link to {os.readlink(path)})" if os.path.islink(path) else ""
        raise InputError(
            f"{path}: there is no such plate{link}; atlas: dir and plate_file say where the plates are"
        )
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read, its permissions are {oct(status.st_mode)[-3:]}")
    if status.st_size == 0:
        raise InputError(f"{path}: is an empty file, so not an h5ad file")


def look_at_source(file, request, findings):
    """What is compared between files; the names of missing obs columns become findings."""
    path = file.filename
    matrix = look_at_matrix(file, request["layer"], request["transform"] != "none")
    if matrix.kind == "csc" and not request["plates"][0]["packed"]:
        findings.add(path, "the matrix is CSC, whose cells cannot be read; set atlas: pack: true")
    if matrix.n_cells == 0:
        findings.add(path, "has no cells")
    names = _first_names(member(file, "obs"))
    signature = hashlib.sha256(repr((matrix, names)).encode()).hexdigest()
    genes = gene_names(file, request["layer"])
    return {"matrix": matrix, "genes": genes, "signature": signature}


def _first_names(obs):
    index = obs["index"] if isinstance(obs, h5py.Dataset) else index_of(obs)
    return [str(name) for name in index[:100]]


def _row(entry, matrix, kept, source):
    return {
        "plate": entry["plate"],
        "split": entry["split"],
        "file": source,
        "size": os.path.getsize(source),
        "n_cells": kept,
        "n_genes": matrix.n_genes,
        "nnz": matrix.stored if kept == matrix.n_cells else None,
        "packed_size": int(
            kept / max(1, matrix.n_cells) * matrix.stored * (matrix.value_bytes + 2 * _wide(matrix))
            + 8 * kept
        ),
        "rows_size": matrix.stored * (matrix.stored_bytes + 4) if matrix.kind == "csc" else 0,
    }


def _wide(matrix):
    return 1 if matrix.n_genes <= 2**16 else 2


def _compare_sources(usable, findings):
    """The same genes in all files, and no file twice."""
    paths = list(usable)
    for path in paths[1:]:
        with findings.of(path):
            check_same_genes(paths[0], usable[paths[0]]["genes"], path, usable[path]["genes"])
    seen = {}
    for path in paths:
        status = os.stat(path)
        for key in ((status.st_dev, status.st_ino), usable[path]["signature"]):
            if seen.setdefault(key, path) != path:
                findings.add(path, f"holds the same cells as {seen[key]}; a plate may be used once")
                break


def _check_disk(entries, rows, findings):
    """Room for the plates that are still to be packed, and for rows of a CSC matrix meanwhile."""
    need, meanwhile = Counter(), Counter()
    for entry, row in zip(entries, rows, strict=True):
        if entry["packed"] and not os.path.exists(entry["packed"]):
            folder = existing_folder(entry["packed"])
            need[folder] += row["packed_size"]
            meanwhile[folder] = max(meanwhile[folder], row["rows_size"])
    for folder, size in (need + meanwhile).items():
        free = shutil.disk_usage(folder).free
        if size > free:
            findings.add(
                folder,
                f"packing the plates needs about {size / 1e9:.3g} GB, but {free / 1e9:.3g} GB are free; make "
                "space, set atlas: packed_dir to a larger disk, or atlas: pack: false",
            )


def existing_folder(path):
    """The nearest folder above `path` that is there."""
    folder = Path(path).resolve().parent
    while not folder.exists():
        folder = folder.parent
    return str(folder)
