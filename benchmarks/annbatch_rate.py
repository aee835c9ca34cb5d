"""Cells/s of annbatch, printed: a process of its own, since annbatch needs Python 3.12 or newer.

`python benchmarks/annbatch_rate.py STORE CHUNK_SIZE shuffle|in-order [PLATE ...]`: batches of 64 from
a store, which is made, pre-shuffled by annbatch, from the plates if it is not there yet.
"""

import itertools
import sys

import anndata
import measure
import zarr
from annbatch import DatasetCollection, Loader

BATCH, FETCH, SECONDS = 64, 1024, 1.0


def load(group):
    """Counts, left on the disk, and the two labels that every loader here brings."""
    columns = anndata.io.read_elem(group["obs"])[["cell_line", "drug"]]
    return anndata.AnnData(X=anndata.io.sparse_dataset(group["X"]), obs=columns)


def main(store, chunk_size, order, *plates):
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    collection = DatasetCollection(store)
    if collection.is_empty:
        collection.add_adatas(adata_paths=plates, shuffle=True)
    loader = Loader(
        batch_size=BATCH,
        chunk_size=int(chunk_size),
        preload_nchunks=FETCH // int(chunk_size),
        shuffle=order == "shuffle",
    ).use_collection(collection, load_adata=load)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    print(measure.rate((batch["X"].shape[0] for batch in batches), SECONDS))


if __name__ == "__main__":
    main(*sys.argv[1:])
