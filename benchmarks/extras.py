"""Other people's loaders, compared when they are installed: see requirements-bench.txt.

Each makes its own copy of the training plates under data/bench once; batches of 64 stay sparse.
"""

import importlib.util
import itertools
import os

import measure
from reference import BATCH

SECONDS = 1.0


def loaders(data):
    """{loader: {strategy: function that returns cells/s}} of the loaders that are installed."""
    found = {}
    for name, package, make in (
        ("BioNeMo-SCDL", "bionemo", scdl),
        ("annbatch", "annbatch", annbatch),
    ):
        if importlib.util.find_spec(package):
            found |= make(data)
        else:
            print(f"{name} is not installed: left out (pip install -r requirements-bench.txt)")
    return found


def scdl(data):
    """BioNeMo-SCDL: memory-mapped, in order and random, in one process and with a worker a core."""
    from bionemo.scdl.io.single_cell_collection import SingleCellCollection
    from bionemo.scdl.io.single_cell_memmap_dataset import SingleCellMemMapDataset
    from bionemo.scdl.util.torch_dataloader_utils import collate_sparse_matrix_batch
    from torch.utils.data import DataLoader

    store = data.folder / "scdl"
    if not store.exists():
        parts = SingleCellCollection(str(data.folder / "scdl-parts"))
        for path in data.originals:
            parts.load_h5ad(str(path), use_X_not_raw=True)
        parts.flatten(str(store), destroy_on_copy=True)
    dataset = SingleCellMemMapDataset(str(store))

    def run(shuffle, workers):
        loader = DataLoader(
            dataset,
            batch_size=BATCH,
            shuffle=shuffle,
            num_workers=workers,
            collate_fn=collate_sparse_matrix_batch,
        )
        return measure.rate((len(batch) for batch in loader), SECONDS)

    def both(workers):
        orders = (("streaming", False), ("random_sampling", True))
        return {name: lambda shuffle=shuffle: run(shuffle, workers) for name, shuffle in orders}

    cores = os.cpu_count()
    return {"BioNeMo-SCDL": both(0), f"BioNeMo-SCDL, {cores} workers": both(cores)}


def annbatch(data):
    """annbatch over a store pre-shuffled by it: in the store's order, in chunks of 32 and cell by cell."""
    import anndata
    import zarr
    from annbatch import DatasetCollection, Loader

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    store = data.folder / "annbatch.zarr"
    collection = DatasetCollection(str(store))
    if collection.is_empty:
        collection.add_adatas(adata_paths=[str(path) for path in data.originals], shuffle=True)

    def load(group):
        columns = anndata.io.read_elem(group["obs"])[["cell_line", "drug"]]
        return anndata.AnnData(X=anndata.io.sparse_dataset(group["X"]), obs=columns)

    def run(shuffle, chunk):
        loader = Loader(
            batch_size=BATCH, chunk_size=chunk, preload_nchunks=BATCH * 16 // chunk, shuffle=shuffle
        ).use_collection(collection, load_adata=load)
        passes = itertools.chain.from_iterable(itertools.repeat(loader))
        return measure.rate((batch["X"].shape[0] for batch in passes), SECONDS)

    return {
        "annbatch, order of its store": {"streaming": lambda: run(False, 32)},
        "annbatch, chunks of 32": {"block_shuffling": lambda: run(True, 32)},
        "annbatch": {"random_sampling": lambda: run(True, 1)},
    }
