"""What is wrong with an atlas, found by cheap reads before hours are spent: all findings at once."""

import hashlib
import os
import shutil
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellshuffle.atlas.genes import alignment, check_same_genes, check_unique, common_genes
from cellshuffle.atlas.h5ad import member, readable
from cellshuffle.atlas.obs import absent_line, absent_values, value_counts, where_mask
from cellshuffle.atlas.opening import is_h5ad, open_plate
from cellshuffle.atlas.selection import select_cells
from cellshuffle.atlas.stamps import stamp
from cellshuffle.atlas.tables import gene_names, row_names
from cellshuffle.errors import InputError
from cellshuffle.inspection.census import Census
from cellshuffle.inspection.combinations import combination_problems
from cellshuffle.inspection.matrix import Matrix, check_links, inspect_matrix
from cellshuffle.inspection.orders import inspect_orders
from cellshuffle.inspection.ownership import not_packed
from cellshuffle.inspection.sides import empty_splits, unnamed_values, warnings_of
from cellshuffle.labels.codes import missing_lines
from cellshuffle.labels.lookup import read_held_out, read_lookup, with_tables
from cellshuffle.labels.weights import possible_combinations
from cellshuffle.packing.format import packed_size


class Findings:
    """Lines about files, the same line about several files kept once."""

    def __init__(self):
        self.files = {}  # {text: {file it is about: None}}, a dict in place of an ordered set

    def add(self, file, error):
        """Take the lines of an exception or a text about `file`."""
        for line in str(error).splitlines():
            self.files.setdefault(line.removeprefix(f"{file}: "), {})[file] = None

    def lines(self):
        for text, files in self.files.items():
            first, *others = map(str, files)
            names = ", ".join(map(os.path.basename, others[:3])) + ", ..." * (len(others) > 3)
            rest = f" (and the same of {len(others)} more: {names})" if others else ""
            yield f"{first}: {text}{rest}"

    @contextmanager
    def of(self, file):
        """Anything that goes wrong inside the block becomes a finding about `file`."""
        try:
            with readable(file):
                yield
        except InputError as error:
            self.add(file, error)


@dataclass
class Inspected:
    """A plate that can be read: its entry of the request, and what its file holds."""

    entry: dict
    matrix: Matrix
    n_cells: int  # of the selection, whatever max_cells: what is packed
    n_read: int  # of these, the cells that the run reads
    where: dict | None  # the request's, by which it reads fewer
    wanted: Counter  # cells of the selection that have each (column, value) of it
    n_genes: int  # that are packed
    n_own: int  # of these, the genes that the plate has
    aligned: str  # what becomes of its genes, in words, where plates are brought to one list
    left_out: dict  # {task: cells that are left out, since they have no label of it}
    divided: (
        Counter  # cells of each value of the split's column, or combination of its columns, on either side
    )
    beside: dict  # {plate: cells} of all plates in the same obs column
    split: dict = field(default_factory=dict)  # of its selection, with what tables say

    def n_values(self):
        """Stored values of the selected cells and genes, were they spread evenly."""
        share = self.n_cells / max(1, self.matrix.n_cells)
        return share * self.n_own / max(1, self.matrix.n_genes) * self.matrix.stored

    def packed_size(self):
        """Bytes of the packed plate."""
        matrix = self.matrix
        return packed_size(self.n_cells, self.n_values(), self.n_genes, matrix.value_bytes)

    def rows_size(self):
        """Bytes that packing needs besides, while it rewrites a CSC matrix by rows."""
        return self.matrix.stored * (self.matrix.stored_bytes + 4) * (self.matrix.format == "csc")


def check_atlas(request):
    """Look at every plate and table that a run will read.

    request: see inspect_atlas. Returns (errors, warnings, plates): lines, lines, and a dict an entry of
    "plates".
    """
    errors, plates, census = inspect_atlas(request)
    if len(plates) == len(request["plates"]):
        errors += _disk_problems(plates)
    return errors, [] if errors else warnings_of(plates, census), [_row(plate) for plate in plates]


