"""Pack cells of Parquet files: in one pass, file by file, going on where a killed packing was."""

import fcntl
import hashlib
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellshuffle.atlas.checksum import hasher, seal
from cellshuffle.atlas.copying import copy_genes, copy_table
from cellshuffle.atlas.h5ad import open_hdf5
from cellshuffle.atlas.rows import gene_places
from cellshuffle.errors import InputError
from cellshuffle.files import atomic_write, read_json, write_json
from cellshuffle.packing.ahead import ahead
from cellshuffle.packing.format import COUNT_TYPE, FORMAT, POINTER_TYPE, as_counts, index_type, lay_out
from cellshuffle.packing.origin import NAME
from cellshuffle.packing.writing import ArrayWriter

ARRAYS = ("data", "indices", "indptr")


def pack_lists(cells, target, select, threads, report, note):
    """`pack_plate` of Parquet files; cells: an open parquet.Cells; note: what the plate says it is made from.

    What is done is kept beside `target`, with a note of how far it is after each file, until it is complete:
    a packing that is killed goes on from there, to the same bytes.
    """
    cells, rows = cells.narrowed(select.rows)
    select = replace(select, rows=rows)
    with _kept(target) as path:
        made_from = _made_from(cells, select, note)
        done = _done(path, made_from)
        if done is None:
            done = _begin(cells, path, select, COUNT_TYPE, made_from)
        report(done["cells"])
        digests = _fill(cells, path, select, done, threads, report)
        if digests is None:
            report(-done["cells"])
            done = _begin(cells, path, select, "float32", made_from)
            digests = _fill(cells, path, select, done, threads, report)
        with open_hdf5(path, "r+") as packed:
            packed.attrs[NAME] = note
        seal(path, digests)
        with atomic_write(target) as partial:
            os.rename(path, partial)


@contextmanager
def _kept(target):
    """The path of what is done so far, of this process alone; gone after an error, but not when killed."""
    path = Path(target).with_name(f".unfinished-{Path(target).name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{target}: is being packed by another process; start again when it has ended"
            ) from None
        except OSError:  # a file system without locks
            pass
        try:
            yield path
        except (InputError, OSError):
            path.unlink(missing_ok=True)
            raise
        finally:
            if not path.exists():
                _note_of(path).unlink(missing_ok=True)


def _note_of(path):
    return path.with_name(f"{path.name}.json")


def _made_from(cells, select, note):
    """What decides the bytes of the packed plate."""
    digest = hashlib.sha256(str(note).encode())
    for file in cells.files:
        status = os.stat(file.path)
        digest.update(repr((file.path.name, status.st_size, status.st_mtime_ns)).encode())
    for numbers in (select.rows, select.genes, select.names, *cells.genes.values()):
        digest.update(repr(None).encode() if numbers is None else repr(numbers.tolist()).encode())
    return f"{FORMAT} {digest.hexdigest()}"


def _done(path, made_from):
    """How far a killed packing of the same was, None where there is none."""
    with suppress(InputError, OSError):
        done = read_json(_note_of(path))
        if done.get("made_from") == made_from and path.stat().st_size >= done["size"]:
            return done
    return None


def _begin(cells, path, select, data_type, made_from):
    """Lay the file out with everything but its three arrays; how far it is."""
    _note_of(path).unlink(missing_ok=True)
    n_cells = cells.n_cells if select.rows is None else len(select.rows)
    pointers = np.zeros(n_cells + 1, POINTER_TYPE)
    place = None if select.genes is None else gene_places(select.genes, cells.n_genes)
    pointers[-1] = cells.count_values(select.rows, place)
    lay_out(path, pointers, (data_type, index_type(_n_genes(cells, select))), _n_genes(cells, select))
    with open_hdf5(path, "r+") as packed:
        copy_table(cells, packed, "obs", select.rows)
        copy_genes(cells, packed, None, select)
    done = {"made_from": made_from, "size": path.stat().st_size, "type": data_type}
    return done | {"files": 0, "cells": 0, "values": 0, "n_values": int(pointers[-1])}


def _n_genes(cells, select):
    return cells.n_genes if select.genes is None else len(select.genes)


def _fill(cells, path, select, done, threads, report):
    """Write the counts of the files that are not done.

    Returns the digests of what was written, if it was all; None where a value does not fit its type.
    """
    place = None if select.genes is None else gene_places(select.genes, cells.n_genes)
    with open_hdf5(path) as packed:
        offsets = [packed["X"][name].id.get_offset() or 0 for name in ARRAYS]
    types = done["type"], index_type(_n_genes(cells, select)), POINTER_TYPE
    sizes = [done["n_values"]] * 2
    digests = {f"X/{name}": hasher(t, [n]) for name, t, n in zip(ARRAYS, types, sizes, strict=False)}
    digests = {} if done["cells"] else digests  # of what a killed packing has written, nothing is known
    firsts = done["values"], done["values"], done["cells"] + 1
    with ExitStack() as stack:
        writers = [
            stack.enter_context(ArrayWriter(path, offset + first * np.dtype(t).itemsize))
            for offset, first, t in zip(offsets, firsts, types, strict=True)
        ]
        for number, rows in cells.by_file(select.rows, done["files"]):
            for part in ahead(cells.rows(number, rows, threads > 1)):
                part = part if place is None else part.only(place)
                data = as_counts(part.data) if done["type"] == COUNT_TYPE else part.data.astype(done["type"])
                if data is None:
                    return None
                pointers = (part.indptr[1:] + done["values"]).astype(POINTER_TYPE)
                arrays = data, part.indices.astype(types[1]), pointers
                for name, array, writer in zip(ARRAYS, arrays, writers, strict=True):
                    writer.write(array)
                    if f"X/{name}" in digests:
                        digests[f"X/{name}"].update(array.data)
                done["values"] += len(data)
                done["cells"] += len(part)
                report(len(part))
            done["files"] = number + 1
            for writer in writers:
                writer.flush()
            os.fdatasync(writer.file.fileno())
            write_json(_note_of(path), done)
    if done["values"] != done["n_values"]:
        raise InputError(f"{cells.filename}: changed while it was packed; start again")
    return {name: digest.hexdigest() for name, digest in digests.items()}
