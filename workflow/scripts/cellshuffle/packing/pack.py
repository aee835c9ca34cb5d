"""Rewrite a plate once as an uncompressed, contiguous h5ad, whose arrays can be memory-mapped."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import matrix_kind, matrix_name, member, open_h5ad, var_name
from cellshuffle.atlas.plates import Fetch, Plate
from cellshuffle.atlas.selection import Selection
from cellshuffle.atlas.tables import copy_table
from cellshuffle.errors import InputError
from cellshuffle.files import claim, temporary, whole
from cellshuffle.packing.origin import note_origin

BLOCK = 2**22  # matrix elements held in memory at a time


def pack(
    source, target, layer=None, select=None, workers=1, report=lambda n_cells: None, note=None
):
    """Write matrix, obs and var of the h5ad `source` to `target`, whole or not at all.

    Counts become uint16 and gene indices uint16 where they fit; row pointers are int64. CSR, CSC
    and dense matrices come in, CSR goes out as X. Memory stays bounded by a few BLOCKs.

    layer: None for X, "raw" or a layer's name; select: a Selection; workers: threads that decode;
    report: called with the number of cells done since its last call; note: see cellshuffle.packing.origin.
    Raises InputError when the source cannot be used or the disk is too small.
    """
    select = select or Selection()
    with ExitStack() as stack:
        file = stack.enter_context(open_h5ad(source))
        partial = stack.enter_context(whole(target))
        readable, matrix_layer = source, layer
        if matrix_kind(member(file, matrix_name(file, layer)))[0] == "csc":
            readable, matrix_layer = stack.enter_context(temporary(f"{target}.rows")), None
            _csc_to_csr(file, layer, readable)
        plate = Plate(readable, matrix_layer, workers)
        indptr = _row_pointers(plate, select)
        index_type = np.uint16 if plate.n_genes <= 2**16 else np.int32
        try:
            _write(file, plate, partial, layer, select, indptr, (np.uint16, index_type), report)
        except _DoesNotFit:
            _write(file, plate, partial, layer, select, indptr, (plate.dtype, index_type), report)
        if note:
            note_origin(partial, note)


class _DoesNotFit(Exception):
    """A value is no 16-bit count, so the plate keeps the type it came with."""


def _write(file, plate, path, layer, select, indptr, types, report):
    """Lay the file out through h5py, then write its two long arrays as plain bytes."""
    offsets = lay_out(
        path, indptr, types, plate.n_genes if select.genes is None else len(select.genes)
    )
    with h5py.File(path, "r+") as packed:
        copy_table(file, packed, "obs", select.rows)
        copy_table(file, packed, var_name(file, layer), select.genes)
    done = 0
    with open(path, "r+b") as out:
        for rows in _blocks(plate, select):
            parts = (_fitting(rows.data, types[0]), rows.indices.astype(types[1]))
            for part, offset in zip(parts, offsets, strict=True):
                out.seek(offset + done * part.itemsize)
                out.write(part.data)
            done += len(rows.data)
            report(len(rows.indptr) - 1)


def lay_out(path, indptr, types, n_genes):
    """Create an h5ad with an empty CSR X of the given row pointers; byte offsets of data, indices."""
    need = int(indptr[-1]) * sum(np.dtype(t).itemsize for t in types) + indptr.nbytes
    free = shutil.disk_usage(Path(path).parent).free
    if need > free:
        raise InputError(
            f"{Path(path).parent}: packing needs {need / 1e9:.3g} GB, {free / 1e9:.3g} GB are free"
        )
    with h5py.File(path, "w", alignment_threshold=2**16, alignment_interval=2**12) as packed:
        packed.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = packed.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([len(indptr) - 1, n_genes])
        x.create_dataset("indptr", data=indptr, track_times=False)
        offsets = []
        for name, dtype in zip(("data", "indices"), types, strict=True):
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            layout.set_obj_track_times(False)  # the same plate packs to the same bytes
            space = h5py.h5s.create_simple((int(indptr[-1]),))
            kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
            dataset = h5py.h5d.create(x.id, name.encode(), kind, space, layout)
            offsets.append(dataset.get_offset() or 0)
    claim(path)  # so that a full disk shows before any work
    return offsets


def _blocks(plate, select):
    """Rows of the plate, BLOCK elements at a time, with only the selected genes, renumbered."""
    rows = np.arange(plate.n_cells) if select.rows is None else select.rows
    if plate.kind == "dense":
        size = np.full(len(rows), plate.n_genes)
    else:
        size = plate.indptr[rows + 1] - plate.indptr[rows]
    block = np.cumsum(size) // BLOCK
    for part in np.split(rows, np.flatnonzero(np.diff(block)) + 1):
        if len(part) == 0:
            continue
        pair, start, stop = plate.read(part)
        piece = np.zeros(len(part), np.int64)
        fetch = Fetch([plate], [pair], piece, start, stop, unique_genes=True)
        taken = fetch.take(np.arange(len(part)))
        if taken.data.dtype.kind == "f" and not np.isfinite(taken.data).all():
            raise InputError(f"{plate.path}: the matrix holds NaN or infinite values")
        yield taken if select.genes is None else _only(taken, select.genes, plate.n_genes)


def _only(rows, genes, n_genes):
    place = np.full(n_genes, -1)
    place[genes] = np.arange(len(genes))
    kept = place[rows.indices] >= 0
    rows.indptr = np.r_[0, np.cumsum(kept)][rows.indptr]
    rows.data, rows.indices = rows.data[kept], place[rows.indices[kept]]
    return rows


def _row_pointers(plate, select):
    """(n_rows + 1,) int64 of the packed plate; read from the source's own where that is enough."""
    if plate.kind == "csr" and select.genes is None:
        counts = np.diff(plate.indptr)
        counts = counts if select.rows is None else counts[select.rows]
    else:
        counts = [np.diff(rows.indptr) for rows in _blocks(plate, select)]
        counts = np.concatenate(counts) if counts else np.zeros(0, np.int64)
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _fitting(values, dtype):
    """`values` as `dtype`; _DoesNotFit when that would change one."""
    cast = values.astype(dtype) if not len(values) or values.min() >= 0 else None
    if dtype == np.uint16 and (cast is None or not np.array_equal(cast, values)):
        raise _DoesNotFit
    return values.astype(dtype) if cast is None else cast


