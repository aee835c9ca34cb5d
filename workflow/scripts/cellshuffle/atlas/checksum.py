"""A checksum of what an h5ad file holds, kept in it, by which a change of it is noticed."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import open_h5ad, open_hdf5
from cellshuffle.errors import InputError
from cellshuffle.files import read_json, sha256, write_json

CHECKSUM = "cellshuffle_checksum"  # the attribute: JSON, SHA-256 of X, obs and var
PARTS = ("X", "obs", "var")
BLOCK = 2**22  # elements of an array that are read at a time
OF_FOLDER = ".cellshuffle.json"  # of files without attributes: what made them, and the SHA-256 of each


def hasher(dtype, shape):
    """A SHA-256 of an array of this type and shape, to be updated with its bytes in order."""
    return hashlib.sha256(f"{np.dtype(dtype).str} {tuple(shape)}".encode())


def seal(path, digests=()):
    """Write the checksum of an h5ad file into it.

    digests: {"X/data": hexadecimal SHA-256} of arrays that need not be read, see `hasher`.
    """
    with open_hdf5(path, "r+") as file:
        file.attrs[CHECKSUM] = json.dumps({part: _digest(file, part, dict(digests)) for part in PARTS})


def changed(path, parts=PARTS, report=lambda n_bytes: None):
    """The parts of an h5ad file ("X", "obs", "var") that are not as they were when it got its checksum.

    report: called with the number of bytes read since its last call. None for a file without a checksum;
    InputError where it cannot be read.
    """
    with open_h5ad(path) as file:
        if CHECKSUM not in file.attrs:
            return None
        expected = json.loads(file.attrs[CHECKSUM])
        return [part for part in parts if not _is_same(file, part, expected, report)]


def seal_files(folder, paths, made_from):
    """Write into a folder what made files of it, and the SHA-256 of each."""
    files = {Path(path).name: sha256(path) for path in sorted(map(str, paths))}
    write_json(Path(folder, OF_FOLDER), {"made_from": made_from, "files": files})


def read_seal(folder):
    """{"made_from": ..., "files": {name: SHA-256}} as `seal_files` wrote it; empty without it."""
    with suppress(InputError, OSError):
        seal = read_json(Path(folder, OF_FOLDER))
        if isinstance(seal, dict) and isinstance(seal.get("files"), dict):
            return seal
    return {"made_from": None, "files": {}}


def changed_files(path):
    """Names of the files in a sealed folder that are not as they were; of a file there, it alone."""
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    files = read_seal(folder)["files"]
    names = files if path.is_dir() else files.keys() & {path.name}
    return [name for name in names if not (folder / name).exists() or sha256(folder / name) != files[name]]


def _is_same(file, part, expected, report):
    try:
        return expected.get(part) == _digest(file, part, {}, report)
    except (KeyError, OSError, RuntimeError, ValueError):  # it is gone, or cannot be read any more
        return False


def _digest(file, part, digests, report=lambda n_bytes: None):
    """SHA-256 of a group: names, attributes and content of all that is in it."""
    total = hashlib.sha256()
    names = [part]
    file[part].visit(lambda name: names.append(f"{part}/{name}"))
    for name in sorted(names):
        member = file[name]
        attributes = [(key, np.asarray(member.attrs[key]).tolist()) for key in sorted(member.attrs)]
        total.update(repr((name, attributes)).encode())
        if isinstance(member, h5py.Dataset):
            total.update((digests.get(name) or _array_digest(member, report)).encode())
    return total.hexdigest()


def _array_digest(dataset, report):
    total = hasher(dataset.dtype, dataset.shape)
    rows = max(1, BLOCK // max(1, int(np.prod(dataset.shape[1:]))))
    blocks = range(0, len(dataset), rows) if dataset.shape else [()]
    for low in blocks:
        values = np.asarray(dataset[()] if dataset.shape == () else dataset[low : low + rows])
        content = repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        total.update(content)
        report(len(content))
    return total.hexdigest()
