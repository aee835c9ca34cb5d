"""Class names, codes and weights as the run has stored them, read as carefully as a person's files."""

import numpy as np

from cellshuffle.errors import InputError
from cellshuffle.files import load_npy, read_json, readable_as

BLOCK = 2**22  # cells that are looked at together


def load_classes(path):
    """{task: class names} of classes.json; InputError where it holds anything else."""
    classes = read_json(path)
    with readable_as("class names by task", path):
        if not (isinstance(classes, dict) and classes):
            raise ValueError("it is no object with a task")
        for task, names in classes.items():
            if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
                raise ValueError(f"task {task} has no list of texts")
            if len(set(names)) < len(names):
                raise ValueError(f"task {task} has a class twice")
    return classes


def load_labels(path, classes, n_cells=None):
    """Memory map of (n_cells, n_tasks) codes in train.npy or test.npy.

    classes: {task: class names}; n_cells: how many there are to be, None: any number. InputError where a
    cell has no code of a class for every task.
    """
    labels = load_npy(path)
    if labels.dtype.kind not in "iu":
        raise InputError(f"{path}: holds {labels.dtype}, not whole numbers; delete it to make it again")
    if labels.ndim != 2 or labels.shape[1] != len(classes) or n_cells not in (None, len(labels)):
        cells = "" if n_cells is None else f"the plates have {n_cells} cells and "
        raise InputError(
            f"{path}: has the shape {labels.shape}, but {cells}the configuration has {len(classes)} tasks; "
            "delete it to make it again"
        )
    limits = np.array([len(names) for names in classes.values()])
    for low in range(0, len(labels), BLOCK):
        codes = labels[low : low + BLOCK]
        wrong = (codes >= limits) | (codes < 0)
        if wrong.any():
            cell, task = np.argwhere(wrong)[0]
            raise InputError(
                f"{path}: cell {low + cell} has code {codes[cell, task]} for task '{list(classes)[task]}', "
                f"which has {limits[task]} classes; delete it to make it again"
            )
    return labels


def load_weights(path, n_cells):
    """Memory map of the (n_cells,) weights in cells.npy; InputError unless all are numbers above 0."""
    weights = load_npy(path)
    if weights.dtype.kind != "f" or weights.shape != (n_cells,):
        raise InputError(
            f"{path}: has {weights.dtype} of the shape {weights.shape}, not {n_cells} real numbers, a cell "
            "each; delete it to make it again"
        )
    for low in range(0, n_cells, BLOCK):
        part = weights[low : low + BLOCK]
        wrong = np.flatnonzero(~(np.isfinite(part) & (part > 0)))
        if len(wrong):
            raise InputError(
                f"{path}: cell {low + wrong[0]} has the weight {part[wrong[0]]}, which is no number above 0; "
                "delete it to make it again"
            )
    return weights
