"""What an atlas holds, counted from its files without reading the matrix, or from published sizes."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellshuffle.atlas.h5ad import matrix_format, matrix_of, member
from cellshuffle.atlas.obs import where_words
from cellshuffle.atlas.opening import open_plate
from cellshuffle.errors import InputError
from cellshuffle.inspection.atlas import inspect_atlas
from cellshuffle.inspection.sides import notes_of
from cellshuffle.labels.codes import cells_kept
from cellshuffle.labels.lookup import read_lookup
from cellshuffle.packing.format import FORMAT
from cellshuffle.packing.origin import packed_format

# Tahoe-100M as published: 14 plates of 4.7 to 10.5 million cells, as h5ad (314 GB) and as Parquet, where the
# column of cell lines is cell_line_id. Plate 14 alone is tested on; the others are taken to be equally large.
TAHOE = {
    "name": "tahoe100m",  # in a path, without case, - and _
    "cells": 100_648_790,
    "genes": 62_710,
    "test_plate": 5_050_000,
    "nonzeros": 2_100,
    "classes": {"cell_line": 50, "cell_line_id": 50, "drug": 380, "moa-broad": 4, "moa-fine": 27},
}


@dataclass
class Survey:
    """Counts of an atlas; cells by split are those that are trained and tested on."""

    source: str  # where the counts are from, in words
    n_genes: int = 0
    cells: dict = field(default_factory=lambda: {"train": 0, "test": 0})
    to_pack: int = 0  # cells of plates that are not packed yet
    nonzeros: float = 0  # stored values a cell, on average
    files: list = field(default_factory=list)  # paths of the plates that are there
    n_classes: dict = field(default_factory=dict)  # task -> classes in either split
    unseen: dict = field(default_factory=dict)  # task -> classes of the test split alone
    combinations: np.ndarray | None = None  # train cells of every combination that has any
    problems: list = field(default_factory=list)  # lines: why a run would be refused
    notes: list = field(default_factory=list)  # lines on cells that are left out, and the like
    possible_combinations: int = 0
    layer: str | None = None  # the matrix that is read
    can_be_unpacked: bool = True  # whether all plates are h5ad: others are always packed


def survey(request, simulate=None):
    """Survey of the atlas of a configuration.

    request: see inspection.atlas.inspect_atlas; simulate: the sizes of a simulated atlas. Raises
    InputError when a plate cannot be read, or is not there and neither simulated nor one of Tahoe-100M.
    """
    atlas = _surveyed(request, simulate)
    atlas.can_be_unpacked = all(plate["source"].endswith(".h5ad") for plate in request["plates"])
    return atlas


def _surveyed(request, simulate):
    missing = [p["source"] for p in request["plates"] if not Path(p["source"]).exists()]
    if not missing:
        return _of_files(request)
    if simulate:
        return _expected(request, _simulated(simulate), "as it will be simulated")
    if TAHOE["name"] in re.sub("[-_]", "", missing[0].lower()):
        return _expected(request, TAHOE, "published sizes: the files are not here")
    raise InputError(f"{missing[0]}: there is no such plate (and {len(missing) - 1} more)")


def _simulated(sizes):
    """Facts as in TAHOE about a simulated atlas, were it of 14 plates."""
    lines, drugs = sizes["cell_lines"], sizes["drugs"]
    return {
        "cells": 14 * sizes["cells_per_plate"],
        "test_plate": sizes["cells_per_plate"],
        "genes": sizes["genes"],
        "nonzeros": min(0.07 * sizes["genes"], 2_100),  # stored values a cell
        "classes": {"cell_line": lines, "drug": drugs, "moa-broad": 4, "moa-fine": min(27, drugs)},
    }


def _expected(request, facts, words):
    """The Survey of an atlas of known sizes, whose files are not there."""
    atlas = Survey(words, n_genes=facts["genes"], nonzeros=facts["nonzeros"])
    for plate in request["plates"]:
        split = plate["select"].get("split", {})
        name = plate["plate"].removesuffix(f"-{plate['split']}") if split else plate["plate"]
        is_test = name.removeprefix("plate") == "14" or (plate["split"] == "test" and not split)
        size = facts["test_plate"] if is_test else (facts["cells"] - facts["test_plate"]) // 13
        if "fraction" in split:  # of cells, or of combinations, which may differ in size
            size = round(size * (split["fraction"] if plate["split"] == "test" else 1 - split["fraction"]))
        elif split and not atlas.notes:
            atlas.notes.append(
                "atlas: split: how the cells divide is known once the plates are there; all are counted on "
                "both sides here."
            )
        used, limit = atlas.cells[plate["split"]], request["max_cells"][plate["split"]]
        atlas.cells[plate["split"]] += cells_kept(size, used, limit)
        atlas.to_pack += 0 if _is_packed(plate) else size
    for task, entry in request["tasks"].items():
        name = entry["lookup"]["value"] if entry.get("lookup") else entry["column"]
        if name not in facts["classes"]:
            raise InputError(f"tasks: {task}: how many classes it has is not known without the plates")
        atlas.n_classes[task] = facts["classes"][name]
    if request.get("where"):
        atlas.notes.append(
            f"atlas: where: how many cells have {where_words(request['where'])} is known once the plates are "
            "there; all are counted here."
        )
    sizes = facts["classes"] | atlas.n_classes
    atlas.possible_combinations = math.prod(sizes.get(name, 1) for name in request["balance"])
    return atlas


def _of_files(request):
    errors, plates, census = inspect_atlas(request)
    n_classes = {task: census.n_classes(task) for task in request["tasks"]}
    if len(plates) < len(request["plates"]) or 0 in n_classes.values():
        raise InputError("\n".join(errors))
    atlas = Survey("counted in the files", plates[-1].n_genes, census.cells, problems=errors)
    atlas.to_pack = sum(plate.n_cells for plate in plates if not _is_packed(plate.entry))
    n_cells = sum(plate.n_cells for plate in plates)
    atlas.nonzeros = sum(plate.n_values() for plate in plates) / max(n_cells, 1)
    atlas.files, atlas.layer = [plate.entry["source"] for plate in plates], request["layer"]
    atlas.n_classes, atlas.unseen = n_classes, census.only_in_test()
    atlas.notes = notes_of(plates, census)
    atlas.possible_combinations = math.prod(map(census.n_classes, request["balance"]))
    if census.combinations is not None:
        atlas.combinations = np.array(list(census.combinations.values()), np.int64)
    return atlas


def _is_packed(plate):
    """Whether a plate of the request need not be packed (again)."""
    return plate["packed"] is None or packed_format(plate["packed"]) == FORMAT


def matrix_shape(path, layer=None):
    """(cells, genes) of an h5ad file; nothing but the shape of the matrix is read."""
    with open_plate(path) as file:
        return matrix_format(matrix_of(file, layer))[1]


def count_classes(paths, tasks):
    """Classes of all tasks together, of plates whose columns are categorical; no cell is read.

    Raises InputError where a column is not, or where a table cannot be read.
    """
    total = 0
    for entry in tasks.values():
        if entry.get("lookup"):
            total += len(set(read_lookup(entry["lookup"]).values()))
            continue
        values = set()
        for path in paths:
            with open_plate(path) as file:
                values.update(member(file, f"obs/{entry['column']}/categories")[:].tolist())
        total += len(values)
    return total
