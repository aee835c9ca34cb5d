"""Configurations, the real workflow run on them, clones of the repository."""

import contextlib
import copy
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import forks
import pytest
import yaml
from cellshuffle.configuration.schema import load_schema
from cellshuffle.loading.samplers import strategy_schemas, sweep_prefixes

pytest.register_assert_rewrite("documentation", "independent")
REPOSITORY = Path(__file__).parents[2]
LIBRARY = REPOSITORY / "workflow/scripts"  # where Python finds the package
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

SCHEMA = load_schema(REPOSITORY / "workflow/schemas/config.schema.yaml", strategy_schemas(), sweep_prefixes())

# Of the three sound plates of `sound_atlas`.
SOUND = {
    "run": "bad",
    "atlas": {
        "dir": "atlas",
        "plate_file": "plate{plate}.h5ad",
        "train_plates": [1, 2],
        "test_plates": [3],
    },
    "tasks": {
        "drug": {"column": "drug"},
        "moa": {
            "column": "drug",
            "lookup": {"table": "atlas/moa.csv", "key": "drug", "value": "moa"},
        },
    },
    "weights": {"balance": ["drug", "line"]},
    "strategies": {"streaming": {"sampler": "Streaming"}},
    "training": {"seeds": [0], "epochs": 1},
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


def on_existing_atlas(small_run, **changes):
    """The small configuration with the plates of the finished run as published ones."""
    config = merged(SMALL, {"atlas": {"dir": str(small_run / "data/small"), "simulate": ...}})
    config["tasks"]["moa_fine"]["lookup"]["table"] = str(small_run / "data/small/drug_metadata.csv")
    return merged(config, changes)


def prepare(folder, config, *arguments, cores, name="config.yaml"):
    """Write `config` (a dict, or YAML) into `folder`; the arguments that run the workflow with it there."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if not isinstance(config, str):
        config = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (Path(folder) / name).write_text(config)
    options = ["--configfile", name, "--cores", str(cores), *arguments]
    return ["--snakefile", str(REPOSITORY / "Snakefile"), *options]


@functools.cache
def fork_server():
    """The process of this test worker that runs Snakemake in forks of itself, and its address."""
    address = f"{tempfile.mkdtemp()}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-I", forks.__file__, str(listener.fileno())],
            stdin=subprocess.PIPE,  # closed when the worker ends, which ends the process
            pass_fds=[listener.fileno()],
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    return process, address


def finished(arguments, folder, check=True):
    """Run Snakemake in a folder to its end: its .returncode, and all it printed, in .stdout."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output, open(os.devnull) as nothing:
        streams = [nothing.fileno(), output.fileno(), output.fileno()]
        code = forks.run(fork_server()[1], ["snakemake", *arguments], streams, folder=str(folder))
        output.seek(0)
        done = SimpleNamespace(returncode=code, stdout=output.read())
    if check:
        assert done.returncode == 0, done.stdout
    return done


def snakemake(folder, config, *arguments, check=True, cores=2):
    """Run the workflow in `folder` with `config` (a dict, or YAML); the output is in .stdout."""
    return finished(prepare(folder, config, *arguments, cores=cores), folder, check)


def snakemake_in(folder, *arguments, cores=1):
    """Run the workflow that lies in `folder` there, with its own configuration; the output."""
    return finished(["--cores", str(cores), *arguments], folder).stdout


def start(folder, config, *arguments, cores, name="config.yaml", output=subprocess.PIPE):
    """Start the workflow in a process group of its own."""
    arguments = prepare(folder, config, *arguments, cores=cores, name=name)
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def running_rules(group):
    """The rules whose scripts are being run by the processes of a group."""
    rules = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == group:
                command = (process / "cmdline").read_text()
                rules += re.findall(r"\.snakemake/scripts/tmp[^/]*?\.(\w+)\.py", command)
    return rules


def fails(words, *run, **options):
    """Assert that a run fails, with these words in what the user sees, and no traceback."""
    done = snakemake(*run, **options, check=False)
    assert done.returncode != 0, done.stdout
    for word in words:
        assert word in done.stdout, done.stdout
    assert "Traceback" not in done.stdout, done.stdout


def numbers(path):
    """The bytes of a result; of metrics.json without what says which recipe made it."""
    return re.sub(rb'"fingerprint": "\w+"', b"", Path(path).read_bytes())


def training_files(strategies, seeds, run="small"):
    """The metrics.json of every training: what to ask the workflow for when figures do not matter."""
    return [f"results/{run}/train/{name}/seed{seed}/metrics.json" for name in strategies for seed in seeds]


def copy_repository(folder):
    """Copy the files that git has, or would have, with today's modification times."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)


CACHED_TABLES = ["metrics.csv", "comparison.csv", "comparison.md", "classes.csv"]
