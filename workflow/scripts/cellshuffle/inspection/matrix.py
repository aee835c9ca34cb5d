"""What one matrix of an h5ad is, from cheap reads: layout, row pointers, a sample of its values."""

import hashlib
from dataclasses import dataclass

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import (
    attribute,
    find,
    in_obsm,
    matrix_format,
    matrix_name,
    matrix_of,
    member,
    var_name,
)
from cellshuffle.atlas.opening import is_h5ad
from cellshuffle.atlas.rows import value_type
from cellshuffle.atlas.tables import length_problems, n_rows
from cellshuffle.atlas.tree import is_array
from cellshuffle.errors import InputError
from cellshuffle.packing.format import as_counts

RUNS, RUN_ROWS, RUN_VALUES = 8, 32, 2**18  # places looked at; rows, and at most values, of each
BLOCK = 2**22  # row pointers held in memory at a time
MAX_CELLS, MAX_GENES = 10**10, 10**7  # beyond them a shape is a mistake, or malice


@dataclass
class Matrix:
    """What is known of a matrix."""

    format: str  # "csr", "csc", "dense" or "lists"
    n_cells: int
    n_genes: int
    stored: int  # values in the file
    stored_bytes: int  # of a value in the file
    value_bytes: int  # of a value once packed
    signature: str  # of the sampled values: the same for a copy
    lowest: float  # of the sampled values
    highest: float
    integral: bool  # whether the sampled values are whole numbers


def check_links(file, layer):
    """Raise InputError when matrix, obs or var reach into another file: those are not followed."""
    if not is_h5ad(file):
        return
    matrix_of(file, layer)
    for name in (matrix_name(file, layer), var_name(file, layer), "obs"):
        _check_links_below(member(file, name))


def _check_links_below(element):
    if not is_array(element):
        for part in element:
            _check_links_below(member(element, part))