def inspect_atlas(request):
    """What is wrong with the plates and tables that a run will read, and what they hold.

    request: {"plates": [{"plate", "split", "source", "packed" (path or None), "select": see
    selection.select_cells}, ...] in the config's order, "layer", "transform", "tasks", "balance",
    "columns" (obs columns needed besides), "max_cells": {split: cells or None}, "orders":
    see orders.inspect_orders}
    Returns (errors, plates, census): lines; an Inspected of every plate that can be read, in the
    config's order; a Census of their cells.
    """
    findings, sources = Findings(), {}
    lookups, held_out = _read_tables(request, findings)
    for entry in request["plates"]:
        sources.setdefault(entry["source"], []).append(entry)
    names = [request[key] for key in ("tasks", "columns", "balance")]
    census = Census(*names, lookups, request["max_cells"])
    usable, plates = {}, []
    for source, entries in sources.items():
        with findings.of(source):
            with _opened(source) as file:
                check_links(file, request["layer"])
                facts = inspect_source(file, request, findings)
                for entry in entries:
                    with findings.of(source):
                        select = with_tables(entry["select"], lookups, held_out)
                        chosen = select_cells(source, request["layer"], **select | {"align": None})
                        rows = _rows_read(file, chosen.rows, request.get("where"))
                        for problem in census.add(file, entry["split"], rows):
                            findings.add(source, problem)
                        wanted = value_counts(file, request.get("where") or {}, chosen.rows)
                        where = request.get("where"), wanted
                        found = _inspected(entry, facts["matrix"], chosen, rows, where)
                        found.split = select.get("split", {})
                        plates.append(found)
            usable[source] = facts
    plates.sort(key=lambda plate: request["plates"].index(plate.entry))
    unaligned = _align(plates, usable)
    if "align" not in request["plates"][0]["select"]:
        _compare_genes(usable, findings)
    _compare_sources(usable, findings)
    with findings.of("weights: balance"):
        possible_combinations([census.n_classes(name) for name in request["balance"]])
    errors = [*findings.lines(), *unaligned, *missing_lines(census.not_in_lookup, request["tasks"], lookups)]
    errors += [*unnamed_values(plates), *combination_problems(plates), *not_packed(request["plates"])]
    errors += _absent_values(usable, request.get("where"))
    if not errors:
        errors, census.orders = inspect_orders(request.get("orders"), census.cells["train"])
    return errors or list(empty_splits(plates, census)), plates, census


def _read_tables(request, findings):
    """({task: see read_lookup}, combinations to test on or None) of all tables that can be read."""
    lookups, held_out = {}, None
    for task, entry in request["tasks"].items():
        if entry.get("lookup"):
            with findings.of(entry["lookup"]["table"]):
                lookups[task] = read_lookup(entry["lookup"])
    split = request["plates"][0]["select"].get("split", {})
    if "table" in split:
        held_out = []
        with findings.of(split["table"]):
            held_out = read_held_out(split)
    return lookups, held_out


def _rows_read(file, rows, where):
    """Those of the rows (None: all) that `where` wants."""
    if not where:
        return rows
    mask = where_mask(file, where)
    return np.flatnonzero(mask) if rows is None else rows[mask[rows]]


def _inspected(entry, matrix, chosen, rows, where):
    n_cells = matrix.n_cells if chosen.rows is None else len(chosen.rows)
    n_read = n_cells if rows is None else len(rows)
    n_genes = matrix.n_genes if chosen.genes is None else len(chosen.genes)
    left_out = dict(zip(entry["select"].get("labelled", ()), chosen.lacking, strict=True))
    counts = n_cells, n_read, *where, n_genes, n_genes, ""
    return Inspected(entry, matrix, *counts, left_out, chosen.divided, chosen.beside)


