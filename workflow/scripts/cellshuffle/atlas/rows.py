"""Cells in memory: their counts as CSR rows, and with their labels and numbers."""

from dataclasses import dataclass, field

import numpy as np

from cellshuffle.atlas.memory import empty

DENSE_ROWS = 8  # of a dense matrix, cleared and filled while they are in the processor's cache
FLOAT32_MAX = np.finfo(np.float32).max


@dataclass
class Rows:
    """CSR rows: `data` and gene `indices` (nnz,), `indptr` (n_rows + 1,) int64; dtypes: see value_type.

    `len(rows)` cells of `n_genes` genes; `rows[positions]` are some of them, in any order. SciPy's matrix of
    them is `scipy.sparse.csr_matrix((rows.data, rows.indices, rows.indptr), rows.shape)`.

    >>> rows = Rows(np.array([2.0, 3.0]), np.array([1, 0]), np.array([0, 1, 2]), 3)
    >>> rows.dense()
    array([[0., 2., 0.],
           [3., 0., 0.]], dtype=float32)
    >>> rows[[1, 1]].data
    array([3., 3.])
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_genes: int | None = None  # not known to all who make rows; those of Plates have it

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple:
        """(n_rows, n_genes)"""
        return len(self), self.n_genes

    def __getitem__(self, rows: np.ndarray) -> "Rows":
        """The Rows at these positions: an array or list of them, a slice, a mask, or one number."""
        rows = np.atleast_1d(np.arange(len(self))[rows])
        start, stop = self.indptr[rows], self.indptr[rows + 1]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(stop - start, out=indptr[1:])
        parts = list(map(slice, start.tolist(), stop.tolist())) or [slice(0)]
        data, indices = (np.concatenate(list(map(a.__getitem__, parts))) for a in (self.data, self.indices))
        return Rows(data, indices, indptr, self.n_genes)

    def cell_of_value(self) -> np.ndarray:
        """(nnz,) int64 position of the row that each value belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def dense(self, dtype: type = np.float32) -> np.ndarray:
        """(n_rows, n_genes) array; values that a cell has twice for a gene are added up."""
        matrix = empty(self.shape, dtype)
        places = self.cell_of_value() * self.n_genes + self.indices
        values, flat = self.data.astype(dtype, copy=False), matrix.reshape(-1)
        once = (places[1:] > places[:-1]).all()
        for low in range(0, len(self), DENSE_ROWS):
            rows = slice(low, low + DENSE_ROWS)
            part = slice(self.indptr[low], self.indptr[min(rows.stop, len(self))])
            matrix[rows] = 0
            if once:
                flat[places[part]] = values[part]
            else:
                np.add.at(flat, places[part], values[part])
        return matrix

    def only(self, place: np.ndarray) -> "Rows":
        """The Rows of some genes; place: (n_genes,) int64 new number of each gene, -1 to leave it out."""
        genes, n_genes = place[self.indices], int(place.max(initial=-1)) + 1
        kept = genes >= 0
        indptr = np.concatenate([[0], np.cumsum(kept)])[self.indptr]
        chosen = Rows(self.data[kept], genes[kept], indptr, n_genes)
        keeps_order = (np.diff(place[place >= 0]) > 0).all()
        return chosen if keeps_order else chosen.in_gene_order()

    def in_gene_order(self) -> "Rows":
        """The same Rows with the genes of each cell ascending."""
        if _ascend(self):
            return self
        order = np.argsort(_narrow(self.indices), kind="stable")
        order = order[np.argsort(_narrow(self.cell_of_value())[order], kind="stable")]
        return Rows(self.data[order], self.indices[order], self.indptr, self.n_genes)


