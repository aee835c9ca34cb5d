"""What an atlas holds, counted from its files without reading the matrix, or from published sizes."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellshuffle.atlas.h5ad import matrix_kind, matrix_name, member, open_h5ad
from cellshuffle.atlas.selection import select_cells
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError
from cellshuffle.labels.lookup import read_lookup
from cellshuffle.labels.weights import possible_combinations

# Tahoe-100M as published: 14 plates of 4.7 to 10.5 million cells, 314 GB of h5ad. Plate 14 alone is
# tested on; the others are taken to be equally large.
TAHOE = {
    "name": "Tahoe100M",
    "cells": 100_648_790,
    "genes": 62_710,
    "test_plate": 5_050_000,
    "nonzeros": 2_100,
    "classes": {"cell_line": 50, "drug": 380, "moa-broad": 4, "moa-fine": 27},
}
SIMULATED_NONZEROS = 0.07, 2_100  # a cell: share of the genes, and at most


@dataclass
class Survey:
    """Counts of an atlas; cells by split are those that are trained and tested on."""

    source: str  # where the counts are from, in words
    n_genes: int = 0
    cells: dict = field(default_factory=lambda: {"train": 0, "test": 0})
    to_pack: int = 0  # cells of plates that are not packed yet
    nonzeros: float = 0  # stored values a cell, on average
    files: list = field(default_factory=list)  # (path, matrix kind) of plates that are there
    n_classes: dict = field(default_factory=dict)  # task -> classes in either split
    unseen: dict = field(default_factory=dict)  # task -> classes of the test split alone
    combinations: np.ndarray | None = None  # train cells of every combination that has any
    possible_combinations: int = 0


def survey(request, balance, simulate=None):
    """Survey of the atlas of a configuration.

    request: {"plates": [{"plate", "split", "source", "packed", "select"}], "layer", "tasks",
    "max_cells"}, as the check of the input takes it; balance: balanced tasks or obs columns;
    simulate: the sizes of a simulated atlas. Raises InputError when a plate is not there and is
    neither simulated nor one of Tahoe-100M.
    """
    missing = [p["source"] for p in request["plates"] if not Path(p["source"]).exists()]
    if not missing:
        return _of_files(request, balance)
    if simulate:
        return _expected(request, balance, _simulated(simulate, request), "as it will be simulated")
    if TAHOE["name"] in missing[0]:
        return _expected(request, balance, TAHOE, "published sizes: the files are not here")
    raise InputError(f"{missing[0]}: there is no such plate (and {len(missing) - 1} more)")


def _simulated(sizes, request):
    lines, drugs = sizes["cell_lines"], sizes["drugs"]
    classes = {"cell_line": lines, "drug": drugs, "moa-broad": 4, "moa-fine": min(27, drugs)}
    return {
        "cells": len(request["plates"]) * sizes["cells_per_plate"],
        "test_plate": sizes["cells_per_plate"],
        "genes": sizes["genes"],
        "nonzeros": min(SIMULATED_NONZEROS[0] * sizes["genes"], SIMULATED_NONZEROS[1]),
        "classes": classes,
    }


def _expected(request, balance, facts, words):
    """The Survey of an atlas of known sizes, whose files are not there."""
    found = Survey(words, n_genes=facts["genes"], nonzeros=facts["nonzeros"])
    train_plate = (facts["cells"] - facts["test_plate"]) // 13
    if "name" not in facts:
        train_plate = facts["test_plate"]
    for plate in request["plates"]:
        is_test = plate["plate"] == "14" or plate["split"] == "test"
        size = facts["test_plate"] if is_test else train_plate
        found.cells[plate["split"]] += size
        found.to_pack += 0 if _is_packed(plate) else size
    _limit(found, request)
    for task, entry in request["tasks"].items():
        name = entry["lookup"]["value"] if entry.get("lookup") else entry["column"]
        if name not in facts["classes"]:
            raise InputError(
                f"tasks: {task}: how many classes it has is not known without the plates"
            )
        found.n_classes[task] = facts["classes"][name]
    sizes = [found.n_classes.get(name) or facts["classes"].get(name, 1) for name in balance]
    found.possible_combinations = math.prod(sizes)
    return found


def _of_files(request, balance):
    found = Survey("counted in the files")
    labels = {"train": {}, "test": {}}
    values, cells = 0.0, 0
    lookups = {t: read_lookup(e["lookup"]) for t, e in request["tasks"].items() if e.get("lookup")}
    for plate in request["plates"]:
        columns = [e["column"] for e in request["tasks"].values()]
        columns += [name for name in balance if name not in request["tasks"]]
        n_cells, density, kind, codes = _look(plate, request["layer"], set(columns), found)
        values, cells = values + density * n_cells, cells + n_cells
        found.files.append((plate["source"], kind))
        found.to_pack += 0 if _is_packed(plate) else n_cells
        side = labels[plate["split"]]
        limit = request["max_cells"][plate["split"]] or n_cells + found.cells[plate["split"]]
        kept = max(0, min(n_cells, limit - found.cells[plate["split"]]))
        found.cells[plate["split"]] += kept
        for task, entry in request["tasks"].items():
            pair = codes[entry["column"]]
            side.setdefault(task, []).append(_looked_up(pair, lookups.get(task), kept))
        for name in balance:
            if name not in request["tasks"]:
                side.setdefault(name, []).append(_looked_up(codes[name], None, kept))
    found.nonzeros = values / max(cells, 1)
    for task in request["tasks"]:
        seen = {split: _distinct(pairs.get(task, [])) for split, pairs in labels.items()}
        found.n_classes[task] = len(seen["train"] | seen["test"])
        found.unseen[task] = sorted(seen["test"] - seen["train"])
    found.combinations = _combinations([labels["train"][name] for name in balance])
    found.possible_combinations = len(found.combinations)
    return found


def _is_packed(plate):
    return plate["packed"] is None or Path(plate["packed"]).exists()


def _look(plate, layer, columns, found):
    """(cells, stored values a cell, matrix kind, {column: (codes, values)}) of a plate's selection."""
    select = select_cells(plate["source"], layer, **plate["select"])
    with open_h5ad(plate["source"]) as file:
        matrix = member(file, matrix_name(file, layer))
        kind, (n_rows, n_genes) = matrix_kind(matrix)
        codes = {column: column_codes(file, column) for column in columns}
        stored = n_rows * n_genes if kind == "dense" else len(member(matrix, "data"))
    if select.rows is not None:
        codes = {column: (part[select.rows], names) for column, (part, names) in codes.items()}
    share = 1.0 if select.genes is None else len(select.genes) / n_genes
    found.n_genes = n_genes if select.genes is None else len(select.genes)
    n_cells = n_rows if select.rows is None else len(select.rows)
    return n_cells, share * stored / max(n_rows, 1), kind, codes


