"""The table labels/plates.csv: how many cells of each plate a run uses."""

import csv

from cellshuffle.files import readable_as


def train_sizes(path):
    """Cells of every train plate that labels/plates.csv lists, in order; InputError where it is none."""
    with readable_as("cells by plate", path), open(path, encoding="utf-8", newline="") as file:
        return [int(row["n_cells"]) for row in csv.DictReader(file) if row["split"] == "train"]
