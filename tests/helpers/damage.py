"""What can be wrong with a file."""

import os

import anndata
import h5py
import numpy as np


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def edit(path, change):
    """Apply `change` to the open HDF5 file."""
    with h5py.File(path, "r+") as file:
        change(file)


def rewrite(path, **changes):
    """Write a plate again with other X, obs or var: each a function of the old one."""
    cells = anndata.read_h5ad(path)
    parts = {"X": cells.X, "obs": cells.obs, "var": cells.var}
    parts |= {name: change(parts[name]) for name, change in changes.items()}
    anndata.AnnData(**parts).write_h5ad(path)


def replace(file, name, values):
    del file[name]
    file[name] = values


def value(number):
    """A function that puts `number` in place of the first count."""

    def change(counts):
        counts = counts.copy()
        counts.data[0] = number
        return counts

    return change


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def link_out(file, name):
    """Put a link to another file in place of a dataset."""
    del file[name]
    file[name] = h5py.ExternalLink("plate2.h5ad", f"/{name}")


def store_elsewhere(file):
    del file["X/data"]
    file["X"].create_dataset("data", (5,), np.float32, external=[("/etc/hostname", 0, 20)])


def claim_cells(file):
    file["X"].attrs["shape"] = np.array([10**15, file["X"].attrs["shape"][1]])


def claim_values(file):
    for name in ("data", "indices"):
        del file["X"][name]
        file["X"].create_dataset(name, (10**12,), np.int32, chunks=(10**6,))
    file["X/indptr"][-1:] = 10**12 if file["X/indptr"].dtype.itemsize == 8 else 2**31 - 1


def unsort(file):
    pointers = file["X/indptr"][:]
    pointers[5] = pointers[9]
    file["X/indptr"][:] = pointers


def beyond(file):
    """Name a gene, the 38th, of 30."""
    file["X/indices"][3] = 37


def unlink(path):
    path.unlink()
    return path
