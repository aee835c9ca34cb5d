"""A small simulated atlas and its finished run, made once by the real workflow for all tests."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import yaml

# A busy machine may be slow; and what CI tests is the change, not the luck of the draw.
hypothesis.settings.register_profile("patient", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("patient")

REPOSITORY = Path(__file__).parents[1]
SMALL = {
    "run": "small",
    "atlas": {
        "dir": "data/small",
        "plate_file": "plate{plate}_filt_Vevo_Tahoe100M_WServicesFrom_ParseGigalab.h5ad",
        "train_plates": [1, 4, 5, 13],
        "test_plates": [14],
        "simulate": {"cells_per_plate": 300, "genes": 150, "cell_lines": 4, "drugs": 20, "seed": 0},
    },
    "tasks": {
        "cell_line": {"column": "cell_line"},
        "drug": {"column": "drug"},
        "moa_fine": {
            "column": "drug",
            "lookup": {
                "table": "data/small/drug_metadata.csv",
                "key": "drug",
                "value": "moa-fine",
                "extra": {"DMSO_TF": "vehicle control"},
            },
        },
    },
    "weights": {"balance": ["cell_line", "drug"], "min_count_baseline": 10},
    "strategies": {
        "streaming": {"sampler": "Streaming", "shuffle": False},
        "streaming_buffer": {"sampler": "Streaming", "shuffle": True},
        "block_shuffling": {"sampler": "BlockShuffling", "block_size": 4},
        "random_sampling": {"sampler": "BlockShuffling", "block_size": 1},
        "block_weighted": {"sampler": "BlockWeightedSampling", "block_size": 4},
        "true_weighted": {"sampler": "BlockWeightedSampling", "block_size": 1, "fetch_factor": 3},
    },
    "training": {
        "seeds": [0, 1],
        "epochs": 2,
        "batch_size": 32,
        "fetch_factor": 4,
        "learning_rate": 1.0e-3,
    },
}


def merged(config, changes):
    """A deep copy of `config` with nested `changes`; a value of ... removes its key."""
    result = copy.deepcopy(config)
    for key, value in changes.items():
        if value is ...:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def snakemake(folder, config, *arguments, check=True, cores=2):
    """Run the workflow in `folder` with `config` (a dict, or YAML); the output is in .stdout."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not isinstance(config, str):
        config = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(config)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--configfile", "config.yaml", "--cores", str(cores), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    if check:
        assert done.returncode == 0, done.stdout
    return done


def training_files(strategies, seeds, run="small"):
    """The metrics.json of every training: what to ask the workflow for when figures do not matter."""
    return [
        f"results/{run}/train/{name}/seed{seed}/metrics.json"
        for name in strategies
        for seed in seeds
    ]


@pytest.fixture(scope="session")
def small_config():
    return SMALL


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Folder in which the small configuration has run to its tables (no figures)."""
    folder = tmp_path_factory.mktemp("small")
    snakemake(folder, SMALL, "results/small/metrics.csv", "results/small/weights/cells.npy")
    return folder
