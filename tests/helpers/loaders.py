"""A small atlas for loaders, and the order in which plain scDataset reads it."""

import anndata
import numpy as np
import scipy.sparse as sp
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.packing.pack import pack_plate
from independent import plain_order

SIZES, N_GENES = (70, 45, 60), 30
N_CELLS = sum(SIZES)
RANDOM = {"sampler": "BlockShuffling", "block_size": 1}
LOADING = {"batch_size": 8, "fetch_factor": 3, "seed": 4}
KINDS = {
    "drug": (["c", "a", "b"], "categorical"),
    "line": (["x", "y"], "string"),
    "pass_filter": (["full", "minimal"], "categorical"),
    "dose": ([5, 50], "integer"),
}


def make_atlas(folder):
    """(h5ad files: compressed CSR, dense, contiguous CSR; packed ones; the cells as one AnnData)."""
    files, packed, parts = [], [], []
    for number, (n_cells, form, compression) in enumerate(
        zip(SIZES, ("csr", "dense", "csr"), ("gzip", None, None), strict=True)
    ):
        counts, obs = counts_of(n_cells, N_GENES, number), obs_of(n_cells, number, **KINDS)
        if number == 2:
            obs.loc[obs["drug"] == "b", "drug"] = "a"  # not every plate has every value
        files.append(folder / f"{number}.h5ad")
        write_atlas(files[-1], counts, obs, form, compression=compression)
        packed.append(folder / f"packed/{number}.h5ad")
        pack_plate(files[-1], packed[-1])
        cells = anndata.read_h5ad(files[-1])
        cells.X = sp.csr_matrix(cells.X)
        parts.append(cells)
    return files, packed, anndata.concat(parts)


def expected_order(epoch, entry=RANDOM, n_cells=N_CELLS):
    return plain_order(entry, n_cells, None, *LOADING.values(), epoch + 1)[epoch]


def same(batches, expected):
    for ours, theirs in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(ours.cells, theirs)


def named(entry):
    return {"name" if key == "sampler" else key: value for key, value in entry.items()}


def expected_codes(cells, column):
    return np.unique(cells.obs[column].astype(str), return_inverse=True)[1]
