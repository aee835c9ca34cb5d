"""Two processes that train one model take the steps of one process that sees their global batches."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from cellshuffle.files import read_json
from cellshuffle.loading import Loading, epoch_batches
from cellshuffle.model import heads, initial_parameters
from cellshuffle.plates import Plates
from cellshuffle.strategies import make_sampler
from conftest import SMALL, merged, snakemake, training_files
from torch.nn.functional import cross_entropy


def test_two_processes_equal_one(small_run, tmp_path):
    config = merged(SMALL, {"atlas": {"dir": str(small_run / "data/small"), "simulate": ...}})
    config["tasks"]["moa_fine"]["lookup"]["table"] = str(small_run / "data/small/drug_metadata.csv")
    config = merged(config, {"training": {"world_size": 2}})
    files = training_files(["block_shuffling"], [0])
    snakemake(tmp_path, config, *files)
    result = json.loads((tmp_path / files[0]).read_text())
    assert result["n_train"] == 1200

    weight, bias, digests, scores = by_hand(small_run / "results/small")
    assert result["order_sha256"] == digests
    model = torch.load(Path(tmp_path / files[0]).with_name("model.pt"), weights_only=True)
    torch.testing.assert_close(model["weight"], weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model["bias"], bias, rtol=1e-4, atol=1e-6)
    for task, loss in scores.items():
        np.testing.assert_allclose(result["scores"][task]["loss"], loss, rtol=1e-4)


def by_hand(run):
    """Plain torch over the concatenated batches of both ranks: parameters, order digests, test losses."""
    classes = read_json(run / "labels/classes.json")
    tasks = heads(classes)
    labels = {split: np.load(run / f"labels/{split}.npy") for split in ("train", "test")}
    plates = Plates([run / f"packed/plate{plate}.h5ad" for plate in SMALL["atlas"]["train_plates"]])
    weight, bias = (p.requires_grad_() for p in initial_parameters(plates.n_genes, tasks, seed=0))
    adam = torch.optim.Adam([weight, bias], lr=SMALL["training"]["learning_rate"])
    digests = []
    for epoch in range(2):
        ranks = []
        for rank in range(2):
            sampler = make_sampler(SMALL["strategies"]["block_shuffling"])
            loading = Loading(32, 4, seed=0, rank=rank, world_size=2)
            ranks.append(
                [b.cells for b in epoch_batches(plates, labels["train"], sampler, loading, epoch)]
            )
        seen = np.sort(np.concatenate([cells for batches in ranks for cells in batches]))
        np.testing.assert_array_equal(seen, np.arange(1200))  # every cell exactly once an epoch
        both = [hashlib.sha256(np.concatenate(batches).tobytes()).hexdigest() for batches in ranks]
        digests.append(hashlib.sha256("".join(both).encode()).hexdigest())
        for step in range(max(map(len, ranks))):
            cells = np.concatenate([batches[step] for batches in ranks if step < len(batches)])
            logits = torch.from_numpy(dense(plates, np.sort(cells))) @ weight + bias
            label = torch.from_numpy(labels["train"][np.sort(cells)].astype(np.int64))
            loss = sum(
                cross_entropy(logits[:, h.columns], label[:, k]) for k, h in enumerate(tasks)
            )
            adam.zero_grad()
            loss.backward()
            adam.step()
    test = Plates([run / "packed/plate14.h5ad"])
    logits = (torch.from_numpy(dense(test, np.arange(len(test)))) @ weight + bias).detach()
    truth = torch.from_numpy(labels["test"].astype(np.int64))
    scores = {
        h.task: cross_entropy(logits[:, h.columns], truth[:, k]).item() for k, h in enumerate(tasks)
    }
    return weight.detach(), bias.detach(), digests, scores


def dense(plates, cells):
    rows = plates[cells]
    matrix = np.zeros((len(cells), plates.n_genes), np.float32)
    matrix[np.repeat(np.arange(len(cells)), np.diff(rows.indptr)), rows.indices] = rows.data
    return matrix
