"""The rows of one fetch: where each lies, until minibatches are gathered from them."""

import numpy as np

from cellshuffle.atlas.arrays import arrived, gather
from cellshuffle.atlas.direct import Elements
from cellshuffle.atlas.rows import Rows, first_repeat, value_problem, value_type
from cellshuffle.errors import InputError


class Fetch:
    """The rows of one fetch, not yet gathered: where each lies in which arrays of which plate.

    in_place: a run of neighbours may be a part of what was read, since nobody else uses that memory.
    """

    def __init__(
        self,
        plates,
        arrays,
        piece,
        start,
        stop,
        unique_genes,
        place=None,
        not_negative=False,
        in_place=False,
    ):
        self.plates, self.place = plates, place
        self.unique_genes, self.not_negative = unique_genes, not_negative
        self.data, self.indices = zip(*arrays, strict=True) if arrays else ((), ())
        self.piece, self.start, self.stop = piece, start, stop
        self.in_place = in_place
        self.arrived = None  # of data and indices: arrays, and where each row begins there

    def take(self, rows):
        """Gather `rows` (positions within the fetch, any order) as Rows; neighbours are one copy.

        Raises InputError when a gene index is out of range or, with `unique_genes`, comes twice, and when a
        value is not finite, beyond float32 or, with `not_negative`, below 0.
        """
        piece, start, stop = self.piece[rows], self.start[rows], self.stop[rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(stop - start, out=indptr[1:])
        new_run = np.flatnonzero((start[1:] != stop[:-1]) | (piece[1:] != piece[:-1])) + 1
        first = np.concatenate([[0], new_run])
        last = np.concatenate([new_run, [len(rows)]]) - 1
        n_genes = self.plates[0].n_genes if self.plates else 0
        if self.arrived is None:
            self.arrived = [arrived(part, self.piece, self.start) for part in (self.data, self.indices)]
        length, firsts = stop[last] - start[first], rows[first]
        data, indices = (
            gather(arrays, piece[first], begin[firsts], begin[firsts] + length, self.in_place)
            for arrays, begin in self.arrived
        )
        data = data.astype(value_type(data.dtype), copy=False)
        taken = Rows(data, indices, indptr, n_genes)
        self._check(taken, piece)
        return taken if self.place is None else taken.only(self.place)

    def under_way(self):
        """(reads, bytes) that were asked of the disk for these rows; (0, 0) where they are read at once."""
        elements = [part for part in (*self.data, *self.indices) if isinstance(part, Elements)]
        return tuple(map(sum, zip((0, 0), *(part.reads.size for part in elements), strict=True)))

    def _check(self, rows, piece):
        genes, n_genes = rows.indices, rows.n_genes
        if problem := value_problem(rows.data, self.not_negative):
            words, wrong = problem
            row = np.searchsorted(rows.indptr, np.flatnonzero(wrong)[0], side="right") - 1
            raise InputError(f"{self.plates[piece[row]].path}: {words}")
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
