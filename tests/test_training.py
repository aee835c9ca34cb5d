"""The whole training, by one process or two, takes the steps of plain torch over the global batches."""

import hashlib
import json
import os

import numpy as np
import torch
from cellshuffle.files import read_json
from cellshuffle.loading import Loading, epoch_batches
from cellshuffle.model import heads, initial_parameters
from cellshuffle.plates import Plates
from cellshuffle.strategies import make_sampler
from conftest import SMALL, merged, snakemake, training_files
from torch.nn.functional import cross_entropy


def test_one_process_equals_plain_torch(small_run):
    check(small_run, small_run / "results/small", world_size=1)


def test_two_processes_equal_plain_torch(small_run, tmp_path):
    config = merged(SMALL, {"atlas": {"dir": str(small_run / "data/small"), "simulate": ...}})
    config["tasks"]["moa_fine"]["lookup"]["table"] = str(small_run / "data/small/drug_metadata.csv")
    config = merged(config, {"training": {"world_size": 2}})
    snakemake(tmp_path, config, *training_files(["block_shuffling"], [0]))
    check(small_run, tmp_path / "results/small", world_size=2)


def test_two_nodes_equal_plain_torch(small_run, tmp_path, monkeypatch):
    """Two torchruns that meet over the network, as srun starts them, one a node; here both on this one."""
    srun = tmp_path / "bin/srun"
    srun.parent.mkdir()
    srun.write_text(
        "#!/bin/bash\n"
        "nodes=0; while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && nodes=${1#*=}; shift; done\n"
        'for ((k = 0; k < nodes; k++)); do "$@" & done\n'
        "while ((nodes-- > 0)); do wait -n || exit 1; done\n"
    )
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}:{os.environ['PATH']}")
    config = merged(SMALL, {"atlas": {"dir": str(small_run / "data/small"), "simulate": ...}})
    config["tasks"]["moa_fine"]["lookup"]["table"] = str(small_run / "data/small/drug_metadata.csv")
    config = merged(config, {"training": {"world_size": 2, "nodes": 2}})
    snakemake(tmp_path, config, *training_files(["block_shuffling"], [0]))
    check(small_run, tmp_path / "results/small", world_size=2)


def check(small_run, run, world_size):
    """Compare the training in `run` with plain torch on the plates of `small_run`."""
    folder = run / "train/block_shuffling/seed0"
    result = json.loads((folder / "metrics.json").read_text())
    model = torch.load(folder / "model.pt", weights_only=True)
    weight, bias, digests, losses = by_hand(small_run / "results/small", world_size)
    assert result["order_sha256"] == digests
    torch.testing.assert_close(model["weight"], weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model["bias"], bias, rtol=1e-4, atol=1e-6)
    for task, loss in losses.items():
        np.testing.assert_allclose(result["scores"][task]["loss"], loss, rtol=1e-4)


def by_hand(run, world_size):
    """Parameters, order digests and test losses of plain torch over the ranks' joined batches."""
    tasks = heads(read_json(run / "labels/classes.json"))
    labels = {split: np.load(run / f"labels/{split}.npy") for split in ("train", "test")}
    plates = Plates([run / f"packed/plate{plate}.h5ad" for plate in SMALL["atlas"]["train_plates"]])
    weight, bias = (p.requires_grad_() for p in initial_parameters(plates.n_genes, tasks, seed=0))
    adam = torch.optim.Adam([weight, bias], lr=SMALL["training"]["learning_rate"])
    digests = []
    for epoch in range(2):
        ranks = []
        for rank in range(world_size):
            sampler = make_sampler(SMALL["strategies"]["block_shuffling"])
            loading = Loading(32, 4, seed=0, rank=rank, world_size=world_size)
            batches = epoch_batches(plates, labels["train"], sampler, loading, epoch)
            ranks.append([batch.cells for batch in batches])
        seen = np.sort(np.concatenate([cells for batches in ranks for cells in batches]))
        np.testing.assert_array_equal(seen, np.arange(1200))  # every cell exactly once an epoch
        each = [hashlib.sha256(np.concatenate(batches).tobytes()).hexdigest() for batches in ranks]
        joined = hashlib.sha256("".join(each).encode()).hexdigest()
        digests.append(each[0] if world_size == 1 else joined)
        for step in range(max(map(len, ranks))):
            cells = [batches[step] for batches in ranks if step < len(batches)]
            cells = np.sort(np.concatenate(cells))
            logits = torch.from_numpy(dense(plates, cells)) @ weight + bias
            label = torch.from_numpy(labels["train"][cells].astype(np.int64))
            loss = sum(
                cross_entropy(logits[:, head.columns], label[:, k]) for k, head in enumerate(tasks)
            )
            adam.zero_grad()
            loss.backward()
            adam.step()
    test = Plates([run / "packed/plate14.h5ad"])
    logits = (torch.from_numpy(dense(test, np.arange(len(test)))) @ weight + bias).detach()
    truth = torch.from_numpy(labels["test"].astype(np.int64))
    losses = {
        head.task: cross_entropy(logits[:, head.columns], truth[:, k]).item()
        for k, head in enumerate(tasks)
    }
    return weight.detach(), bias.detach(), digests, losses


def dense(plates, cells):
    rows = plates[cells]
    matrix = np.zeros((len(cells), plates.n_genes), np.float32)
    matrix[np.repeat(np.arange(len(cells)), np.diff(rows.indptr)), rows.indices] = rows.data
    return matrix