@dataclass
class Cells:
    """Cells of an atlas: a minibatch, or what a minibatch is taken from.

    X: counts (n, n_genes): Rows, or a tensor in the form that a `Loader` was asked for
    obs: {column: (n,) int64 codes}; names of the codes: `plates.classes[column]`
    cells: (n,) int64, numbers of the cells among those that are read

    `batch["X"]`, `batch["drug"]` are other ways to write `batch.X`, `batch.obs["drug"]`, as with scDataset's
    MultiIndexable; `batch[positions]` are some of the cells.

    >>> cells = Plates([plate], obs=["drug"])[np.arange(6)]
    >>> cells.X.shape, cells["drug"]
    ((6, 20), array([0, 1, 2, 3, 0, 1]))
    """

    X: object
    obs: dict = field(default_factory=dict)
    cells: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, key: str | np.ndarray) -> object:
        """X or a column by its name, or the Cells at these positions."""
        if isinstance(key, str):
            return self.X if key == "X" else self.obs[key]
        return Cells(self.X[key], {name: codes[key] for name, codes in self.obs.items()}, self.cells[key])

    def to(self, device: object, **options: object) -> "Cells":
        """These cells with the tensors of X and obs on another device; numbers stay where they are."""
        return self._with_tensors("to", device, **options)

    def pin_memory(self) -> "Cells":
        """These cells in memory that a GPU reads by itself; `DataLoader(pin_memory=True)` asks for it."""
        return self._with_tensors("pin_memory")

    def _with_tensors(self, method, *arguments, **options):
        def changed(value):
            return getattr(value, method)(*arguments, **options) if hasattr(value, method) else value

        obs = {name: changed(codes) for name, codes in self.obs.items()}
        return Cells(changed(self.X), obs, self.cells)


def no_rows(n_genes, dtype=np.float32):
    """Rows of no cell."""
    return Rows(np.zeros(0, dtype), np.zeros(0, np.int32), np.zeros(1, np.int64), n_genes)


def gene_places(genes, n_genes):
    """(n_genes,) int64 new number of each gene where `genes`, (k,) numbers, are kept; -1 of the others.

    Among `genes`, -1 stands for one that is not there.
    """
    place = np.full(n_genes, -1)
    there = np.flatnonzero(genes >= 0)
    place[genes[there]] = there
    return place


def _narrow(numbers):
    """Whole numbers from 0 on, in 16 bits where they fit: NumPy sorts these several times faster."""
    return numbers.astype(np.uint16) if numbers.max(initial=0) < 2**16 else numbers


def _ascend(rows):
    """Whether the genes of every cell ascend, as in most files."""
    down = np.flatnonzero(rows.indices[1:] <= rows.indices[:-1]) + 1
    return len(down) < len(rows.indptr) and bool(np.isin(down, rows.indptr).all())


def first_repeat(rows):
    """The first row that holds a gene twice, None without one; quick where genes ascend."""
    if _ascend(rows):
        return None
    cell = rows.cell_of_value()
    order = np.lexsort((rows.indices, cell))
    genes, cell = rows.indices[order], cell[order]
    repeats = cell[1:][(genes[1:] == genes[:-1]) & (cell[1:] == cell[:-1])]
    return int(repeats[0]) if len(repeats) else None


def value_type(dtype):
    """The dtype in which values are handed on: as stored, but real numbers of 16 bits as float32.

    SciPy has no sparse matrices of float16, and sums of it overflow. Also in the machine's byte order.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    return np.dtype(f"f{np.clip(dtype.itemsize, 4, 8)}") if dtype.kind == "f" else dtype


def value_problem(data, not_negative):
    """(what is wrong with some values of a matrix, which (n,) bool); None where all can be trained on."""
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        return "the matrix holds NaN or infinite values", ~np.isfinite(data)
    if data.dtype == np.float64 and len(data) and np.abs(data).max() > FLOAT32_MAX:
        return "the matrix holds values beyond 3.4e38, the largest float32", np.abs(data) > FLOAT32_MAX
    if not_negative and data.dtype.kind in "if" and len(data) and data.min() < 0:
        return "the matrix holds negative values, but training: transform is for counts", data < 0
    return None
