"""An open h5ad file: what lies where in it, in every encoding of anndata; nothing outside it is followed."""

import os
import posixpath
import stat
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np

from cellshuffle.atlas.tree import LISTS, is_array
from cellshuffle.errors import InputError
from cellshuffle.files import HDF5, content_of

MAX_LINKS = 16  # soft links that lead to one another
# Filters of HDF5 that h5py does not bring and hdf5plugin does, by their registered numbers.
FILTERS = {
    307: "bzip2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP",
    32015: "Zstandard", 32017: "SZ", 32018: "FCIDECOMP", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip
ANEW = "read it with anndata where it was made, and write it as one file with `write_h5ad`"


def h5ad_files(folder, pattern="*.h5ad"):
    """Sorted paths of the h5ad files of a folder that match a pattern, without hidden ones.

    Hidden are files half-written, and the `._plate1.h5ad` that macOS puts beside `plate1.h5ad`.
    """
    return sorted(path for path in Path(folder).glob(pattern) if not path.name.startswith("."))


def open_hdf5(path, mode="r", **options):
    """An h5py.File without a lock, which not every file system has and another program may hold.

    What is written goes to files of other names until it is complete (files.py), so it needs none either.
    """
    try:
        return h5py.File(path, mode, locking=False, **options)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, mode, **options)  # as anndata has opened it, in this process


