"""Cached results: the few files of a run from which every table and figure can be made again.

python -m cellshuffle.analysis.reference results/demo results/reference config/config.yaml   copies them
"""

import shutil
import sys
from pathlib import Path

import yaml

from cellshuffle.errors import InputError

KEPT = [
    "metrics.csv",
    "comparison.csv",
    "comparison.md",
    "classes.csv",
    "linear/comparison.csv",
    "seen.csv",
    "tuning.csv",
    "tuned.csv",
    "weights/combinations.csv",
    "weights/classes.csv",
    "train/*/seed*/metrics.json",
    "train/*/seed*/history.csv",
    "train/*/seed*/predictions.npz",
    "diversity/*/*.csv",
    "rewrite.csv",
]


def copy_results(run, reference, config):
    """Replace `reference` by the files of `run` that drawing needs, and the configuration file."""
    run, reference = Path(run), Path(reference)
    files = [path for pattern in KEPT for path in sorted(run.glob(pattern))]
    if not (run / "comparison.csv").exists():
        raise InputError(f"{run}: holds no finished run (no comparison.csv); run it first")
    if reference.exists():
        shutil.rmtree(reference)
    for path in files:
        target = reference / path.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    settings = yaml.safe_load(Path(config).read_text(encoding="utf-8")) | {"run": reference.name}
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
    (reference / "config.yaml").write_text(text, encoding="utf-8")
    return files


if __name__ == "__main__":
    copied = copy_results(*sys.argv[1:4])
    size = sum(path.stat().st_size for path in copied) / 2**20
    print(f"{sys.argv[2]}: {len(copied)} files, {size:.1f} MiB")
