"""Files that are whole or absent, and readers that never unpickle."""

import csv
import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import time
import uuid
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from cellshuffle.errors import InputError, Stopped
from cellshuffle.orphans import is_alive, is_orphan, machine

PARTIAL = ".partial-"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
HDF5, PARQUET = "an HDF5 file", "a Parquet table"
# First bytes of what is found where an h5ad or a table should be, and what it is.
SIGNATURES = {
    b"\x1f\x8b": "a file compressed by gzip; decompress it (`gzip -dc <file> > <new file>`)",
    b"BZh": "a file compressed by bzip2; decompress it (`bzip2 -dc <file> > <new file>`)",
    b"\xfd7zXZ": "a file compressed by xz; decompress it (`xz -dc <file> > <new file>`)",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd; decompress it (`zstd -dc <file> > <new file>`)",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook; unpack it, or save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the table as CSV",
    b"\x89HDF": HDF5,
    b"PAR1": PARQUET,
    b"\x00\x05\x16\x07": "what macOS keeps beside a file, under `._` and its name; take the file itself",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself with `git lfs pull`",
    **dict.fromkeys(
        [b"<!", b"<?xml", b"<html", b"<HTML", b"<Error"],
        "a page of HTML or XML, perhaps the error message of a download; download it again",
    ),
}
IDLE_SECONDS = 120  # without a write, before another machine's partial file counts as abandoned


@contextmanager
def temporary(path):
    """Yield the path of a temporary file beside `path`, gone afterwards; a full disk is told as such.

    What a killed process left there is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    owner = f"{machine()}.{os.getpid()}"
    partial = path.with_name(f"{PARTIAL}{owner}-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield partial
    except (OSError, RuntimeError) as error:  # torch and numpy have words of their own for it
        if getattr(error, "errno", None) in DISK_FULL or _is_full(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_write(path, orphaned=False):
    """Yield a temporary path beside `path`, which takes its place once complete and flushed.

    A failure inside the block removes the temporary file and leaves `path` as it was; so does the end of the
    run that started this process, which raises Stopped: another may be making the file of something else.
    orphaned: also then, of a file that says itself for whom it is of use.
    """
    with temporary(path) as partial:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        if not orphaned:
            stop_if_orphan(path)
        os.replace(partial, path)
        _flush_folder(Path(path).parent)


def claim(path):
    """Have the disk give `path` all of its size now: a full disk kills who writes through a memory map."""
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, os.path.getsize(path)))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def content_of(file):
    """What an open file is by its first bytes, and what to do with it; None when they do not tell."""
    start = file.read(64)
    return next((words for first, words in SIGNATURES.items() if start.startswith(first)), None)


def open_decompressed(path):
    """Open a file for reading bytes, also one that is compressed by gzip, whatever its name."""
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else open(path, "rb")


def open_text(path):
    """Open a text file in UTF-8 for reading, also one that is compressed by gzip."""
    return io.TextIOWrapper(open_decompressed(path), encoding="utf-8-sig", newline="")


def stop_if_orphan(path):
    """Raise Stopped where the run that started this process has ended, and another may be making `path`."""
    if is_orphan():
        raise Stopped(f"{path}: the run that wanted it has ended; not put in place")


def _is_full(folder):
    return shutil.disk_usage(folder).free < 2**20


def remove_leftovers(path):
    """Remove partial files of `path` whose process is no more.

    Not those of a living one: runs in other folders may share a folder of packed plates.
    """
    path = Path(path)
    name = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path.name)
    for leftover in path.parent.glob(f"{PARTIAL}{'?' * 8}.*-{'?' * 8}-{name}"):
        where, _, process = leftover.name.removeprefix(PARTIAL).split("-")[0].partition(".")
        with suppress(FileNotFoundError):
            if where == machine():
                abandoned = not is_alive(process)
            else:
                abandoned = time.time() - leftover.stat().st_mtime > IDLE_SECONDS
            if abandoned:
                leftover.unlink()


def _flush_folder(folder):
    """Make the renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path, text):
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path, value):
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def readable_as(content, path):
    """InputError where the file turns out to hold something else."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{path}: not {content} (it lacks {error}); delete it to make it again") from None
    except (ValueError, EOFError, AttributeError, TypeError, IndexError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not {content} ({reason}); delete it to make it again") from None


def read_json(path):
    """Raises InputError when `path` does not hold JSON."""
    with readable_as("valid JSON", path):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def write_rows(path, rows):
    """Write dicts with the same keys as CSV."""
    # Python quotes a text with the line end that it writes, but not with the other one.
    other = any("\r" in str(value) for row in rows for value in row.values())
    quoting = csv.QUOTE_NONNUMERIC if other else csv.QUOTE_MINIMAL
    with atomic_write(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n", quoting=quoting)
        writer.writeheader()
        writer.writerows(rows)


def write_csv(path, table):
    """Write a pandas DataFrame as CSV, without its index."""
    with atomic_write(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def create_npy(path, dtype, shape):
    """A new `.npy` file as a writable memory map, its disk space claimed."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    claim(path)
    return array


def load_npy(path, mmap_mode="r"):
    """Memory-map (or load, mmap_mode None) a `.npy` file; InputError when it is anything else."""
    with readable_as("a plain .npy array", path):
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive of arrays")
        return array


def save_npz(path, **arrays):
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_npz(path):
    """{name: array} of a `.npz` file; InputError when it is anything else, or holds objects."""
    with readable_as("a plain .npz file", path), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def sha256(path):
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
