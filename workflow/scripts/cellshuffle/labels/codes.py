"""Every task's label of every cell, as codes into the sorted class names of the atlas."""

import numpy as np

from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError
from cellshuffle.labels.lookup import read_lookup


def plate_labels(paths, tasks, max_cells=None):
    """Per plate and task, the code of every cell and the label of every code.

    paths: h5ad files; tasks: the config's {task: {"column", "lookup"?}}; max_cells: only of the
    first so many cells of all plates together.
    Returns {task: [(codes (n_cells,), labels (n_values,) str), ...]}, a pair a plate.
    Raises InputError listing every label that no lookup table has and every missing value.
    """
    lookups = {
        task: read_lookup(entry["lookup"]) for task, entry in tasks.items() if entry.get("lookup")
    }
    found = {task: [] for task in tasks}
    missing, left = {}, max_cells
    for path in paths:
        with open_h5ad(path) as file:
            columns = {entry["column"] for entry in tasks.values()}
            pairs = {column: column_codes(file, column) for column in columns}
        codes = {column: (part[:left], values) for column, (part, values) in pairs.items()}
        if left is not None:
            left -= len(next(iter(codes.values()))[0])
        for task, entry in tasks.items():
            cells, values = codes[entry["column"]]
            absent = int((cells < 0).sum())
            if absent:
                raise InputError(
                    f"{path}: {absent} cells have no value in obs column '{entry['column']}'"
                )
            if len(cells) and cells.max() >= len(values):
                raise InputError(
                    f"{path}: obs column '{entry['column']}' has codes beyond its categories"
                )
            if task in lookups:
                counts = np.bincount(cells, minlength=len(values))
                for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                    if count and value not in lookups[task]:
                        missing.setdefault((task, value), []).append(count)
                values = np.array([lookups[task].get(value, "") for value in values.tolist()], str)
            found[task].append((cells, values))
    if missing:
        raise InputError("\n".join(missing_lines(missing, tasks)))
    return found


def missing_lines(missing, tasks):
    for (task, value), counts in missing.items():
        table = tasks[task]["lookup"]["table"]
        yield (
            f"{table}: no {tasks[task]['lookup']['value']} for '{value}' ({sum(counts)} cells); add a row, "
            f"or `extra: {{{value}: <class>}}` under tasks: {task}: lookup:"
        )


def class_names(found):
    """Sorted distinct labels that at least one cell has, over all plates: list of str."""
    return sorted(set().union(*(values[np.unique(codes)].tolist() for codes, values in found)))


def code_type(classes):
    """The dtype in which codes of {task: class names} are stored."""
    return np.uint16 if max(map(len, classes.values())) <= 2**16 else np.int32


def encode(found, names):
    """Codes into `names`, one int array a plate."""
    place = {name: code for code, name in enumerate(names)}
    for codes, values in found:
        table = np.array([place.get(value, 0) for value in values.tolist()], np.int64)
        yield table[codes] if len(codes) else np.zeros(0, np.int64)


def balanced_codes(balance, classes, labels, paths):
    """([class names], (n_train, k) codes) of the tasks or obs columns named in `balance`.

    classes: {task: class names}; labels: (n_train, n_tasks) codes; paths: of the train plates, read
    only for obs columns that are no task.
    """
    if all(name in classes for name in balance):
        columns = [list(classes).index(name) for name in balance]
        return [classes[name] for name in balance], labels[:, columns]
    names, codes = [], np.empty((len(labels), len(balance)), np.int32)
    for position, name in enumerate(balance):
        if name in classes:
            names.append(classes[name])
            codes[:, position] = labels[:, list(classes).index(name)]
        else:
            found = plate_labels(paths, {name: {"column": name}}, len(labels))[name]
            names.append(class_names(found))
            codes[:, position] = np.concatenate(list(encode(found, names[-1])))
    return names, codes
