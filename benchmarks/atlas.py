"""Data of the benchmarks: simulated plates with Tahoe-100M's lines and drugs, packed, labelled, weighed.

Made once under data/bench by the pipeline itself, a folder an atlas; delete that folder afterwards.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARY = REPOSITORY / "workflow" / "scripts"
DATA = REPOSITORY / "data" / "bench"
sys.path.insert(0, str(LIBRARY))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for both sides, as the pipeline sets it

WIDE, NARROW = 62_710, 2_000  # genes
TRAIN_PLATES, TEST_PLATES = [1, 4, 7, 10, 13], [14]  # together they have every drug
CELLS_PER_PLATE = 5_000


@dataclass
class Atlas:
    """One simulated atlas: where its plates are, the config it was made with, labels and weights."""

    folder: Path
    config: dict
    train: list  # packed plates
    test: list
    originals: list  # the train plates as published
    original_test: list
    classes: dict

    def labels(self, split):
        from cellshuffle.files import load_npy

        return load_npy(self.folder / f"results/bench/labels/{split}.npy")

    def weights(self):
        from cellshuffle.files import load_npy

        return load_npy(self.folder / "results/bench/weights/cells.npy")

    @property
    def strategies(self):
        return self.config["strategies"]


def bench_config(genes, cells_per_plate=CELLS_PER_PLATE):
    """The demo's config, with the genes, lines and drugs of Tahoe-100M and fewer plates."""
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    sizes = {"cells_per_plate": cells_per_plate, "genes": genes, "cell_lines": 50, "drugs": 380}
    config["run"] = "bench"
    config["atlas"] |= {
        "dir": "plates",
        "packed_dir": "packed",
        "train_plates": TRAIN_PLATES,
        "test_plates": TEST_PLATES,
        "simulate": sizes | {"seed": 0},
    }
    for task in config["tasks"].values():
        if "lookup" in task:
            task["lookup"]["table"] = "plates/drug_metadata.csv"
    config["training"] |= {"seeds": [0], "epochs": 1, "threads": os.cpu_count()}
    return config


def snakemake(folder, config, *targets, cores=None):
    """Run the pipeline in `folder`; its output is shown only when it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--directory", folder, "--configfile", path, "--cores", cores or os.cpu_count()]
    done = subprocess.run(
        [*map(str, command), "--", *targets],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nsnakemake failed in {folder}")


def make_atlas(genes, cells_per_plate=CELLS_PER_PLATE):
    """The Atlas of so many genes, simulated, packed, encoded and weighed where it is not there yet."""
    folder, config = DATA / f"{genes}_genes", bench_config(genes, cells_per_plate)
    if cells_per_plate != CELLS_PER_PLATE:
        folder = folder.with_name(f"{folder.name}_{cells_per_plate}_cells")
    results = ["results/bench/labels/train.npy", "results/bench/weights/cells.npy"]
    if not all((folder / name).exists() for name in results):
        print(f"making data/bench/{folder.name} ...", flush=True)
        snakemake(folder, config, *results)
    name = config["atlas"]["plate_file"]
    return Atlas(
        folder,
        config,
        [folder / f"packed/plate{plate}.h5ad" for plate in TRAIN_PLATES],
        [folder / f"packed/plate{plate}.h5ad" for plate in TEST_PLATES],
        [folder / "plates" / name.format(plate=plate) for plate in TRAIN_PLATES],
        [folder / "plates" / name.format(plate=plate) for plate in TEST_PLATES],
        json.loads((folder / "results/bench/labels/classes.json").read_text()),
    )
