"""Rewrite a plate once as an uncompressed, contiguous h5ad, whose arrays can be memory-mapped."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from cellshuffle.atlas.checksum import hasher, seal
from cellshuffle.atlas.copying import copy_genes, copy_table
from cellshuffle.atlas.h5ad import (
    matrix_format,
    matrix_of,
    member,
    open_hdf5,
)
from cellshuffle.atlas.opening import is_h5ad, open_plate
from cellshuffle.atlas.plates import Plate
from cellshuffle.atlas.rows import gene_places
from cellshuffle.atlas.selection import Selection
from cellshuffle.atlas.tables import n_rows
from cellshuffle.errors import InputError
from cellshuffle.files import atomic_write, temporary
from cellshuffle.packing.ahead import ahead, in_turn
from cellshuffle.packing.format import COUNT_TYPE, as_counts, index_type, lay_out
from cellshuffle.packing.lists import pack_lists
from cellshuffle.packing.origin import NAME, origin
from cellshuffle.packing.writing import ArrayWriter

BLOCK = 2**22  # matrix elements held in memory at a time


def rows_path(target):
    """Where a CSC matrix is rewritten by rows, before it is packed as `target`."""
    return f"{target}.rows"


def pack_plate(
    source: str | Path,
    target: str | Path,
    layer: str | None = None,
    select: Selection | None = None,
    workers: int = 1,
    report: Callable[[float], object] = lambda n_cells: None,
    note: str | None = None,
) -> None:
    """Write matrix, obs and var of the h5ad `source` to `target`, whole or not at all.

    CSR, CSC and dense matrices come in, CSR goes out as X, in the types of packing.format. Memory
    stays bounded by a few BLOCKs.

    layer: None for X, "raw", "obsm/<name>" or a layer; select: a Selection; workers: threads that
    decode; report: called with the cells done since its last call, parts of those that are read more than
    once; note: what it is made from, see packing/origin.py. Raises InputError when the source cannot be
    used or the disk is too small.

    >>> pack_plate(plate, "packed.h5ad")
    >>> len(Plates(["packed.h5ad"]))
    60
    """
    select = select or Selection()
    note = note or origin(layer, {}, None)
    with ExitStack() as stack:
        file = stack.enter_context(open_plate(source, packing=True))
        form, (_, n_genes) = matrix_format(matrix_of(file, layer))
        if form == "lists":
            pack_lists(file, target, select, workers, report, note)
            return
        partial = stack.enter_context(atomic_write(target))
        readable, matrix_layer = source, layer
        # Values are read to be counted, then written.
        twice = form == "dense" or _drops_genes(select, n_genes)
        passes = 1 + twice + 2 * (form == "csc")

        def part(n_cells):
            report(n_cells / passes)

        if form == "csc":
            readable, matrix_layer = stack.enter_context(temporary(rows_path(target))), None
            n_cells = n_rows(member(file, "obs")) if select.rows is None else len(select.rows)
            _csc_to_csr(file, layer, readable, lambda share: part(share * n_cells))
        plate = Plate(readable, matrix_layer, workers, file=None if form == "csc" else file)
        indptr = _counted_pointers(plate, select, part) if twice else _row_pointers(plate, select)
        digests = _write(file, plate, partial, layer, select, indptr, COUNT_TYPE, part)
        if digests is None:
            digests = _write(file, plate, partial, layer, select, indptr, plate.dtype, part)
        with open_hdf5(partial, "r+") as packed:
            packed.attrs[NAME] = note
        seal(partial, digests)


def _write(file, plate, path, layer, select, indptr, data_type, report):
    """Lay the file out through h5py, then write its two long arrays as plain bytes, hashed one block ahead.

    Returns the digests of these arrays; None when data_type is COUNT_TYPE and a value is no such count.
    """
    n_genes = plate.n_genes if select.genes is None else len(select.genes)
    types = data_type, index_type(n_genes)

    def converted(rows):
        rows = _read(plate, select, rows)
        data = as_counts(rows.data) if data_type == COUNT_TYPE else rows.data.astype(data_type)
        return data, rows.indices.astype(types[1]), len(rows)

    digests = {
        f"X/{name}": hasher(t, [int(indptr[-1])]) for name, t in zip(("data", "indices"), types, strict=True)
    }

    def hashed(blocks):
        for *arrays, n_cells in blocks:
            for array, digest in zip(arrays, digests.values(), strict=True):
                digest.update(b"" if array is None else array.data)
            yield arrays, n_cells

    blocks = ahead(hashed(in_turn(converted, _blocks(plate, select), _threads(plate))))
    offsets = lay_out(path, indptr, types, n_genes)
    with open_hdf5(path, "r+") as packed:
        copy_table(file, packed, "obs", select.rows)
        copy_genes(file, packed, layer, select)
    done = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(ArrayWriter(path, offset)) for offset in offsets]
        for arrays, n_cells in blocks:
            if arrays[0] is None:
                report(-done)
                return None
            for array, writer in zip(arrays, writers, strict=True):
                writer.write(array)
            done += n_cells
            report(n_cells)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _threads(plate):
    """How many blocks are read at once: HDF5 gives one at a time, and Chunked decodes it in threads."""
    return 1 if is_h5ad(plate.file) else 2


def _blocks(plate, select):
    """Numbers of rows of the plate, some that have BLOCK elements together at a time."""
    rows = np.arange(plate.n_cells) if select.rows is None else select.rows
    if plate.format == "dense":
        size = np.full(len(rows), plate.n_genes)
    else:
        size = plate.indptr[rows + 1] - plate.indptr[rows]
    block = np.cumsum(size) // BLOCK
    return (part for part in np.split(rows, np.flatnonzero(np.diff(block)) + 1) if len(part))


def _read(plate, select, rows):
    """Rows of the plate with only the selected genes, in the order of these."""
    taken = plate.rows(rows)
    if select.genes is not None:
        taken = taken.only(gene_places(select.genes, plate.n_genes))
    return taken if select.names is None else taken.in_gene_order()


def _drops_genes(select, n_genes):
    return select.genes is not None and np.count_nonzero(select.genes >= 0) < n_genes


def _row_pointers(plate, select):
    """(n_rows + 1,) int64 of the packed plate, of a CSR matrix with all its genes: the source's own."""
    counts = np.diff(plate.indptr)
    counts = counts if select.rows is None else counts[select.rows]
    return np.cumsum(np.concatenate([[0], counts]), dtype=np.int64)


