"""The format of packed plates: its number, the types and bytes of the arrays, where they lie in the file.

Snakemake compares FORMAT also where neither NumPy nor h5py is installed, so they are imported in functions.
"""

import shutil
from pathlib import Path

from cellshuffle.atlas.packed import FORMAT, FORMAT_ATTRIBUTE
from cellshuffle.errors import InputError

COUNT_TYPE = "uint16"  # of values that it can hold; others keep the type they come with
POINTER_TYPE = "int64"
PIECE = 2**16  # values that are compared while they are in the processor's cache
BYTES = {"uint16": 2, "int32": 4, "int64": 8}


def index_type(n_genes):
    """Type of the gene indices of a matrix of so many genes."""
    return "uint16" if n_genes <= 2**16 else "int32"


def packed_size(n_cells, n_values, n_genes, value_bytes=BYTES[COUNT_TYPE]):
    """Bytes of the arrays of packed plates: cells, stored values, genes, bytes of a value."""
    value = value_bytes + BYTES[index_type(n_genes)]
    return int(n_values * value + n_cells * BYTES[POINTER_TYPE])


def as_counts(values):
    """An array of numbers as COUNT_TYPE; None where that would change one of them."""
    import numpy as np

    counts = np.empty(values.shape, COUNT_TYPE)
    with np.errstate(invalid="ignore"):  # of values below 0 or too large, which differ then
        for low in range(0, len(values), PIECE):
            part = slice(low, low + PIECE)
            counts[part] = values[part]
            if not np.array_equal(counts[part], values[part]):
                return None
    return counts


def lay_out(path, indptr, types, n_genes):
    """Create an h5ad with a CSR X that has its row pointers; its other arrays are still to be written.

    types: of data and indices. Returns the byte offsets of these two in the file. Raises InputError when the
    disk is too small.
    """
    import h5py
    import numpy as np

    from cellshuffle.atlas.h5ad import open_hdf5
    from cellshuffle.files import claim

    folder = Path(path).parent
    need = int(indptr[-1]) * sum(np.dtype(t).itemsize for t in types) + indptr.nbytes
    free = shutil.disk_usage(folder).free
    if need > free:
        raise InputError(f"{folder}: packing needs {need / 1e9:.3g} GB, {free / 1e9:.3g} GB are free")
    with open_hdf5(path, "w", alignment_threshold=2**16, alignment_interval=2**12) as packed:
        packed.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        packed.attrs[FORMAT_ATTRIBUTE] = FORMAT
        x = packed.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([len(indptr) - 1, n_genes])
        x.create_dataset("indptr", data=indptr.astype(POINTER_TYPE, copy=False), track_times=False)
        offsets = []
        for name, dtype in zip(("data", "indices"), types, strict=True):
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            layout.set_obj_track_times(False)  # the same plate packs to the same bytes
            space = h5py.h5s.create_simple((int(indptr[-1]),))
            hdf5_type = h5py.h5t.py_create(np.dtype(dtype), logical=True)
            dataset = h5py.h5d.create(x.id, name.encode(), hdf5_type, space, layout)
            offsets.append(dataset.get_offset() or 0)
    claim(path)  # so that a full disk shows before any work
    return offsets
