"""Many h5ad plates as one sequence of cells: sorted cell numbers in, CSR rows out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellshuffle.atlas.arrays import Mapped, gather, is_flat, open_elements
from cellshuffle.atlas.h5ad import gene_names, matrix_format, matrix_name, member, open_h5ad
from cellshuffle.errors import InputError


@dataclass
class Rows:
    """CSR rows: `data` and gene `indices` (nnz,), `indptr` (n_rows + 1,) int64, dtypes as stored.

    >>> Rows(np.array([2.0]), np.array([5]), np.array([0, 0, 1])).indptr  # two cells, one value
    array([0, 0, 1])
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


def first_repeat(rows):
    """The first row that holds a gene twice, None without one; quick where genes ascend, as in most files."""
    down = np.flatnonzero(rows.indices[1:] <= rows.indices[:-1]) + 1
    if np.isin(down, rows.indptr).all():
        return None
    cell = np.repeat(np.arange(len(rows.indptr) - 1), np.diff(rows.indptr))
    order = np.lexsort((rows.indices, cell))
    genes, cell = rows.indices[order], cell[order]
    repeats = cell[1:][(genes[1:] == genes[:-1]) & (cell[1:] == cell[:-1])]
    return int(repeats[0]) if len(repeats) else None


class Fetch:
    """The rows of one fetch, not yet gathered: where each lies in which arrays of which plate."""

    def __init__(self, plates, arrays, piece, start, stop, unique_genes):
        self.plates, self.unique_genes = plates, unique_genes
        self.data, self.indices = zip(*arrays, strict=True) if arrays else ((), ())
        self.piece, self.start, self.stop = piece, start, stop

    def take(self, rows):
        """Gather `rows` (positions within the fetch, any order) as Rows; neighbours are one copy.

        Raises InputError when a gene index is out of range or, with `unique_genes`, comes twice.
        """
        piece, start, stop = self.piece[rows], self.start[rows], self.stop[rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(stop - start, out=indptr[1:])
        new_run = np.flatnonzero((start[1:] != stop[:-1]) | (piece[1:] != piece[:-1])) + 1
        first = np.concatenate([[0], new_run])
        last = np.concatenate([new_run, [len(rows)]]) - 1
        runs = piece[first], start[first], stop[last]
        taken = Rows(gather(self.data, *runs), gather(self.indices, *runs), indptr)
        self._check(taken, piece)
        return taken

    def _check(self, rows, piece):
        genes, n_genes = rows.indices, self.plates[0].n_genes if self.plates else 0
        if len(genes) and not 0 <= int(genes.min()) <= int(genes.max()) < n_genes:
            wrong = np.flatnonzero((genes < 0) | (genes >= n_genes))[0]
            row = np.searchsorted(rows.indptr, wrong, side="right") - 1
            raise InputError(
                f"{self.plates[piece[row]].path}: a gene index is not between 0 and {n_genes - 1}"
            )
        if self.unique_genes and (row := first_repeat(rows)) is not None:
            raise InputError(
                f"{self.plates[piece[row]].path}: a cell has two values for the same gene; add them up "
                "first, with `adata.X.sum_duplicates()`"
            )


class Plate:
    """One h5ad file: `read(rows)` for sorted unique row numbers. Raises InputError when unusable."""

    def __init__(self, path, layer=None, workers=1, random=False):
        self.path = Path(path)
        self.file = open_h5ad(path)
        matrix = member(self.file, matrix_name(self.file, layer))
        self.format, (self.n_cells, self.n_genes) = matrix_format(matrix)
        self.genes = gene_names(self.file, layer)
        if self.format == "csc":
            raise InputError(
                f"{path}: {matrix.name} is CSC, whose cells cannot be read; set atlas.pack: true"
            )
        if len(self.genes) != self.n_genes:
            raise InputError(f"{path}: {self.n_genes} columns but {len(self.genes)} genes in var")
        if self.format == "dense":
            self.matrix = matrix
            self.dtype = matrix.dtype
            return
        data, indices, indptr = (member(matrix, name) for name in ("data", "indices", "indptr"))
        if not data.shape == indices.shape or indptr.shape != (self.n_cells + 1,):
            raise InputError(f"{path}: the lengths of data, indices and indptr do not fit together")
        self.indptr = Mapped(indptr).array if is_flat(indptr) else indptr[:]
        if self.indptr[0] != 0 or self.indptr[-1] != data.shape[0]:
            raise InputError(f"{path}: indptr must go from 0 to {data.shape[0]}")
        self.data, self.indices = open_elements(data, indices, workers=workers, random=random)
        self.dtype = data.dtype

    def read(self, rows):
        """rows: (k,) sorted unique. Returns ((data, indices), start, stop): row i is start[i]:stop[i]."""
        if self.format == "dense":
            return _dense_rows(self.matrix, rows)
        starts = self.indptr[rows].astype(np.int64)
        stops = self.indptr[rows + 1].astype(np.int64)
        if (stops < starts).any():
            raise InputError(f"{self.path}: indptr goes down at row {rows[stops < starts][0]}")
        data, begin = self.data.read(starts, stops)
        indices, _ = self.indices.read(starts, stops)
        return (data, indices), begin, begin + (stops - starts)


def _dense_rows(matrix, rows):
    """Non-zero values of sorted unique rows of a dense matrix; every chunk is decoded once."""
    band = matrix.chunks[0] if matrix.chunks else 256
    edges = np.r_[0, np.flatnonzero(np.diff(rows // band)) + 1, len(rows)]
    data, indices, counts = [], [], []
    for low, high in itertools.pairwise(edges):
        wanted = rows[low:high]
        block = matrix[int(wanted[0]) : int(wanted[-1]) + 1][wanted - wanted[0]]
        cell, gene = np.nonzero(block)
        data.append(block[cell, gene])
        indices.append(gene)
        counts.append(np.bincount(cell, minlength=len(wanted)))
    stop = np.cumsum(np.concatenate(counts))
    return (np.concatenate(data), np.concatenate(indices)), np.r_[0, stop[:-1]], stop


class Plates:
    """Plates in the order given, as one sequence of `len(plates)` cells.

    Parameters
    ----------
    paths : h5ad files; their genes must be the same, in the same order
    max_cells : use only the first so many cells of the sequence
    layer : None for X, "raw", or the name of a layer
    workers : threads that decode chunks of compressed plates
    random : cells come in no order, so the kernel shall not read ahead
    unique_genes : refuse cells that have two values for a gene, of which a logarithm would be wrong

    Memory: 8 bytes a cell for the row pointers of compressed plates, none for packed ones.
    Raises InputError naming the plate that cannot be read or whose genes differ.

    >>> plates = Plates([plate])
    >>> len(plates), plates.n_genes
    (60, 20)
    >>> plates[np.array([0, 3, 3])].indptr.shape
    (4,)
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        max_cells: int | None = None,
        layer: str | None = None,
        workers: int = 1,
        random: bool = False,
        unique_genes: bool = False,
    ):
        self.unique_genes = unique_genes
        if not paths:
            raise InputError("there are no plates to read: give the path of at least one h5ad file")
        self.plates = [Plate(path, layer, workers, random) for path in paths]
        first = self.plates[0]
        for plate in self.plates[1:]:
            check_same_genes(first.path, first.genes, plate.path, plate.genes)
        self.genes, self.n_genes = first.genes, first.n_genes
        self.offsets = np.cumsum([0] + [plate.n_cells for plate in self.plates])
        self.n_cells = int(min(self.offsets[-1], max_cells or self.offsets[-1]))

    def __len__(self) -> int:
        return self.n_cells

    def fetch(self, cells: np.ndarray) -> Fetch:
        """cells: (k,) sorted cell numbers, repeats allowed. Returns a Fetch of k rows."""
        if len(cells) and not 0 <= cells[0] <= cells[-1] < self.n_cells:
            raise IndexError(f"cells {cells[0]}..{cells[-1]} of a sequence of {self.n_cells}")
        unique, inverse = _unique_sorted(np.asarray(cells, np.int64))
        edges = np.searchsorted(unique, self.offsets)
        plates, arrays, pieces, starts, stops = [], [], [], [], []
        for number in np.flatnonzero(np.diff(edges)):
            rows = unique[edges[number] : edges[number + 1]] - self.offsets[number]
            pair, start, stop = self.plates[number].read(rows)
            pieces.append(np.full(len(rows), len(arrays)))
            plates.append(self.plates[number])
            arrays.append(pair)
            starts.append(start)
            stops.append(stop)
        parts = (pieces, starts, stops)
        places = (np.concatenate(part)[inverse] if part else np.zeros(0, np.int64) for part in parts)
        return Fetch(plates, arrays, *places, self.unique_genes)

    def __getitem__(self, cells: np.ndarray) -> Rows:
        """CSR Rows of sorted cell numbers (repeats allowed)."""
        fetch = self.fetch(cells)
        return fetch.take(np.arange(len(fetch.start)))


def _unique_sorted(values):
    """np.unique(values, return_inverse=True) of a sorted array, in one pass."""
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    return values[new], np.cumsum(new) - 1


def check_same_genes(path, genes, other_path, other_genes):
    """Raise InputError unless both plates have the same genes in the same order."""
    if np.array_equal(genes, other_genes):
        return
    if len(genes) == len(other_genes):
        differ = np.flatnonzero(genes != other_genes)
        shown = ", ".join(f"{genes[k]} / {other_genes[k]}" for k in differ[:3])
        problem = f"{len(differ)} genes differ from {path} (first: {shown})"
    else:
        problem = f"{len(other_genes)} genes, but {path} has {len(genes)}"
    raise InputError(f"{other_path}: {problem}; plates need the same genes in the same order")
