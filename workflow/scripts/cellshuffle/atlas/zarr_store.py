"""AnnData stores of zarr, formats 2 and 3: folders and ZIP archives of them, seen as an h5ad is (tree.py).

Where a store is packed, its numbers are decoded by zarrs, if that is installed: in two thirds of the time.
"""

import itertools
import math
import os
import sys
import warnings
import zipfile
from contextlib import suppress
from functools import cached_property

import h5py
import numpy as np

from cellshuffle.atlas.h5ad import readable
from cellshuffle.atlas.tree import File, Group
from cellshuffle.errors import InputError

METADATA = ("zarr.json", ".zgroup", ".zmetadata", ".zattrs")  # of a store, at its top
TABLES = ("obs", "var", "raw/var")
ANEW = "copy or download it again"
BLOSC_HEADER = 16  # bytes, of which the last four are the number of bytes of the chunk
ZARR, ZARRS = "zarr.core.codec_pipeline.BatchedCodecPipeline", "zarrs.ZarrsCodecPipeline"
_threads_lost = False  # in a process forked from one with zarrs, which would wait for these for ever


def _forked():
    global _threads_lost
    _threads_lost = "zarrs" in sys.modules


os.register_at_fork(after_in_child=_forked)


def is_store(path):
    """Whether a folder holds what a zarr store has at its top, or an archive has the name of one."""
    if os.path.isdir(path):
        return str(path).rstrip("/").endswith(".zarr") or any(
            os.path.exists(os.path.join(path, name)) for name in METADATA
        )
    return str(path).endswith(".zip")


class Store(File):
    """An open zarr store. Raises InputError when it is none, or zarr is not installed.

    packing: its numbers are decoded by zarrs, which processes that are forked later cannot use.
    """

    def __init__(self, path, packing=False):
        try:
            import zarr
        except ImportError:
            raise InputError(
                f'{path}: a zarr store is read with zarr; `pip install "cellshuffle[zarr]"`'
            ) from None
        self._archive, top, is_zip = None, "", not os.path.isdir(path)
        if is_zip:
            self._archive = _archive(path)
            top = _top(self._archive.namelist())
        store = (
            zarr.storage.ZipStore(path, mode="r") if is_zip else zarr.storage.LocalStore(path, read_only=True)
        )
        try:
            self._group = zarr.open_group(store, path=top.rstrip("/"), mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            store.close()
            if is_zip:
                self._archive.close()
            raise InputError(
                f"{path}: is no zarr store that can be read: it has no zarr.json (format 3) or .zgroup "
                f"(format 2) at its top, or a damaged one ({str(error).splitlines()[0]}); {ANEW}, with its "
                "hidden files"
            ) from None
        self._store, self._top = store, top
        self._by_zarrs = packing and not is_zip and _zarrs_works()
        super().__init__(path, _attributes(self._group.attrs))

    def close(self):
        self._store.close()
        if self._archive:
            self._archive.close()

    def size(self, key):
        """Bytes of a chunk, or a shard, by its key; None where there is none."""
        with suppress(FileNotFoundError, NotADirectoryError, KeyError):
            if self._archive:
                return self._archive.getinfo(self._top + key).file_size
            return os.path.getsize(os.path.join(self.filename, key))
        return None

    def start(self, key, n_bytes):
        """The first bytes of a chunk that is there."""
        if self._archive:
            with self._archive.open(self._top + key) as file:
                return file.read(n_bytes)
        with open(os.path.join(self.filename, key), "rb", buffering=0) as file:
            return file.read(n_bytes)

    def opened(self, group, name):
        """A part of a group of zarr."""
        part = _decoded_by(ZARR, group, name)
        is_number = hasattr(part, "dtype") and part.dtype.kind in "biuf" and part.dtype.isnative
        return _decoded_by(ZARRS, group, name) if self._by_zarrs and is_number else part

    def _names(self):
        return _names(self._group)

    def _part(self, name):
        return _part(self, self.path(name), self.opened(self._group, name))


class StoreGroup(Group):
    """A group of a store."""

    def __init__(self, file, name, group):
        super().__init__(file, name, _attributes(group.attrs))
        self._group = group

    def _names(self):
        return _names(self._group)

    def _part(self, name):
        return _part(self.file, self.path(name), self.file.opened(self._group, name))


class StoreArray:
    """An array of a store, as h5py.Dataset; what of it is lost is told, see `check`."""

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
        compressor = type(array.compressors[-1]).__name__ if array.compressors else None
        self._is_blosc = compressor in ("Blosc", "BloscCodec") and not array.shards
        self.n_chunks = math.prod(-(-n // size) for n, size in zip(array.shape, self._stored, strict=True))
        self.is_text = array.dtype.kind in "OTU"
        self.dtype = h5py.string_dtype() if self.is_text else array.dtype
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        with readable(f"{self.file.filename}: {self.name.strip('/')}"):
            self.check()
            values = np.asarray(self._array[key])
        return values.astype(object) if self.is_text else values

    @cached_property
    def _sizes(self):
        """{key: bytes of a chunk, or a shard; None where it is not in the store}"""
        counts = [-(-n // chunk) for n, chunk in zip(self._array.shape, self._stored, strict=True)]
        prefix = self.name.lstrip("/")
        keys = (
            f"{prefix}/{self._array.metadata.encode_chunk_key(place)}"
            for place in itertools.product(*map(range, counts))
        )
        return {key: self.file.size(key) for key in keys}

    @cached_property
    def absent(self):
        """Keys of the chunks, or shards, that are not in the store."""
        return [key for key, size in self._sizes.items() if size is None]

    @cached_property
    def _truncated(self):
        """(key, bytes, bytes that it should have) of the first chunk, or shard, that was cut; else None."""
        for key, size in self._sizes.items():
            if size is not None and size < (wanted := self._least(key, size)):
                return key, size, wanted
        return None

    def _least(self, key, size):
        """Bytes that a chunk has at least; Blosc writes in its header how many it has."""
        if not self._is_blosc or size < BLOSC_HEADER:
            return BLOSC_HEADER if self._is_blosc else 1
        return int.from_bytes(self.file.start(key, BLOSC_HEADER)[-4:], "little")

    def check(self):
        """Raise InputError where values are lost and zarr would give numbers, or text, all the same.

        Of an empty shard it gives zeros, and of a chunk that was cut, Blosc what follows in memory.

        Chunks of nothing but zeros are left out by zarr itself. Among the numbers of a table these are
        usual: a column of one category has no chunk. They are lost where a category has no cell left. Among
        counts there are none: sparse ones hold no zeros, and of dense ones a chunk of zeros cannot be told
        from a lost one.
        """
        if self._truncated:
            key, size, wanted = self._truncated
            raise InputError(
                f"{self.file.filename}: {key} is truncated: {size} of at least {wanted} bytes; {ANEW}"
            )
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


def _zarrs_works():
    if _threads_lost:
        return False
    try:
        import zarrs  # noqa: F401  (for zarr, which finds it by its name)
    except ImportError:
        return False
    return True


def _decoded_by(decoder, group, name):
    """A part of a group of zarr, whatever decoder a person's own settings name."""
    import zarr

    with warnings.catch_warnings(), zarr.config.set({"codec_pipeline.path": decoder}):
        warnings.simplefilter("ignore")  # that zarrs leaves a codec to zarr
        return group[name]


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


def _archive(path):
    try:
        return zipfile.ZipFile(path)
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
