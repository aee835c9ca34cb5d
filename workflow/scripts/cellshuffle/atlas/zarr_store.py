"""AnnData stores of zarr, formats 2 and 3: folders and ZIP archives of them, seen as an h5ad is (tree.py)."""

import itertools
import math
import os
import warnings
import zipfile
from functools import cached_property

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import readable
from cellshuffle.atlas.tree import File, Group
from cellshuffle.errors import InputError

METADATA = ("zarr.json", ".zgroup", ".zmetadata", ".zattrs")  # of a store, at its top
TABLES = ("obs", "var", "raw/var")
ANEW = "copy or download it again"


def is_store(path):
    """Whether a folder holds what a zarr store has at its top, or an archive has the name of one."""
    if os.path.isdir(path):
        return str(path).rstrip("/").endswith(".zarr") or any(
            os.path.exists(os.path.join(path, name)) for name in METADATA
        )
    return str(path).endswith(".zip")


class Store(File):
    """An open zarr store. Raises InputError when it is none, or zarr is not installed."""

    def __init__(self, path):
        try:
            import zarr
        except ImportError:
            raise InputError(
                f'{path}: a zarr store is read with zarr; `pip install "cellshuffle[zarr]"`'
            ) from None
        self._names_in_zip, top, is_zip = None, "", not os.path.isdir(path)
        if is_zip:
            self._names_in_zip = _names_in_zip(path)
            top = _top(self._names_in_zip)
        store = (
            zarr.storage.ZipStore(path, mode="r") if is_zip else zarr.storage.LocalStore(path, read_only=True)
        )
        try:
            self._group = zarr.open_group(store, path=top.rstrip("/"), mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            store.close()
            raise InputError(
                f"{path}: is no zarr store that can be read: it has no zarr.json (format 3) or .zgroup "
                f"(format 2) at its top, or a damaged one ({str(error).splitlines()[0]}); {ANEW}, with its "
                "hidden files"
            ) from None
        self._store, self._top = store, top
        super().__init__(path, _attributes(self._group.attrs))

    def close(self):
        self._store.close()

    def holds(self, key):
        """Whether the store has a chunk, or a shard, by its key."""
        if self._names_in_zip is None:
            return os.path.isfile(os.path.join(self.filename, key))
        return self._top + key in self._names_in_zip

    def _names(self):
        return _names(self._group)

    def _part(self, name):
        return _part(self, self.path(name), self._group[name])


class StoreGroup(Group):
    """A group of a store."""

    def __init__(self, file, name, group):
        super().__init__(file, name, _attributes(group.attrs))
        self._group = group

    def _names(self):
        return _names(self._group)

    def _part(self, name):
        return _part(self.file, self.path(name), self._group[name])


class StoreArray:
    """An array of a store, as h5py.Dataset. zarr gives zeros for a chunk that is not there: see `check`."""

    def __init__(self, file, name, array):
        self.file, self.name, self.attrs, self._array = file, name, _attributes(array.attrs), array
        is_null = self.attrs.get("encoding-type") == "null"  # an X that is None
        self.shape = None if is_null else array.shape
        self.ndim, self.size = array.ndim, int(np.prod(array.shape))
        self.chunks, self._stored = (
            array.chunks,
            array.shards or array.chunks,
        )  # what is decoded, what is a file
        self.kind = "shards" if array.shards else "chunks"
        self.n_chunks = math.prod(-(-n // size) for n, size in zip(array.shape, self._stored, strict=True))
        self.is_text = array.dtype.kind in "OTU"
        self.dtype = h5py.string_dtype() if self.is_text else array.dtype
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        self.check()
        with readable(f"{self.file.filename}: {self.name.strip('/')}"):
            values = np.asarray(self._array[key])
        return values.astype(object) if self.is_text else values

    @cached_property
    def absent(self):
        """Keys of the chunks, or shards, that are not in the store."""
        counts = [-(-n // chunk) for n, chunk in zip(self._array.shape, self._stored, strict=True)]
        prefix = self.name.lstrip("/")
        keys = (
            f"{prefix}/{self._array.metadata.encode_chunk_key(place)}"
            for place in itertools.product(*map(range, counts))
        )
        return [key for key in keys if not self.file.holds(key)]

    def check(self):
        """Raise InputError where values are lost that zarr would give as zeros, or as empty text.

        Chunks of nothing but zeros are left out by zarr itself. Among the numbers of a table these are
        usual: a column of one category has no chunk. They are lost where a category has no cell left. Among
        counts there are none: sparse ones hold no zeros, and of dense ones a chunk of zeros cannot be told
        from a lost one.
        """
        if not self.absent:
            return
        is_table = any(self.name.startswith(f"/{table}/") for table in TABLES)
        if not is_table or self.is_text or not self._may_be_zeros:
            count = f"{len(self.absent)} of {self.n_chunks} {self.kind} of {self.name.strip('/')}"
            dense = ", or where those are zeros, write it with zarr's setting array.write_empty_chunks"
            raise InputError(
                f"{self.file.filename}: {self.absent[0]} is missing ({count}), and zarr would read zeros in "
                f"its place; {ANEW}{dense if self.ndim == 2 else ''}"
            )

    @cached_property
    def _may_be_zeros(self):
        """Whether codes with their absent chunks as zeros leave no category without a cell."""
        parent, _, name = self.name.rpartition("/")
        categories = self.file.find(f"{parent}/categories") if name == "codes" else None
        if categories is None or len(categories.attrs) == 0 or isinstance(categories, Group):
            return True
        codes = np.unique(np.asarray(self._array[:]))
        return len(codes[codes >= 0]) == len(categories)


def _names(group):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what is no part of the store, such as chunks without metadata
        return list(group.keys())


def zeros_line(file, column):
    """A line on chunks of an obs column that are not in a store and are read as zeros; None of any other.

    Not of a column that has one value whatever those chunks were.
    """
    part = file.find(f"/obs/{column}") if isinstance(file, Store) else None
    for name in ("codes", "values"):
        part = part[name] if isinstance(part, Group) and name in part else part
    if not isinstance(part, StoreArray) or not part.absent:
        return None
    categories = file.find(f"{part.name.removesuffix('codes')}categories")
    if len(categories) == 1 if categories is not None else len(part.absent) == part.n_chunks:
        return None
    value = "0" if categories is None else repr(str(categories[0]))
    count = f"{len(part.absent)} of {part.n_chunks} {part.kind} of obs column '{column}'"
    return (
        f"{file.filename}: {part.absent[0]} is not there ({count}), so its cells are read as {value}; zarr "
        "leaves out what is all zeros, so this is right unless the store was copied in part"
    )


def _part(file, name, part):
    return (StoreArray if hasattr(part, "dtype") else StoreGroup)(file, name, part)


def _attributes(attrs):
    """Attributes as h5py gives them: lists are arrays; sorted, and without those that are null."""
    values = {name: value for name, value in sorted(dict(attrs).items()) if value is not None}
    return {name: _listed(value) if isinstance(value, list) else value for name, value in values.items()}


def _listed(values):
    is_text = any(isinstance(value, str) for value in values)
    return np.array(values, h5py.string_dtype() if is_text else None)


def _names_in_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        if not os.path.exists(path):
            raise InputError(f"{path}: there is no such plate") from None
        raise InputError(
            f"{path}: is not a ZIP archive of a zarr store, or a truncated one ({error}); {ANEW}"
        ) from None


def _top(names):
    """Where the store begins in an archive: in its only folder, if that was packed and not what is in it."""
    folders = {name.partition("/")[0] for name in names}
    is_top = any(name in names for name in METADATA)
    return "" if is_top or len(folders) != 1 else f"{folders.pop()}/"
