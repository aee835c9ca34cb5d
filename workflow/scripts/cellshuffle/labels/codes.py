"""Every task's label of every cell, as codes into the sorted class names of the atlas."""

import numpy as np

from cellshuffle.atlas.h5ad import member, open_h5ad
from cellshuffle.atlas.names import count_names
from cellshuffle.atlas.obs import class_names, encode, where_mask
from cellshuffle.atlas.tables import column_codes, n_rows
from cellshuffle.errors import InputError
from cellshuffle.labels.lookup import read_lookups
from cellshuffle.labels.spelling import plain, quoted


def plate_labels(paths, tasks, max_cells=None, where=None):
    """Per plate and task, the code of every cell and the label of every code.

    paths: h5ad files; tasks: the config's {task: {"column", "lookup"?}}; max_cells: only of the
    first so many cells of all plates together; where: only of the cells that have one of the values wanted in
    each column, see atlas/obs.py.
    Returns {task: [(codes (n_cells,), labels (n_values,) str), ...]}, a pair a plate.
    Raises InputError listing every label that no lookup table has and every missing value.
    """
    lookups = read_lookups(tasks)
    pairs = {task: [] for task in tasks}
    missing, used = {}, 0
    for path in paths:
        with open_h5ad(path) as file:
            rows = np.flatnonzero(where_mask(file, where)) if where else range(n_rows(member(file, "obs")))
            n_cells = cells_kept(len(rows), used, max_cells)
            rows = rows[:n_cells] if where else slice(n_cells)
            columns = {entry["column"] for entry in tasks.values()}
            read = {column: read_codes(file, column, rows) for column in columns}
        used += n_cells
        for task, entry in tasks.items():
            codes, values = read[entry["column"]]
            unlabelled = int((codes < 0).sum())
            if unlabelled:
                raise InputError(unlabelled_line(path, entry["column"], unlabelled))
            if task in lookups:
                for value, count in count_names(codes, values).items():
                    if value not in lookups[task]:
                        missing.setdefault((task, value), []).append(count)
                values = np.array([lookups[task].get(value, "") for value in values.tolist()], str)
            pairs[task].append((codes, values))
    if missing:
        raise InputError("\n".join(missing_lines(missing, tasks, lookups)))
    return pairs


def cells_kept(n_cells, used, max_cells):
    """How many of a plate's cells are used, after `used` cells of plates before it.

    max_cells: the first so many cells of all plates of a split are used; None: all.
    """
    return n_cells if max_cells is None else max(0, min(n_cells, max_cells - used))


def read_codes(file, column, rows):
    """(codes, values) of an obs column, as tables.column_codes has them, over `rows` only.

    rows: a slice or sorted row numbers. Raises InputError when the column holds no labels.
    """
    codes, values = column_codes(file, column)
    return codes[rows], values


def unlabelled_line(path, column, n_cells):
    """What is wrong with a plate some of whose cells have no label."""
    return (
        f"{path}: {n_cells} cells have no value in obs column '{column}'; give them one, or leave the "
        "cells out: `missing: drop` under a task of that column"
    )


def missing_lines(missing, tasks, lookups):
    """What is wrong with lookup tables.

    missing: {(task, value that its table lacks): [cells a plate]}; lookups: {task: {value: class}}.
    """
    keys = {task: {plain(key): key for key in lookups[task]} for task in {task for task, _ in missing}}
    for (task, value), counts in missing.items():
        lookup, other = tasks[task]["lookup"], keys[task].get(plain(value))
        near = f"; it has {quoted([other, value])[0]}, perhaps another spelling of it" if other else ""
        yield (
            f"{lookup['table']}: no {lookup['value']} for '{value}' ({sum(counts)} cells){near}; add a row, "
            f"or `extra: {{{value}: <class>}}` under tasks: {task}: lookup:, or leave such cells out: "
            f"`missing: drop` under tasks: {task}:"
        )


def code_type(classes):
    """The dtype in which codes of {task: class names} are stored."""
    return np.uint16 if max(map(len, classes.values())) <= 2**16 else np.int32


def balanced_codes(balance, classes, labels, paths, where=None):
    """([class names], (n_train, k) codes) of the tasks or obs columns named in `balance`.

    classes: {task: class names}; labels: (n_train, n_tasks) codes; paths: of the train plates, read
    only for obs columns that are no task; where: see plate_labels.
    """
    names, columns = [], []
    for name in balance:
        if name in classes:
            names.append(classes[name])
            columns.append(labels[:, list(classes).index(name)])
        else:
            pairs = plate_labels(paths, {name: {"column": name}}, len(labels), where)[name]
            names.append(class_names(pairs))
            columns.append(np.concatenate(list(encode(pairs, names[-1])), dtype=np.int32))
    return names, np.stack(columns, axis=1)
