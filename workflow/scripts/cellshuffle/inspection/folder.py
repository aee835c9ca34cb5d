"""What a folder of h5ad files holds: cells, genes, matrices, and the values of the obs columns."""

from collections import Counter

import numpy as np

from cellshuffle.atlas.h5ad import gene_names, matrix_kind, matrix_name, member, open_h5ad, readable
from cellshuffle.atlas.tables import column_codes, column_names
from cellshuffle.errors import InputError
from cellshuffle.inspection.matrix import look_at_matrix

COUNTS, SCALED, NORMALISED = "counts", "scaled", "normalised"


def look(files):
    """(cells a file, genes, {matrix of the first file: (kind, words)}, columns) of h5ad files.

    columns: {obs column that all files have: {value, None if missing: cells} or None if no labels}.
    """
    cells, columns, layers = [], {}, {}
    for path in files:
        with open_h5ad(path) as file, readable(path):
            names = [None] * ("X" in file) + ["raw"] * ("raw" in file or "raw.X" in file)
            names += list(file["layers"]) if "layers" in file else []
            first = names[0] if names else None
            _, (n_cells, genes) = matrix_kind(member(file, matrix_name(file, first)))
            cells.append(n_cells)
            gene_names(file, first)
            if not layers:
                layers = {name or "X": _values(file, name) for name in names}
            there = column_names(member(file, "obs"))
            columns = columns or dict.fromkeys(there)
            for name in list(columns):
                if name in there:
                    columns[name] = _count(file, name, columns[name])
                else:  # not in every file, so no task
                    del columns[name]
    return cells, genes, layers, columns


def _count(file, name, counts):
    """Add the cells of every value of a column; None for one that holds no labels."""
    try:
        codes, values = column_codes(file, name)
    except InputError:
        return None
    counts = dict(counts or {})
    sizes = np.bincount(codes[codes >= 0], minlength=len(values))
    for value, size in zip(values.tolist(), sizes.tolist(), strict=True):
        if size:
            counts[value] = counts.get(value, 0) + size
    if (codes < 0).any():
        counts[None] = counts.get(None, 0) + int((codes < 0).sum())
    return counts


def _values(file, layer):
    """(kind, words) of a matrix by a sample of its values; kind is None where they cannot be used."""
    try:
        matrix = look_at_matrix(file, layer, needs_counts=False)
    except InputError as error:
        where = f"{file.filename}: ", f"{matrix_name(file, layer)}: "
        return None, str(error).splitlines()[0].removeprefix(where[0]).removeprefix(where[1])
    if matrix.lowest == matrix.highest == 0:
        return None, "nothing but zeros in a sample"
    if matrix.lowest < 0:
        return SCALED, f"values from {matrix.lowest:.3g} to {matrix.highest:.3g}, scaled it seems"
    if matrix.whole:
        return COUNTS, f"whole numbers up to {matrix.highest:,.0f}, counts it seems"
    return NORMALISED, f"fractions up to {matrix.highest:.3g}, normalised it seems"


def combinations(files, columns):
    """{(value of each column): cells} over all files; columns: obs columns that all files have."""
    counts = Counter()
    for path in files:
        with open_h5ad(path) as file, readable(path):
            codes, values = zip(*(column_codes(file, name) for name in columns), strict=True)
        rows, sizes = np.unique(np.stack(codes), axis=1, return_counts=True)
        for row, size in zip(rows.T, sizes.tolist(), strict=True):
            counts[tuple(names[code] for names, code in zip(values, row, strict=True))] += size
    return counts