def _csc_to_csr(file, layer, path):
    """Write the CSC matrix as an h5ad with CSR X, in one pass to count and one to place."""
    matrix = member(file, matrix_name(file, layer))
    _, shape = matrix_kind(matrix)
    indptr = matrix["indptr"][:].astype(np.int64)
    edges = range(0, len(matrix["data"]), BLOCK)
    counts = np.zeros(shape[0], np.int64)
    for low in edges:
        cells = matrix["indices"][low : low + BLOCK]
        if len(cells) and not 0 <= cells.min() <= cells.max() < shape[0]:
            raise InputError(f"{file.filename}: a row index is not between 0 and {shape[0] - 1}")
        counts += np.bincount(cells, minlength=shape[0])
    pointers = np.concatenate([[0], np.cumsum(counts)])
    types = (matrix["data"].dtype, np.int32)
    offsets = lay_out(path, pointers, types, shape[1])
    with h5py.File(path, "r+") as packed:
        copy_table(file, packed, "obs")
        copy_table(file, packed, var_name(file, layer))
    if pointers[-1] == 0:
        return
    data, genes = (
        np.memmap(path, t, "r+", offset, (pointers[-1],))
        for t, offset in zip(types, offsets, strict=True)
    )
    free = pointers[:-1].copy()  # where the next element of each row goes
    for low in edges:
        cells = matrix["indices"][low : low + BLOCK]
        order = np.argsort(cells, kind="stable")
        cells = cells[order]
        rank = np.arange(len(cells)) - np.searchsorted(cells, cells)
        place = free[cells] + rank
        data[place] = matrix["data"][low : low + BLOCK][order]
        genes[place] = np.searchsorted(indptr, low + order, side="right") - 1
        free += np.bincount(cells, minlength=shape[0])
    data.flush()
    genes.flush()