def _align(plates, usable):
    """Note on each plate what becomes of its genes where plates are brought to one list; lines of errors.

    plates: Inspected; usable: {path: see inspect_source} of all that can be read.
    """
    align = plates[0].entry["select"].get("align") if plates else None
    if not align:
        return []
    try:
        common = common_genes(align["to"], [(path, facts["genes"]) for path, facts in usable.items()])
    except InputError as error:
        return str(error).splitlines()
    for plate in plates:
        names = usable[plate.entry["source"]]["genes"]
        plate.n_genes, plate.aligned = len(common.names), alignment(common, names)
        plate.n_own = int((common.numbers(names) >= 0).sum())
    return []


def _opened(path):
    """The open h5ad file; InputError says why it cannot be opened, and which keys name it."""
    try:
        return open_plate(path)
    except InputError as error:
        advice = "" if os.path.exists(path) else "; atlas: dir and plate_file say where the plates are"
        raise InputError(f"{error}{advice}") from None


def inspect_source(file, request, findings):
    """What is compared between files; what is wrong with the matrix becomes a finding."""
    path = file.filename
    matrix = inspect_matrix(file, request["layer"], request["transform"] != "none")
    if not request["plates"][0]["packed"]:
        if not is_h5ad(file):
            findings.add(path, "is no h5ad file; its cells are read once packed, so set atlas: pack: true")
        elif matrix.format == "csc":
            findings.add(path, "the matrix is CSC, whose cells cannot be read; set atlas: pack: true")
    if matrix.n_cells == 0:
        findings.add(path, "has no cells")
    names = row_names(member(file, "obs"), 100).tolist()
    signature = hashlib.sha256(repr((matrix, names)).encode()).hexdigest()
    select = request["plates"][0]["select"]
    genes = gene_names(file, request["layer"], select.get("gene_column"))
    if select.get("align"):
        check_unique(path, genes)
    return {"matrix": matrix, "genes": genes, "signature": signature}


def _row(plate):
    """A plate as the JSON file of the check has it."""
    entry, matrix = plate.entry, plate.matrix
    return {
        "plate": entry["plate"],
        "split": entry["split"],
        "file": entry["source"],
        "size": stamp(entry["source"])[0],
        "n_cells": plate.n_read,
        "n_genes": matrix.n_genes,
        "nnz": matrix.stored if plate.n_read == matrix.n_cells else None,
        "packed_size": plate.packed_size(),
        "rows_size": plate.rows_size(),
    } | ({"left_out": plate.left_out} if plate.left_out else {})


def _absent_values(paths, where):
    """Lines on values wanted that no plate has."""
    with ExitStack() as stack:
        files = [stack.enter_context(open_plate(path)) for path in paths] if where else []
        absent = absent_values(files, where) if files else {}
    return [f"atlas: {absent_line(*key, there)}" for key, there in absent.items()]


def _compare_genes(usable, findings):
    """The same genes in all files."""
    first = next(iter(usable), None)
    for path, facts in usable.items():
        with findings.of(path):
            check_same_genes(first, usable[first]["genes"], path, facts["genes"])


def _compare_sources(usable, findings):
    """No file twice."""
    seen = {}
    for path, facts in usable.items():
        status = os.stat(path)
        for key in ((status.st_dev, status.st_ino), facts["signature"]):
            if seen.setdefault(key, path) != path:
                findings.add(path, f"holds the same cells as {seen[key]}; a plate may be used once")
                break


def _disk_problems(plates):
    """Lines on disks without room for the plates still to be packed, and for the largest rows file."""
    packed, rows = Counter(), Counter()
    are_h5ad = all(plate.entry["source"].endswith(".h5ad") for plate in plates)  # others are always packed
    for plate in plates:
        path = plate.entry["packed"]
        if path and not os.path.exists(path):
            folder = next(above for above in Path(path).resolve().parents if above.exists())
            packed[folder] += plate.packed_size()
            rows[folder] = max(rows[folder], plate.rows_size())
    for folder, size in (packed + rows).items():
        free = shutil.disk_usage(folder).free
        if size > free:
            yield (
                f"{folder}: packing the plates needs about {size / 1e9:.3g} GB, but {free / 1e9:.3g} GB are "
                f"free; make space, or set atlas: packed_dir to a larger disk{', or pack: false' * are_h5ad}"
            )
