"""What a plate takes on the disk once it is packed, from cheap reads."""

from dataclasses import dataclass

import numpy as np

from cellshuffle.atlas.h5ad import member, var_name
from cellshuffle.atlas.plates import Plate
from cellshuffle.atlas.rows import gene_places
from cellshuffle.atlas.tree import is_array
from cellshuffle.inspection.matrix import inspect_matrix
from cellshuffle.packing.format import packed_size

RUNS, RUN_ROWS = 8, 64  # places looked at, cells read at each
TEXTS = 1000  # values of a column of text that are measured
LIST_OBS = 64  # bytes of the obs columns of a cell in Parquet files, not to read them all
REFERENCE = 16  # bytes of HDF5 for a text, besides its own


@dataclass
class Size:
    """Cells that are kept of a plate, and bytes."""

    n_cells: int
    packed: int
    meanwhile: int  # besides, while a CSC matrix is rewritten by rows


def expected_size(path, file, layer, select):
    """The Size of a plate, an open h5ad, of which the Selection `select` is kept.

    It is exact for counts as CSR with all genes, else
    from a sample of cells. Raises InputError for a matrix that cannot be packed.
    """
    matrix = inspect_matrix(file, layer, needs_counts=False)
    rows = np.arange(matrix.n_cells) if select.rows is None else select.rows
    genes = np.arange(matrix.n_genes) if select.genes is None else select.genes
    n_own = np.count_nonzero(genes >= 0)
    share = len(rows) / max(1, matrix.n_cells), n_own / max(1, matrix.n_genes)
    if matrix.format in ("csc", "lists"):
        values = matrix.stored * share[0] * share[1]
    else:
        places = None if n_own == matrix.n_genes else gene_places(genes, matrix.n_genes)
        values = _stored_values(Plate(path, layer, file=file), places, rows)
    packed = packed_size(len(rows), values, len(genes), matrix.value_bytes)
    obs = LIST_OBS * len(rows) if matrix.format == "lists" else share[0] * _bytes(member(file, "obs"))
    packed += obs + share[1] * _bytes(member(file, var_name(file, layer)))
    by_rows = matrix.stored * (matrix.stored_bytes + 4) if matrix.format == "csc" else 0
    return Size(len(rows), int(packed), by_rows)


def _stored_values(plate, places, rows):
    """Stored values of these rows of a Plate; places: see Rows.only, None for all genes."""
    if plate.format == "csr" and places is None:
        return int(np.diff(plate.indptr)[rows].sum())
    starts = np.linspace(0, max(0, len(rows) - RUN_ROWS), RUNS).astype(int)
    sample = np.unique(np.concatenate([np.arange(low, min(low + RUN_ROWS, len(rows))) for low in starts]))
    read = plate.rows(rows[sample])
    return len((read if places is None else read.only(places)).data) / max(1, len(sample)) * len(rows)


def _bytes(table):
    """Bytes of an obs or var table as it is copied, uncompressed."""
    if not is_array(table):
        return sum(_bytes(member(table, name)) for name in table)
    size = table.nbytes
    if table.ndim and table.dtype.kind == "O":
        texts = table[:TEXTS]
        size += len(table) * (REFERENCE + sum(map(len, texts)) / max(1, len(texts)))
    return size
