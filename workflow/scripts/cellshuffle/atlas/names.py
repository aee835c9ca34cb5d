"""Values of a table as text: the names that classes, plates and the sides of a split have, also in paths."""

import hashlib
import re

import numpy as np

WHOLE = re.compile(r"[+-]?\d+\.0*")  # a whole number, written as a real one
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # letters that a path may have


def name_of(value):
    """The name of one value, None of a missing one (None or NaN).

    A whole real number has the name of the integer: a column of integers that lacks one value is stored
    as real numbers, and its classes are the same.

    >>> name_of(2.0), name_of(0.5), name_of(b"T cell"), name_of(True), name_of(float("nan"))
    ('2', '0.5', 'T cell', 'True', None)
    """
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return None
        return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)
    return None if value is None else str(value)


def names_of(values):
    """The names of an array without missing values, as a (n,) str array."""
    if values.dtype.kind in "OSf":
        return np.array([name_of(value) for value in values], str)
    return values.astype(str)


def are_whole(values):
    """Whether all numbers of a real array are whole."""
    return bool((np.isfinite(values) & (values == np.floor(values))).all())


def whole_number(text):
    """Text that is a whole number written as a real one, as the integer: `2.0` is 2; other text as it is."""
    return str(int(float(text))) if WHOLE.fullmatch(text) else text


def count_names(codes, names):
    """{name: cells} of the names that a cell has; cells without one (code -1) do not count."""
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    return {name: n for name, n in zip(names.tolist(), counts, strict=True) if n}


def file_name(plate):
    """A plate's name as part of a path: itself, or where it has other letters, made safe and unique.

    >>> file_name("p1"), file_name("10X v2")
    ('p1', '10X_v2_4a5c17a22a0f')
    """
    name = str(plate)
    if PLAIN.fullmatch(name):
        return name
    safe = re.sub(r"[^A-Za-z0-9]+", "_", name)[:40].strip("_")
    checksum = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:12]
    return f"{safe}_{checksum}" if safe else checksum