def _looked_up(pair, lookup, kept):
    codes, values = pair[0][:kept], pair[1].tolist()
    return codes, [lookup.get(value, "?") for value in values] if lookup else values


def _distinct(pairs):
    used = (np.unique(codes[codes >= 0]).tolist() for codes, _ in pairs)
    return {values[code] for (_, values), codes in zip(pairs, used, strict=True) for code in codes}


def _combinations(columns):
    """Cells of every combination of labels that occurs; columns: per label its (codes, values) a plate."""
    names = [sorted(_distinct(pairs)) for pairs in columns]
    shape = tuple(max(len(part), 1) for part in names)
    places = [{name: place for place, name in enumerate(part)} for part in names]
    total = np.zeros(possible_combinations(shape), np.int64)
    for plate in zip(*columns, strict=True):
        numbers = [
            np.array([place.get(value, 0) for value in values] or [0])[codes]
            for (codes, values), place in zip(plate, places, strict=True)
        ]
        total += np.bincount(np.ravel_multi_index(numbers, shape), minlength=len(total))
    return total[total > 0]


def _limit(found, request):
    for split, limit in request["max_cells"].items():
        found.cells[split] = min(found.cells[split], limit or found.cells[split])


def matrix_shape(path, layer=None):
    """(cells, genes) of an h5ad file; nothing but the shape of the matrix is read."""
    with open_h5ad(path) as file:
        return matrix_kind(member(file, matrix_name(file, layer)))[1]


def count_classes(paths, tasks):
    """Classes of all tasks together, of plates whose columns are categorical; no cell is read.

    Raises KeyError where a column is not, InputError where a table cannot be read.
    """
    total = 0
    for entry in tasks.values():
        if entry.get("lookup"):
            total += len(set(read_lookup(entry["lookup"]).values()))
            continue
        values = set()
        for path in paths:
            with open_h5ad(path) as file:
                values.update(file[f"obs/{entry['column']}/categories"][:].tolist())
        total += len(values)
    return total
