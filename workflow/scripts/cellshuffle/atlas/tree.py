"""An atlas that is no HDF5 file, seen as an h5ad is: groups and arrays by the names they have in an h5ad.

A form in which atlases come is a File whose parts are those of anndata (X, obs, var, layers): all that reads
tables and matrices does so by the few names that groups and arrays of h5py have too, and knows no form.
"""

from collections.abc import Mapping
from functools import cached_property

import h5py
import numpy as np

LISTS = "lists of tokens"  # the encoding of a matrix in Parquet files: parquet.py


class Group(Mapping):
    """Parts by name, as h5py.Group: `group["codes"]`, `group["X/data"]`, sorted when iterated.

    name: its path, such as /obs; file: the File that it is in; attrs: {name: value}. Subclasses have
    `_names()`, of what is there, and `_part(name)`.
    """

    def __init__(self, file, name, attrs=()):
        self.file, self.name, self.attrs, self._parts = file, name, dict(attrs), {}

    @cached_property
    def _known(self):
        """The names, asked for once: a zarr store lists a folder for them."""
        return sorted(self._names())

    def __getitem__(self, path):
        first, _, rest = path.strip("/").partition("/")
        if first not in self._parts:
            if first not in self._known:
                raise KeyError(path)
            self._parts[first] = self._part(first)
        part = self._parts[first]
        return part[rest] if rest else part

    def __iter__(self):
        return iter(self._known)

    def __len__(self):
        return len(self._known)

    def path(self, name):
        """The path of a part of this group."""
        return f"{self.name.rstrip('/')}/{name}"

    def find(self, path):
        """The part of this group, or of the file where the path begins with a slash; None without one."""
        part = self.file if path.startswith("/") else self
        for name in path.split("/"):
            if name in ("", "."):
                continue
            if not isinstance(part, Group) or name not in part:
                return None
            part = part[name]
        return part


class File(Group):
    """The group of all parts; filename: the path of the file or folder. It is closed at the end of `with`."""

    def __init__(self, filename, attrs=()):
        super().__init__(self, "/", attrs)
        self.filename = str(filename)

    def close(self):
        """Free what is held open."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Parts(Group):
    """A Group of parts that are known: parts: {name: function of (file, path) that makes it}."""

    def __init__(self, file, name, attrs, parts):
        super().__init__(file, name, attrs)
        self._makers = parts

    def _names(self):
        return self._makers

    def _part(self, name):
        return self._makers[name](self.file, self.path(name))


class Array:
    """Values that are read when they are asked for, as h5py.Dataset: `array[low:high]`, `array[()]`.

    It has one dimension. read: a function of a start and a stop; shape and dtype may be functions, called
    when they are asked for. Text is given as str, and its dtype is h5py's.
    """

    chunks, ndim = None, 1

    def __init__(self, file, name, shape, dtype, read, attrs=()):
        self.file, self.name, self.attrs = file, name, dict(attrs)
        self._shape, self._dtype, self._read = shape, dtype, read

    @property
    def shape(self):
        return self._shape() if callable(self._shape) else self._shape

    @property
    def dtype(self):
        is_known = isinstance(self._dtype, type | np.dtype)
        dtype = np.dtype(self._dtype if is_known else self._dtype())
        return h5py.string_dtype() if dtype.kind in "OTU" else dtype

    @property
    def size(self):
        return len(self)

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        key = slice(None) if key == () else key
        if not isinstance(key, slice):
            key = int(key)
            return self[key : key + 1][0]
        start, stop, _ = key.indices(len(self))
        values = self._read(start, max(start, stop))
        return values.astype(object) if self.dtype.kind == "O" else values


def array_of(values, attrs=()):
    """What makes an Array of values that are in memory: see Parts."""
    values = np.asarray(values)
    return lambda file, name: Array(
        file, name, values.shape, values.dtype, lambda start, stop: values[start:stop], attrs
    )


def is_array(part):
    """Whether a part of an atlas, of h5py or of a File, is an array, and not a group."""
    return hasattr(part, "dtype")
