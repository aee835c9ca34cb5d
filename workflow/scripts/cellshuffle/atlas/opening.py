"""A plate in whichever form it comes: an h5ad, a zarr store, Parquet files."""

import os

import h5py

from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.atlas.parquet import Cells, data_files
from cellshuffle.atlas.zarr_store import Store, is_store
from cellshuffle.errors import InputError


def open_plate(path, packing=False):
    """Open a plate for reading; InputError says why it cannot be. packing: see zarr_store.Store.

    What is given has the parts of anndata: an h5py.File of an h5ad, a File (tree.py) of other forms.
    """
    if data_files(path) and os.path.exists(path):
        return Cells(path)
    if is_store(path) and os.path.lexists(path):
        return Store(path, packing)
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder, but neither a zarr store nor one of Parquet files")
    return open_h5ad(path)


def is_h5ad(file):
    """Whether an open plate is an h5ad, whose cells can be read in any order without packing it."""
    return isinstance(file, h5py.File)
