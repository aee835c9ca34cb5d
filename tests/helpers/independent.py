"""The same numbers by other means: plain scDataset, plain torch, scikit-learn."""

import hashlib
import json
import warnings

import numpy as np
import scdataset
import torch
from atlases import dense
from cellshuffle.atlas.plates import Plates
from cellshuffle.files import read_json
from cellshuffle.loading.minibatches import epoch_batches
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.training.model import heads_of, initial_parameters
from runs import SMALL
from sklearn import metrics
from torch.nn.functional import cross_entropy


def sklearn_scores(truth, prediction):
    """Accuracy, balanced accuracy, weighted F1, macro F1, macro F1 of the classes in truth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes predicted but absent from truth
        present = np.unique(truth)
        return [
            metrics.accuracy_score(truth, prediction),
            metrics.balanced_accuracy_score(truth, prediction),
            metrics.f1_score(truth, prediction, average="weighted", zero_division=0),
            metrics.f1_score(truth, prediction, average="macro", zero_division=0),
            metrics.f1_score(truth, prediction, average="macro", labels=present, zero_division=0),
        ]


def plain_order(entry, n_cells, weights, batch_size, fetch_factor, seed, epochs, labels=None):
    """What scDataset itself yields over numpy.arange(n_cells), epoch after epoch."""
    options = {k: v for k, v in entry.items() if k not in ("sampler", "task", "batch_size", "fetch_factor")}
    if entry["sampler"] == "ClassBalancedSampling":
        options["labels"] = labels
    if entry["sampler"] == "BlockWeightedSampling":
        options["weights"] = weights
    sampler = getattr(scdataset, entry["sampler"])(**options)
    dataset = scdataset.scDataset(
        np.arange(n_cells), sampler, batch_size=batch_size, fetch_factor=fetch_factor, seed=seed
    )
    return [list(dataset) for _ in range(epochs)]


def digest_of(batches):
    """SHA-256 of the order of cells in an epoch's batches."""
    return hashlib.sha256(np.concatenate(batches).astype("<i8").tobytes()).hexdigest()


def plain_transform(counts, transform):
    """A dense array of counts as the model gets it."""
    if transform == "cp10k_log1p":
        counts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4
    return (counts if transform == "none" else np.log1p(counts)).astype(np.float32)


def equals_plain_torch(atlas, run, entry, world_size=1, transform="none", name="block_shuffling", hidden=()):
    """Assert that a training in `run`, seed 0 of the strategy, is plain torch's.

    atlas: the results of the small run, whose packed plates hold the cells; entry: of the strategy.
    """
    folder = run / f"train/{name}/seed0"
    result = json.loads((folder / "metrics.json").read_text())
    model = torch.load(folder / "model.pt", weights_only=True)
    plain, digests, losses = _train(atlas, entry, world_size, transform, hidden)
    assert result["order_sha256"] == digests
    layers = [(model["weight"], model["bias"]), *model.get("layers", [])]
    assert_layers_equal(layers, plain, rtol=1e-4, atol=1e-6)
    for task, loss in losses.items():
        np.testing.assert_allclose(result["scores"][task]["loss"], loss, rtol=1e-4)


def plain_model(layers):
    """(weight (inputs, outputs), bias) of every layer as layers of torch, with ReLU in between."""
    model = torch.nn.Sequential()
    for weight, bias in layers:
        if len(model):
            model.append(torch.nn.ReLU())
        model.append(torch.nn.Linear(*weight.shape))
        with torch.no_grad():
            model[-1].weight.copy_(weight.T)
            model[-1].bias.copy_(bias)
    return model


def assert_layers_equal(layers, model, **tolerance):
    """Assert that (weight, bias) of every layer are those of a `plain_model`."""
    for (weight, bias), linear in zip(layers, model[::2], strict=True):
        torch.testing.assert_close(weight, linear.weight.detach().T, **tolerance)
        torch.testing.assert_close(bias, linear.bias.detach(), **tolerance)


def _train(run, entry, world_size, transform, hidden):
    """Model, order digests and test losses of plain torch over the ranks' joined batches."""
    tasks = heads_of(read_json(run / "labels/classes.json"))
    labels = {split: np.load(run / f"labels/{split}.npy") for split in ("train", "test")}
    plates = Plates([run / f"packed/plate{plate}.h5ad" for plate in SMALL["atlas"]["train_plates"]])
    model = plain_model(initial_parameters(plates.n_genes, tasks, 0, hidden))
    adam = torch.optim.Adam(model.parameters(), lr=SMALL["training"]["learning_rate"])
    digests = []
    for epoch in range(SMALL["training"]["epochs"]):
        ranks, digest = _batches(plates, labels["train"], entry, world_size, epoch)
        digests.append(digest)
        for step in range(max(map(len, ranks))):
            cells = [batches[step] for batches in ranks if step < len(batches)]
            cells = np.sort(np.concatenate(cells))
            logits = model(_counts(plates, cells, transform))
            loss = sum(_losses(logits, labels["train"][cells], tasks).values())
            adam.zero_grad()
            loss.backward()
            adam.step()
    test = Plates([run / "packed/plate14.h5ad"])
    logits = model(_counts(test, np.arange(len(test)), transform)).detach()
    losses = _losses(logits, labels["test"], tasks)
    return model, digests, {t: loss.item() for t, loss in losses.items()}


def _batches(plates, labels, entry, world_size, epoch):
    """([cells of every batch] a rank, the digest that the training records) of an epoch."""
    batch_size = entry.get("batch_size", SMALL["training"]["batch_size"])
    fetch_factor = entry.get("fetch_factor", SMALL["training"]["fetch_factor"])
    if world_size == 1:
        batches = plain_order(entry, len(plates), None, batch_size, fetch_factor, 0, epoch + 1)
        return [batches[epoch]], digest_of(batches[epoch])
    ranks = []
    for rank in range(world_size):
        batches = epoch_batches(
            plates, sampler_of(entry), labels, batch_size=batch_size, fetch_factor=fetch_factor,
            seed=0, epoch=epoch, rank=rank, world_size=world_size,
        )  # fmt: skip
        ranks.append([batch.cells for batch in batches])
    seen = np.sort(np.concatenate([cells for batches in ranks for cells in batches]))
    np.testing.assert_array_equal(seen, np.arange(len(plates)))  # every cell exactly once an epoch
    digests = [digest_of(batches) for batches in ranks]
    return ranks, hashlib.sha256("".join(digests).encode()).hexdigest()


def _counts(plates, cells, transform):
    return torch.from_numpy(plain_transform(dense(plates[cells], plates.n_genes), transform))


def _losses(logits, labels, tasks):
    truth = torch.from_numpy(labels.astype(np.int64))
    return {head.task: cross_entropy(logits[:, head.columns], truth[:, k]) for k, head in enumerate(tasks)}
