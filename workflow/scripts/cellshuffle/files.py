"""Files that are whole or absent, and readers that never unpickle."""

import csv
import hashlib
import json
import os
import uuid
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cellshuffle.errors import InputError

PARTIAL = ".partial-"


@contextmanager
def whole(path):
    """Yield a temporary path beside `path`, which takes its place once complete and flushed.

    A failure inside the block removes the temporary file and leaves `path` as it was. What a
    killed job left beside `path` earlier is removed first: Snakemake runs one job per output.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f"{PARTIAL}*-{_literal(path.name)}"):
        leftover.unlink(missing_ok=True)
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _literal(name):
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _flush_folder(folder):
    """Make the renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path, text):
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path, value):
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path):
    """Raises InputError when `path` does not hold JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); delete it to make it again") from None


def write_rows(path, rows):
    """Write dicts with the same keys as CSV."""
    with whole(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_csv(path, table):
    """Write a pandas DataFrame as CSV, without its index."""
    with whole(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def save_npy(path, array):
    with whole(path) as partial, open(partial, "wb") as file:
        np.save(file, array, allow_pickle=False)


def load_npy(path, mmap_mode="r"):
    """Memory-map (or load, mmap_mode None) a `.npy` file; InputError when it is anything else."""
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path}: not a plain .npy array ({error}); delete it to make it again"
        ) from None


def save_npz(path, **arrays):
    with whole(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)


def sha256(path):
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
