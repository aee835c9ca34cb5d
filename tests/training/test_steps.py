"""The whole training, by one process or two, takes the steps of plain torch over the global batches."""

import os

import pytest
from independent import equals_plain_torch
from runs import SMALL, on_existing_atlas, snakemake, training_files

BLOCKS = SMALL["strategies"]["block_shuffling"]


def test_one_process_equals_plain_torch(small_run):
    equals_plain_torch(small_run / "results/small", small_run / "results/small", BLOCKS)


@pytest.mark.parametrize("transform", ["log1p", "cp10k_log1p"])
def test_transformed_counts_equal_plain_torch(small_run, tmp_path, transform):
    """With a batch size of the strategy's own as well."""
    own = {"sampler": "BlockShuffling", "block_size": 4, "batch_size": 48, "fetch_factor": 3}
    config = on_existing_atlas(small_run, atlas={"pack": False}, training={"transform": transform})
    config["strategies"] = {"own": own}
    snakemake(tmp_path, config, *training_files(["own"], [0]))
    atlas, run = small_run / "results/small", tmp_path / "results/small"
    equals_plain_torch(atlas, run, own, transform=transform, name="own")


def test_two_processes_equal_plain_torch(small_run, tmp_path):
    config = on_existing_atlas(small_run, training={"world_size": 2})
    snakemake(tmp_path, config, *training_files(["block_shuffling"], [0]))
    atlas, run = small_run / "results/small", tmp_path / "results/small"
    equals_plain_torch(atlas, run, BLOCKS, world_size=2)


def test_two_processes_with_hidden_layers_equal_plain_torch(small_run, tmp_path):
    config = on_existing_atlas(small_run, training={"world_size": 2, "model": {"hidden": [24, 10]}})
    snakemake(tmp_path, config, *training_files(["block_shuffling"], [0]))
    atlas, run = small_run / "results/small", tmp_path / "results/small"
    equals_plain_torch(atlas, run, BLOCKS, world_size=2, hidden=[24, 10])


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
    config = on_existing_atlas(small_run, training={"world_size": 2, "nodes": 2})
    snakemake(tmp_path, config, *training_files(["block_shuffling"], [0]))
    atlas, run = small_run / "results/small", tmp_path / "results/small"
    equals_plain_torch(atlas, run, BLOCKS, world_size=2)