def open_h5ad(path):
    """Open an h5ad file for reading; InputError says why it cannot be."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            folder = ", perhaps a zarr store; it is read once packed" if os.path.isdir(path) else ""
            raise InputError(f"{path}: is not a file{folder}")
        return open_hdf5(path)
    except OSError as error:
        raise InputError(f"{path}: {_reason(path, error)}") from None


def _reason(path, error):
    """Why a plate cannot be opened, and what to do."""
    if not os.path.exists(path):
        link = f" (it is a link to {os.readlink(path)})" if os.path.islink(path) else ""
        return f"there is no such plate{link}"
    if not os.access(path, os.R_OK):
        return f"may not be read, its permissions are {oct(os.stat(path).st_mode)[-3:]}"
    if os.path.getsize(path) == 0:
        return "is an empty file, so not an h5ad file"
    with open(path, "rb") as file:
        content = content_of(file)
    if content and content != HDF5:
        return f"is not an h5ad file but {content}"
    text = str(error)
    if "truncated" in text:
        return f"truncated, so not an h5ad file; copy or download it again ({_brief(error)})"
    if "already open for" in text:
        return (
            "is being written by another program, or one ended while it wrote; close it there, or run "
            f"`h5clear --status {path}`"
        )
    return f"not a readable HDF5 file, so not an h5ad file ({_brief(error)})"


@contextmanager
def readable(path):
    """Whatever h5py raises at a file that is damaged, or encoded as nobody expected, as InputError."""
    try:
        yield
    except (
        OSError,
        KeyError,
        ValueError,
        TypeError,
        RuntimeError,
        IndexError,
        AttributeError,
    ) as e:
        raise InputError(f"{path}: cannot be read: {_brief(e)}") from e


def _brief(error):
    return next(iter(str(error).splitlines()), type(error).__name__)


def member(group, name):
    """`group[name]`; InputError where `find` raises one, and when it does not exist."""
    element = find(group, name)
    if element is None:
        raise InputError(f"{group.file.filename}: has no {name} ({group.name} has: {', '.join(group)})")
    return element


def find(group, name, links=MAX_LINKS):
    """`group[name]`, None where it does not exist; InputError for what leads out of the file.

    Every link on the way is looked at before it is followed: a soft link may lead through an external one.
    Raises InputError also for a dataset whose compression filter is missing.
    """
    if not isinstance(group, h5py.Group):
        return group.find(name)
    element = group.file if name.startswith("/") else group
    for part in name.split("/"):
        if part in ("", "."):
            continue
        link = element.get(part, getlink=True) if isinstance(element, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{_path(group, name)} is a link to another file, which is not followed; {ANEW}")
        if isinstance(link, h5py.SoftLink):
            if links == 0:
                raise InputError(f"{_path(group, name)} is a link that leads to nothing but other links")
            element = find(element, link.path, links - 1)
        else:
            element = link and element[part]
        if element is None:
            return None
    return checked(element) if isinstance(element, h5py.Dataset) else element


def _path(group, name):
    return f"{group.file.filename}: {posixpath.join(group.name, name).strip('/')}"


def checked(dataset):
    """The dataset; InputError when its values lie in another file, or need a filter that is missing."""
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{_path(dataset, '')} is stored in another file, which is not followed; {ANEW}")
    layout = dataset.id.get_create_plist()
    for code, _, _, name in map(layout.get_filter, range(layout.get_nfilters())):
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):  # where a person has installed it; the import registers its filters
                import_module("hdf5plugin")
        if not h5py.h5z.filter_avail(code):
            words = FILTERS.get(code) or name.decode(errors="replace") or "an unknown one"
            raise InputError(
                f"{_path(dataset, '')} is compressed with a filter that is not installed here, {words} "
                f"(HDF5 number {code}); `pip install hdf5plugin` beside cellshuffle, or write the file "
                'anew with `write_h5ad(path, compression="gzip")`'
            )
    return dataset


def unwrapped(value):
    """The value of an attribute; R may write one value as an array of one."""
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def attribute(element, name, default=None):
    """An attribute of an HDF5 object; text may be stored as bytes of a fixed length."""
    value = unwrapped(element.attrs.get(name, default))
    return value.decode() if isinstance(value, bytes) else value


def in_obsm(layer):
    """Whether a layer is `obsm/<name>`, whose columns need not be all genes of var."""
    return layer is not None and layer.startswith("obsm/")


def matrix_name(file, layer):
    """Where a matrix lies: `X` (layer None), `raw/X` (layer "raw"), `obsm/<name>` or `layers/<layer>`."""
    if in_obsm(layer):
        return layer
    return {None: "X", "raw": _of_raw(file, "X")}.get(layer, f"layers/{layer}")


def var_name(file, layer):
    """Where the genes of a matrix lie: `var`, or `raw/var` for the raw matrix."""
    return _of_raw(file, "var") if layer == "raw" else "var"


def _of_raw(file, name):
    return f"raw.{name}" if "raw.X" in file else f"raw/{name}"  # a dot before anndata 0.7


def matrix_layers(file):
    """The layers of a file, as matrix_of takes them: None for X, "raw", and names of layers."""
    layers = [None, "raw", *(find(file, "layers") or [])]
    return [layer for layer in layers if not _is_null(find(file, matrix_name(file, layer)))]


def _is_null(matrix):
    """Whether there is no matrix; anndata writes an X that is None as an empty dataset."""
    return matrix is None or (is_array(matrix) and matrix.shape is None)


def matrix_of(file, layer):
    """A matrix of the file, a dataset or group; InputError that names the others when there is none."""
    name = matrix_name(file, layer)
    matrix = find(file, name)
    if not _is_null(matrix):
        return matrix
    others = [other or "null (X)" for other in matrix_layers(file)]
    if in_obsm(layer):
        others = [f"obsm/{name}" for name in find(file, "obsm") or []] + others
    advice = f"set atlas: layer to {' or '.join(others)}" if others else f"it has: {', '.join(file)}"
    raise InputError(
        f"{file.filename}: {f'has no {name}' if matrix is None else f'{name} is empty'}; {advice}"
    )


def matrix_format(matrix):
    """(format, (n_cells, n_genes)): format is "csr", "csc" or "dense"; new and old encodings.

    Of Parquet files it is "lists".
    """
    if is_array(matrix):
        if matrix.ndim != 2:
            raise InputError(f"{matrix.file.filename}: {matrix.name} is not a matrix of cells by genes")
        return "dense", matrix.shape
    encoding = attribute(matrix, "encoding-type") or attribute(matrix, "h5sparse_format")
    shape = matrix.attrs.get("shape", matrix.attrs.get("h5sparse_shape", ()))
    name = "lists" if encoding == LISTS else str(encoding)[:3]
    if name not in ("csr", "csc", "lists") or len(shape) != 2:
        raise InputError(f"{matrix.file.filename}: {matrix.name} is neither CSR, CSC nor dense")
    return name, (int(shape[0]), int(shape[1]))
