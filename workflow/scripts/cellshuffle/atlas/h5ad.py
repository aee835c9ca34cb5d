"""An open h5ad file: where matrix, genes and row names lie in it, in every encoding of anndata."""

import os
from contextlib import contextmanager

import h5py
import numpy as np

from cellshuffle.errors import InputError


def open_h5ad(path):
    """Open an h5ad file for reading; InputError says why it cannot be."""
    if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe would wait for ever
        raise InputError(f"{path}: not a file, so not an h5ad file")
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such plate") from None
    except OSError as error:
        reason = "truncated" if "truncated" in str(error) else "not a readable HDF5 file"
        raise InputError(f"{path}: {reason}, so not an h5ad file ({_brief(error)})") from None
    return file


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


def member(file, name):
    """`file[name]`, refusing what leads out of the file; InputError when it does not exist."""
    element = file
    for part in name.strip("/").split("/"):
        link = element.get(part, getlink=True) if isinstance(element, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{file.file.filename}: {name} is a link to another file, which is not followed")
        if link is None or part not in element:
            members = ", ".join(element) if isinstance(element, h5py.Group) else "no members"
            raise InputError(f"{file.file.filename}: has no {name} ({element.name} has: {members})")
        element = element[part]
        if isinstance(element, h5py.Dataset) and (element.external or element.is_virtual):
            raise InputError(f"{file.file.filename}: {name} is stored in another file, which is not followed")
    return element


def attribute(element, name, default=None):
    """An attribute of an HDF5 object; text may be stored as bytes of a fixed length."""
    value = element.attrs.get(name, default)
    return value.decode() if isinstance(value, bytes) else value


def values_of(array):
    """The values of an array that may be nullable, that is a group of values and mask."""
    return member(array, "values") if isinstance(array, h5py.Group) else array


def index_of(table):
    """The dataset of the row names of an obs or var group."""
    return values_of(member(table, attribute(table, "_index", "_index")))


def matrix_name(file, layer):
    """Where a matrix lies: `X` (layer None), `raw/X` (layer "raw") or `layers/<layer>`."""
    return {None: "X", "raw": _of_raw(file, "X")}.get(layer, f"layers/{layer}")


def var_name(file, layer):
    """Where the genes of a matrix lie: `var`, or `raw/var` for the raw matrix."""
    return _of_raw(file, "var") if layer == "raw" else "var"


def _of_raw(file, name):
    return f"raw.{name}" if "raw.X" in file else f"raw/{name}"  # a dot before anndata 0.7


def gene_names(file, layer=None):
    """(n_genes,) str array: the index of var (of raw/var for the raw matrix)."""
    var = member(file, var_name(file, layer))
    if isinstance(var, h5py.Dataset):  # a table, as anndata wrote before 0.7
        return np.char.decode(var["index"].astype(bytes), "utf-8")
    return index_of(var).asstr()[:].astype(str)


def matrix_format(matrix):
    """(format, (n_cells, n_genes)): format is "csr", "csc" or "dense"; new and old encodings."""
    if isinstance(matrix, h5py.Dataset):
        if matrix.ndim != 2:
            raise InputError(f"{matrix.file.filename}: {matrix.name} is not a matrix of cells by genes")
        return "dense", matrix.shape
    encoding = attribute(matrix, "encoding-type") or attribute(matrix, "h5sparse_format")
    shape = matrix.attrs.get("shape", matrix.attrs.get("h5sparse_shape", ()))
    name = str(encoding)[:3]
    if name not in ("csr", "csc") or len(shape) != 2:
        raise InputError(f"{matrix.file.filename}: {matrix.name} is neither CSR, CSC nor dense")
    return name, (int(shape[0]), int(shape[1]))
