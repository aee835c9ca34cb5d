"""The reference path: scDataset over AnnCollection, dense float32 batches, labels encoded per cell.

As scDataset's documentation shows it (`scdataset.transforms.adata_to_mindex`, a strategy, batches of
64, 16 batches a fetch), and four dense linear heads trained with plain Adam.
"""

from functools import partial

import anndata
import numpy as np
import torch
from anndata.experimental import AnnCollection
from scdataset import BlockShuffling, BlockWeightedSampling, Streaming, scDataset
from scdataset.transforms import adata_to_mindex

BATCH, FETCH = 64, 16
LOADING = {"batch_size": BATCH, "fetch_factor": FETCH}
SAMPLERS = {
    "Streaming": Streaming,
    "BlockShuffling": BlockShuffling,
    "BlockWeightedSampling": BlockWeightedSampling,
}


def collection(paths):
    """The plates, opened from disk, as one AnnCollection."""
    adatas = [anndata.read_h5ad(path, backed="r") for path in paths]
    return AnnCollection(adatas, join_vars="inner", join_obs="inner", index_unique="_")


def sampler_of(entry, weights):
    """scDataset's own strategy of a config entry."""
    options = {key: value for key, value in entry.items() if key != "sampler"}
    if entry["sampler"] == "BlockWeightedSampling":
        options["weights"] = weights
    return SAMPLERS[entry["sampler"]](**options)


def lookups(data):
    """{task: (obs column, {value of the column: code})} of an Atlas."""
    from cellshuffle.labels.lookup import read_lookup

    found = {}
    for task, entry in data.config["tasks"].items():
        code = {name: number for number, name in enumerate(data.classes[task])}
        if "lookup" in entry:
            lookup = entry["lookup"] | {"table": data.folder / entry["lookup"]["table"]}
            table = read_lookup(lookup)
            code = {value: code[name] for value, name in table.items() if name in code}
        found[task] = entry["column"], code
    return found


def batches(plates, entry, weights, encoders, seed=0):
    """An epoch of (counts (batch, n_genes) float32, codes (batch, n_tasks) int64)."""
    columns = sorted({column for column, _ in encoders.values()})

    def encode(batch):
        codes = [[code[value] for value in batch[column]] for column, code in encoders.values()]
        return torch.from_numpy(batch["X"]).float(), torch.tensor(codes).T

    return scDataset(
        plates,
        sampler_of(entry, weights),
        batch_size=BATCH,
        fetch_factor=FETCH,
        fetch_transform=partial(adata_to_mindex, columns=columns),
        batch_transform=encode,
        seed=seed,
    )


class DenseHeads(torch.nn.Module):
    """A dense nn.Linear a task."""

    def __init__(self, n_genes, classes):
        super().__init__()
        self.heads = torch.nn.ModuleList(torch.nn.Linear(n_genes, len(names)) for names in classes.values())

    def forward(self, counts):
        return [head(counts) for head in self.heads]


def train_steps(model, optimiser, epoch):
    """Yield the size of every batch, after its step: summed cross-entropies, plain Adam."""
    for counts, codes in epoch:
        loss = sum(
            torch.nn.functional.cross_entropy(logits, codes[:, task])
            for task, logits in enumerate(model(counts))
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield len(codes)


@torch.no_grad()
def predict(model, epoch):
    """(n_cells, n_tasks) codes."""
    found = [torch.stack([logits.argmax(dim=1) for logits in model(counts)], dim=1) for counts, _ in epoch]
    return np.concatenate([codes.numpy() for codes in found])