def inspect_matrix(file, layer, needs_counts):
    """The Matrix of an open h5ad; raises InputError, a line a finding, when it cannot be used.

    needs_counts: whether a transform follows that only counts can take.
    """
    matrix = matrix_of(file, layer)
    format, (n_cells, n_genes) = matrix_format(matrix)
    name = f"{file.filename}: {matrix.name.strip('/')}"
    if not (0 <= n_cells <= MAX_CELLS and 0 <= n_genes <= MAX_GENES):
        raise InputError(f"{name}: the shape {n_cells} x {n_genes} cannot be right")
    problems = list(_shape_problems(file, layer, n_cells, n_genes))
    if problems:
        raise InputError("\n".join(problems))
    if format == "lists":
        samples, stored = list(file.sample(RUNS, RUN_ROWS)), file.n_values
    elif format == "dense":
        check_stored(matrix)
        samples = [(matrix[rows], []) for rows in _runs(n_cells, max(1, RUN_VALUES // n_genes))]
        stored = n_cells * n_genes
    else:
        samples, stored = _sparse_samples(name, matrix, format, n_cells, n_genes)
    values = np.concatenate([np.ravel(data) for data, _ in samples] or [np.zeros(0)])
    stored_bytes = values.dtype.itemsize
    problems = list(_value_problems(values, needs_counts))
    if problems:
        raise InputError("\n".join(f"{name}: {problem}" for problem in problems))
    values = values.astype(value_type(values.dtype))
    counts = as_counts(values)
    sizes = stored_bytes, (values if counts is None else counts).dtype.itemsize
    integral = not (values != np.floor(values)).any()
    span = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return Matrix(format, n_cells, n_genes, stored, *sizes, _signature(samples), *span, integral)


def _shape_problems(file, layer, n_cells, n_genes):
    """Lines on whatever has not as many rows as the matrix has cells, or genes."""
    obs, var = member(file, "obs"), member(file, var_name(file, layer))
    name = matrix_name(file, layer)
    if n_rows(obs) != n_cells:
        yield f"{file.filename}: {n_cells} rows in {name} but {n_rows(obs)} cells in obs"
    if n_rows(var) != n_genes and not in_obsm(layer):
        yield f"{file.filename}: {n_genes} columns in {name} but {n_rows(var)} genes in var"
    if n_genes == 0:
        yield f"{file.filename}: has no genes"
    yield from length_problems(obs, n_cells)
    yield from length_problems(var, n_rows(var))
    others = [f"{place}/{key}" for place in ("layers", "obsm") for key in find(file, place) or []]
    for other in ["X", *others]:
        rows = _rows_of(file, other)
        if rows not in (None, n_cells):
            yield f"{file.filename}: {rows} rows in {other} for {n_cells} cells; write the file anew"


def _rows_of(file, name):
    """Rows of a matrix or table, None where there is none or they are not known."""
    try:
        element = find(file, name)
    except InputError:  # such as a link to another file: it is not read
        return None
    if element is not None and is_array(element):
        return element.shape[0] if element.shape else None
    if element is None or "_index" in element.attrs:
        return element and n_rows(element)
    shape = element.attrs.get("shape", element.attrs.get("h5sparse_shape", [attribute(element, "length")]))
    return None if shape[0] is None else int(shape[0])


def check_stored(dataset):
    """Raise InputError when a dataset claims far more than its file can hold."""
    if not isinstance(dataset, h5py.Dataset):  # a chunk that is missing is an error wherever it is read
        return
    held = dataset.id.get_storage_size()
    if (dataset.size and not held) or dataset.nbytes > max(2**30, 100_000 * held):
        raise InputError(
            f"{dataset.file.filename}: {dataset.name.strip('/')} claims {dataset.size} values, but only "
            f"{held} bytes of them are in the file"
        )


def _runs(n_rows, length=RUN_ROWS):
    """Up to RUNS slices of rows, spread over all."""
    length = min(RUN_ROWS, length)
    starts = np.unique(np.linspace(0, max(0, n_rows - length), RUNS).astype(int)).tolist()
    return [slice(start, min(start + length, n_rows)) for start in starts] if n_rows else []


def _sparse_samples(name, matrix, format, n_cells, n_genes):
    """([(data, indices) of a few runs of rows (CSC: columns)], number of stored values)."""
    parts = data, indices, indptr = [member(matrix, n) for n in ("data", "indices", "indptr")]
    major, minor, axis = n_cells, n_genes, "gene"
    if format == "csc":
        major, minor, axis = n_genes, n_cells, "row"
    if not all(is_array(part) for part in parts):
        raise InputError(f"{name}: data, indices and indptr must be arrays")
    if data.ndim != 1 or data.shape != indices.shape or indptr.shape != (major + 1,):
        raise InputError(
            f"{name}: the lengths of data {data.shape}, indices {indices.shape} and indptr {indptr.shape} "
            f"do not fit together or the shape {n_cells} x {n_genes}"
        )
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise InputError(f"{name}: indices and indptr must be whole numbers")
    for part in parts:
        check_stored(part)
    _check_pointers(indptr, len(data), name)
    samples = []
    for rows in _runs(major):
        low, high = int(indptr[rows.start]), int(indptr[rows.stop])
        part = slice(low, min(high, low + RUN_VALUES))
        values, columns = data[part], indices[part]
        wrong = columns[(columns < 0) | (columns >= minor)]
        if len(wrong):
            worst = int(wrong.max()) if wrong.max() >= minor else int(wrong.min())
            raise InputError(
                f"{name}: {axis} index {worst} is out of range, it must be between 0 and {minor - 1}"
            )
        samples.append((values, columns))
    return samples, len(data)


def _check_pointers(indptr, n_values, name):
    first, last = int(indptr[0]), int(indptr[-1])
    if first != 0 or last != n_values:
        raise InputError(f"{name}: indptr goes from {first} to {last}, must go from 0 to {n_values}")
    for low in range(0, len(indptr) - 1, BLOCK):
        down = np.flatnonzero(np.diff(indptr[low : low + BLOCK + 1].astype(np.int64)) < 0)
        if len(down):
            raise InputError(f"{name}: indptr is not sorted, it goes down at row {low + down[0]}")


def _value_problems(values, needs_counts):
    if values.dtype.kind not in "iufb":
        yield f"holds {values.dtype}, not numbers"
        return
    finite = np.isfinite(values)
    if not finite.all():
        yield f"holds NaN or infinite values ({1 - finite.mean():.2%} of the sampled ones)"
    values = values[finite]
    fractions = values[values != np.floor(values)]
    if needs_counts and (values < 0).any():
        yield (
            f"holds negative values (such as {values.min():g}), of which training: transform cannot take "
            "the logarithm; set transform: none, or atlas: layer to the matrix of counts"
        )
    elif needs_counts and len(fractions):
        yield (
            f"holds values that are no counts (such as {fractions[0]:g}), but training: transform expects "
            "counts; set transform: none, or atlas: layer to the matrix of counts"
        )


def _signature(samples):
    digest = hashlib.sha256()
    for data, indices in samples:
        digest.update(np.asarray(data, np.float64).tobytes())
        digest.update(np.asarray(indices, np.int64).tobytes())
    return digest.hexdigest()
