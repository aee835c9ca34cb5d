"""Each part of the library needs only its own packages; training needs four."""

import json
import subprocess
import sys

import pytest
from runs import REPOSITORY, SMALL

# Packages that training does without: it needs numpy, h5py, torch and scdataset.
OTHERS = ["snakemake", "matplotlib", "sklearn", "pandas", "scipy", "anndata", "pyarrow", "tqdm"]
OTHERS += ["yaml", "jsonschema"]
BLOCK = """
import sys
from importlib.machinery import PathFinder
class Finder:
    def find_spec(name, path=None, target=None):
        return None if name.split(".")[0] in {blocked!r} else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
sys.path.insert(0, {library!r})
"""


def python(code, blocked):
    library = str(REPOSITORY / "workflow/scripts")
    code = BLOCK.format(blocked=blocked, library=library) + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_training_runs_with_four_packages_alone(small_run, tmp_path):
    run = small_run / "results/small"
    plates = {"train": [1, 4, 5, 13], "test": [14]}
    entry = SMALL["strategies"]["block_weighted"]
    names = ("epochs", "batch_size", "fetch_factor", "learning_rate")
    job = {
        "recipe": {"strategy": "block_weighted", "sampler": entry, "seed": 1}
        | {name: SMALL["training"][name] for name in names},
        "execution": {"prefetch": 0},
        "plates": {
            split: [f"{run}/packed/plate{plate}.h5ad" for plate in numbers]
            for split, numbers in plates.items()
        },
        "labels": {
            "train": f"{run}/labels/train.npy",
            "test": f"{run}/labels/test.npy",
            "classes": f"{run}/labels/classes.json",
        },
        "weights": f"{run}/weights/cells.npy",
        "outputs": {
            name: str(tmp_path / name)
            for name in ("metrics", "history", "predictions", "model", "checkpoint")
        },
    }
    code = "import json; from cellshuffle.training.job import run_job\n"
    code += f"run_job(json.loads({json.dumps(job)!r}))"
    done = python(code, OTHERS)
    assert done.returncode == 0, done.stderr
    expected = run / "train/block_weighted/seed1/metrics.json"
    assert (tmp_path / "metrics").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    "module",
    ["atlas.plates", "packing.pack", "labels.codes", "labels.weights", "simulation.counts"],
)
def test_data_rules_do_not_need_torch(module):
    blocked = ["torch", "scdataset", *(set(OTHERS) - {"tqdm"})]
    done = python(f"import cellshuffle.{module}", blocked)
    assert done.returncode == 0, done.stderr
