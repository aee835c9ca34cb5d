"""Many h5ad plates as one sequence of cells: sorted cell numbers in, CSR rows out."""

import copy
import itertools
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cellshuffle.atlas.arrays import Chunked, Mapped, is_flat, open_elements
from cellshuffle.atlas.direct import MOST_READS, Queue, default_depth
from cellshuffle.atlas.fetch import Fetch
from cellshuffle.atlas.genes import check_same_genes, gene_numbers
from cellshuffle.atlas.h5ad import find, matrix_format, matrix_of, member, open_h5ad
from cellshuffle.atlas.obs import encoded, where_masks
from cellshuffle.atlas.packed import check_format
from cellshuffle.atlas.rows import Cells, Rows, gene_places, no_rows, value_type
from cellshuffle.atlas.stamps import stamp
from cellshuffle.atlas.tables import gene_names, n_rows
from cellshuffle.errors import InputError, check_whole


class Plate:
    """One plate: `read(rows)` for sorted unique row numbers. Raises InputError when unusable.

    file: the open plate, of any form whose matrix is that of an h5ad; None opens the h5ad at `path`.
    """

    def __init__(self, path, layer=None, workers=1, random=False, queue=None, file=None):
        self.path, self.opened_with = Path(path), (path, layer, workers, random, queue)
        self._file = open_h5ad(path) if file is None else file
        self.stamp = stamp(path) if file is None else None
        matrix = matrix_of(self.file, layer)
        self.format, (self.n_cells, self.n_genes) = matrix_format(matrix)
        self.genes = gene_names(self.file, layer)
        if self.format == "csc":
            raise InputError(
                f"{path}: {matrix.name} is CSC, whose cells cannot be read; set atlas.pack: true"
            )
        if len(self.genes) != self.n_genes:
            raise InputError(f"{path}: {self.n_genes} columns but {len(self.genes)} genes in var")
        obs = find(self.file, "obs")
        if obs is not None and n_rows(obs) != self.n_cells:
            raise InputError(f"{path}: {self.n_cells} rows but {n_rows(obs)} cells in obs")
        if self.format == "dense":
            self.matrix = matrix
            self.dtype = value_type(matrix.dtype)
            return
        data, indices, indptr = (member(matrix, name) for name in ("data", "indices", "indptr"))
        if not data.shape == indices.shape or indptr.shape != (self.n_cells + 1,):
            raise InputError(f"{path}: the lengths of data, indices and indptr do not fit together")
        self.indptr = Mapped(indptr).array if is_flat(indptr) else indptr[:]
        if self.indptr[0] != 0 or self.indptr[-1] != data.shape[0]:
            raise InputError(f"{path}: indptr must go from 0 to {data.shape[0]}")
        self.data, self.indices = open_elements(data, indices, workers=workers, random=random, queue=queue)
        self.dtype = value_type(data.dtype)

    @property
    def file(self):
        """The open plate; opened again where `release` has closed it."""
        if self._file is None:
            file = open_h5ad(self.path)
            if stamp(self.path) != self.stamp:
                file.close()
                raise InputError(f"{self.path}: was replaced since its counts were opened; open it anew")
            self._file = file
        return self._file

    def release(self):
        """Close the plate where its counts are read without HDF5, which opens a file in one way at a time."""
        if self._file is not None and self.format == "csr" and not isinstance(self.data, Chunked):
            self._file.close()
            self._file = None

    def __reduce__(self):
        """To another process goes how the plate was opened; there it is opened again."""
        return Plate, self.opened_with

    def read(self, rows):
        """rows: (k,) sorted unique. Returns ((data, indices), start, stop): row i is start[i]:stop[i]."""
        if self.format == "dense":
            return _dense_rows(self.matrix, rows)
        starts = self.indptr[rows].astype(np.int64)
        stops = self.indptr[rows + 1].astype(np.int64)
        wrong = (starts < 0) | (stops < starts) | (stops > self.data.size)
        if wrong.any():
            raise InputError(f"{self.path}: indptr goes down, or too far, at row {rows[wrong][0]}")
        data, begin = self.data.read(starts, stops)
        indices, _ = self.indices.read(starts, stops)
        return (data, indices), begin, begin + (stops - starts)

    def rows(self, rows):
        """`read`, as Rows whose genes and values have been looked at; not to be written to."""
        pair, start, stop = self.read(rows)
        piece = np.zeros(len(rows), np.int64)
        fetch = Fetch([self], [pair], piece, start, stop, unique_genes=True, in_place=True)
        return fetch.take(np.arange(len(rows)))


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
    """Plates in the order given, as one sequence of `len(plates)` cells: a collection for scDataset.

    Parameters
    ----------
    paths
        h5ad files; their genes must be the same, in the same order
    max_cells
        use only the first so many cells of the sequence
    layer
        None for X, "raw", the name of a layer, or "obsm/<name>" for a matrix of obsm
    workers
        threads that decode chunks of compressed plates
    random
        cells come in no order, so the kernel shall not read ahead
    unique_genes
        refuse negative values and cells with two values for a gene, whose logarithm would be wrong
    obs
        names of obs columns to have with the counts, as codes into `classes`
    where
        {obs column: value or values}; the sequence is of the cells that have them, and of no others
    genes
        names of the genes to have, in the order wanted; None for all
    read_depth
        reads of packed plates under way at once, past the page cache; 0 reads through it; None
        decides: 1,024 where the files are half as large again as memory, else 0

    Notes
    -----
    `plates[cells]`, for sorted cell numbers (repeats allowed), are their `Rows`; with `obs`, even an empty
    list, they are `Cells`: `.X` (Rows), `.obs["drug"]` ((n,) int64 codes), `.cells` (their numbers).
    Both take positions in turn, which is what scDataset asks of a collection: its minibatches are of the
    same kind. `batch.X.dense()` is a (n, n_genes) float32 array. Plates can be sent to DataLoader's workers.

    Attributes: `genes` ((n_genes,) str), `n_genes`, `classes` ({column: sorted names}), `plate_sizes`
    ((n_plates,) int64 cells of each plate in the sequence).

    Memory: 8 bytes a cell for the row pointers of compressed plates, none for packed ones; 1 or 2 bytes a
    cell and column of `obs`; 4 bytes a cell that is kept with `where`.
    Raises InputError naming the plate that cannot be read or whose genes differ, or the gene, column or value
    that is not there.

    Examples
    --------
    >>> plates = Plates([plate])
    >>> len(plates), plates.n_genes
    (60, 20)
    >>> plates[np.array([0, 3, 3])].indptr.shape
    (4,)
    >>> from scdataset import BlockShuffling, scDataset
    >>> plates = Plates([plate], obs=["drug"], genes=["var7", "var3"])
    >>> batch = next(iter(scDataset(plates, BlockShuffling(block_size=1), batch_size=16)))
    >>> batch.X.dense().shape, batch.obs["drug"].shape
    ((16, 2), (16,))
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        max_cells: int | None = None,
        layer: str | None = None,
        workers: int = 1,
        random: bool = False,
        unique_genes: bool = False,
        obs: Sequence[str] | None = None,
        where: dict | None = None,
        genes: Sequence[str] | None = None,
        read_depth: int | None = None,
    ):
        paths = [paths] if isinstance(paths, str | Path) else paths
        paths = list(paths) if isinstance(paths, Iterable) else [paths]
        if not all(isinstance(path, str | Path) for path in paths):
            raise InputError(f"plates: {paths!r} is neither a path nor a list of paths")
        if not (layer is None or isinstance(layer, str)):
            raise InputError(f"layer: {layer!r} is no name of a layer")
        check_whole("workers", workers, 1)
        check_whole("max_cells", 1 if max_cells is None else max_cells, 1)
        check_whole("read_depth", 0 if read_depth is None else read_depth, 0, MOST_READS)
        if not paths:
            raise InputError("there are no plates to read: give the path of at least one h5ad file")
        self.read_depth = default_depth(paths) if read_depth is None else read_depth
        queue = Queue(self.read_depth) if self.read_depth else None
        self.plates = [Plate(path, layer, workers, random, queue) for path in paths]
        for plate in self.plates:
            check_format(plate.path, plate.file)
        first = self.plates[0]
        for plate in self.plates[1:]:
            check_same_genes(first.path, first.genes, plate.path, plate.genes)
        self.genes, self.n_genes, self.unique_genes = first.genes, first.n_genes, unique_genes
        self.place, self.obs, self.classes = None, None, {}
        self._keep([None] * len(self.plates))
        self._choose(None, where, genes)
        self.n_cells = min(self.n_cells, max_cells or self.n_cells)
        self._choose(obs, None, None)
        self._release()

    def select(
        self,
        obs: Sequence[str] | None = None,
        where: dict | None = None,
        genes: Sequence[str] | None = None,
        unique_genes: bool = False,
    ) -> "Plates":
        """The same open plates with other columns, fewer cells or other genes; arguments as of the class.

        What is None stays; `where` and `genes` choose among the cells and genes that these plates have.
        """
        chosen = copy.copy(self)
        chosen.unique_genes = self.unique_genes or unique_genes
        chosen._choose(
            list(self.classes) if obs is None and where and self.obs is not None else obs, where, genes
        )
        chosen._release()
        return chosen

    def only(self, cells: np.ndarray) -> "Plates":
        """The same open plates, of these cells alone; cells: (k,) sorted cell numbers, each once."""
        edges = np.searchsorted(cells, self.offsets)
        rows = [cells[a:b] - n for a, b, n in zip(edges[:-1], edges[1:], self.offsets[:-1], strict=True)]
        chosen = copy.copy(self)
        if self.obs is not None:
            chosen.obs = {name: codes[cells] for name, codes in self.obs.items()}
        pairs = zip(rows, self.kept, strict=True)
        chosen._keep([(own if kept is None else kept[own]).astype(np.int32) for own, kept in pairs])
        return chosen

    def _release(self):
        for plate in self.plates:
            plate.release()

    def _choose(self, obs, where, genes):
        files = [plate.file for plate in self.plates] if where or obs else []
        if where:
            masks, rows = where_masks(files, where, self._rows()), self._rows()
            kept = (
                np.flatnonzero(m) if isinstance(r, slice) else r[m] for m, r in zip(masks, rows, strict=True)
            )
            self._keep([rows.astype(np.int32) for rows in kept])
        if genes is not None:
            numbers = gene_numbers(self.genes, genes, self.plates[0].path)
            place = gene_places(numbers, self.n_genes)
            self.place = place if self.place is None else np.where(self.place < 0, -1, place[self.place])
            self.genes, self.n_genes = self.genes[numbers], len(numbers)
        if obs is not None:
            read = {
                name: encoded(files, name, self._rows()) for name in ([obs] if isinstance(obs, str) else obs)
            }
            self.obs = {name: codes for name, (codes, _) in read.items()}
            self.classes = {name: names for name, (_, names) in read.items()}

    def _keep(self, kept):
        """Let the sequence be of these rows: of each plate sorted numbers, or None for all."""
        self.kept = kept
        counts = [p.n_cells if rows is None else len(rows) for p, rows in zip(self.plates, kept, strict=True)]
        self.offsets = np.cumsum([0, *counts])
        self.n_cells = int(self.offsets[-1])

    @property
    def plate_sizes(self) -> np.ndarray:
        """(n_plates,) int64 cells of each plate in the sequence."""
        return np.clip(self.n_cells - self.offsets[:-1], 0, np.diff(self.offsets))

    def _rows(self):
        """The row numbers of the sequence's cells in each plate: a slice or an array."""
        counts = self.plate_sizes.tolist()
        return [slice(n) if rows is None else rows[:n] for rows, n in zip(self.kept, counts, strict=True)]

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
            rows = rows if self.kept[number] is None else self.kept[number][rows].astype(np.int64)
            pair, start, stop = self.plates[number].read(rows)
            pieces.append(np.full(len(rows), len(arrays)))
            plates.append(self.plates[number])
            arrays.append(pair)
            starts.append(start)
            stops.append(stop)
        parts = (pieces, starts, stops)
        places = (np.concatenate(part)[inverse] if part else np.zeros(0, np.int64) for part in parts)
        # Of a cell that comes twice each minibatch has values of its own.
        in_place = self.read_depth > 0 and len(unique) == len(cells)
        return Fetch(plates, arrays, *places, self.unique_genes, self.place, self.unique_genes, in_place)

    def checksum(self) -> int:
        """Of the rows of the plates that are in the sequence; 0 where `where` chose none."""
        chosen = [rows for rows in self.kept if rows is not None]
        return zlib.crc32(np.concatenate(chosen)) if chosen else 0

    def __getitem__(self, cells: np.ndarray | slice) -> Rows | Cells:
        """Rows of cells by their numbers, repeats allowed, a slice or a mask; Cells where there is `obs`."""
        cells = self._numbers(cells)
        order = np.argsort(cells, kind="stable")
        if len(cells):
            rows = self.fetch(cells[order]).take(np.argsort(order, kind="stable"))
        else:
            rows = no_rows(self.n_genes, self.plates[0].dtype)
        if self.obs is None:
            return rows
        obs = {name: codes[cells].astype(np.int64) for name, codes in self.obs.items()}
        return Cells(rows, obs, cells)

    def _numbers(self, cells):
        """(k,) int64 numbers of the cells that stand in brackets."""
        numbers = np.arange(self.n_cells)[cells] if isinstance(cells, slice) else np.asarray(cells)
        if numbers.dtype == bool and numbers.shape == (self.n_cells,):
            return np.flatnonzero(numbers)
        if numbers.ndim != 1 or (numbers.dtype.kind not in "iu" and len(numbers)):
            raise InputError(f"plates[{cells!r}]: give the numbers of cells, as a one-dimensional array")
        return numbers.astype(np.int64)


def _unique_sorted(values):
    """np.unique(values, return_inverse=True) of a sorted array, in one pass."""
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    return values[new], np.cumsum(new) - 1