def _counted_pointers(plate, select, report):
    """`_row_pointers` of any other matrix, whose values are read for it."""

    def counted(rows):
        return np.diff(_read(plate, select, rows).indptr)

    counts = [np.zeros(1, np.int64)]
    for part in in_turn(counted, _blocks(plate, select), _threads(plate)):
        counts.append(part)
        report(len(part))
    return np.cumsum(np.concatenate(counts), dtype=np.int64)


def _csc_to_csr(file, layer, path, report):
    """Write the CSC matrix as an h5ad with CSR X, in one pass to count and one to place.

    report: called with the share of the values that was read since its last call; 2 in the end.
    """
    matrix = matrix_of(file, layer)
    _, shape = matrix_format(matrix)
    values, rows = member(matrix, "data"), member(matrix, "indices")
    indptr = member(matrix, "indptr")[:].astype(np.int64)
    edges = range(0, len(values), BLOCK)
    counts = np.zeros(shape[0], np.int64)
    for low in edges:
        cells = rows[low : low + BLOCK]
        if len(cells) and not 0 <= cells.min() <= cells.max() < shape[0]:
            raise InputError(f"{file.filename}: a row index is not between 0 and {shape[0] - 1}")
        counts += np.bincount(cells, minlength=shape[0])
        report(len(cells) / len(values))
    pointers = np.concatenate([[0], np.cumsum(counts)])
    types = (values.dtype, np.int32)
    offsets = lay_out(path, pointers, types, shape[1])
    with open_hdf5(path, "r+") as packed:
        copy_genes(file, packed, layer, Selection())  # obs is copied from the source
    if pointers[-1] == 0:
        return
    data, genes = (
        np.memmap(path, t, "r+", offset, (pointers[-1],)) for t, offset in zip(types, offsets, strict=True)
    )
    free = pointers[:-1].copy()  # where the next element of each row goes
    for low in edges:
        cells = rows[low : low + BLOCK]
        order = np.argsort(cells, kind="stable")
        cells = cells[order]
        place = free[cells] + np.arange(len(cells)) - np.searchsorted(cells, cells)
        data[place] = values[low : low + BLOCK][order]
        genes[place] = np.searchsorted(indptr, low + order, side="right") - 1
        free += np.bincount(cells, minlength=shape[0])
        report(len(cells) / len(values))
    data.flush()
    genes.flush()
