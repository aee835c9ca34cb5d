"""A configuration draft for a folder of h5ad files: plates, columns and what to propose from them."""

import itertools
import json
import re
from pathlib import Path

import numpy as np

from cellshuffle.errors import InputError
from cellshuffle.h5ad import gene_names, matrix_kind, matrix_name, member, open_h5ad, readable
from cellshuffle.plate_names import PLATE_NAME, name_pattern, natural
from cellshuffle.tables import column_codes, column_names

MOST_CLASSES = 2000  # of a column that is proposed as a task
PLATE_WORDS = ("plate", "batch", "donor", "sample", "replicate", "experiment", "site", "phase")
FOLD_WORDS = ("split", "fold", "subset")
TEST_WORDS = ("test", "held_out", "heldout", "validation")


def draft(folder):
    """Text of a configuration for the h5ad files in `folder`.

    Raises InputError when there are none, or none of their obs columns could be a task.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.h5ad"), key=lambda path: natural(path.name))
    if not files:
        raise InputError(f"{folder}: has no *.h5ad files")
    pattern, plates = name_pattern([path.name for path in files])
    for path, plate in zip(files, plates, strict=True):
        if re.fullmatch(PLATE_NAME, str(plate)) is None:
            raise InputError(
                f"{path}: a plate's name has letters, digits, '_', '.' and '-' and begins with a "
                "letter or digit; rename the file"
            )
    cells, genes, layers, columns = _look(files)
    split, plate_columns = _split(plates, columns, pattern)
    tasks = [
        name for name in columns if _is_task(name, columns[name]) and name not in plate_columns
    ]
    if not tasks:
        raise InputError(
            f"{folder}: no obs column has 2 to {MOST_CLASSES} values ({_all(columns)})"
        )
    keys = _keys(tasks)
    lines = [
        f"# Drafted from {len(files)} h5ad file{'s' * (len(files) > 1)} with {sum(cells):,} cells and "
        f"{genes:,} genes; every key is explained in config/README.md.",
        "# Look at what is proposed, above all the tasks and what is tested on, and change it.",
        f"run: {_text(_run_name(folder))}",
        "atlas:",
        f"  dir: {_text(folder)}",
        f"  plate_file: {_text(pattern)}",
        *split,
        f"  # Matrices that the files have: {', '.join(layers)}. null is X, raw is raw/X, else a layer.",
        f"  layer: {_text(_matrix(layers))}",
        "# All obs columns, with their number of values over all files:",
        *(f"#   {name}: {_words(counts)}" for name, counts in columns.items()),
        "tasks:",
        *(f"  {keys[name]}: {{column: {_text(name)}}}" for name in tasks[:4]),
        *(f"  # {keys[name]}: {{column: {_text(name)}}}" for name in tasks[4:]),
        "# Tasks or other columns whose combinations the weighted strategies balance; the baseline is the",
        "# count from which a combination is no longer rare.",
        f"weights: {{balance: [{keys[tasks[0]]}], min_count_baseline: {_baseline(columns[tasks[0]])}}}",
        "training: {seeds: [0, 1, 2], epochs: 1, batch_size: 64, fetch_factor: 16, learning_rate: 1.0e-4,",
        "           transform: none}",
    ]
    return "\n".join(lines) + "\n"


def _look(files):
    """(cells a file, genes, matrices of the first, {column: {value: cells} or None})."""
    cells, columns, layers = [], {}, []
    for path in files:
        with open_h5ad(path) as file, readable(path):
            _, (n_cells, genes) = matrix_kind(member(file, matrix_name(file, None)))
            cells.append(n_cells)
            gene_names(file)
            if not layers:
                layers = ["X"] + (["raw"] if "raw" in file or "raw.X" in file else [])
                layers += list(file["layers"]) if "layers" in file else []
            there = column_names(member(file, "obs"))
            columns = columns or dict.fromkeys(there)
            for name in list(columns):
                if name in there:
                    columns[name] = _count(file, name, columns[name])
                else:  # not in every file, so no task
                    del columns[name]
    return cells, genes, layers, columns


def _count(file, name, counts):
    """Add the cells of every value of a column; None for one that holds no labels."""
    try:
        codes, values = column_codes(file, name)
    except InputError:
        return None
    counts = dict(counts or {})
    sizes = np.bincount(codes[codes >= 0], minlength=len(values))
    for value, size in zip(values.tolist(), sizes.tolist(), strict=True):
        if size:
            counts[value] = counts.get(value, 0) + size
    if (codes < 0).any():
        counts[None] = counts.get(None, 0) + int((codes < 0).sum())
    return counts


def _is_task(name, counts):
    if counts is None or None in counts or not 2 <= len(counts) <= MOST_CLASSES:
        return False
    if len(counts) > 50 and all(value.lstrip("-").isdigit() for value in counts):
        return False  # a measurement, such as the number of genes found
    return 2 * len(counts) <= sum(counts.values())  # not a name a cell


def _split(plates, columns, pattern):
    """(lines of the atlas section that say which cells are tested on, columns used for that)."""
    fold = [
        name for name in columns if name.lower() in FOLD_WORDS and _is_task(name, columns[name])
    ]
    fold = [name for name in fold if any(v.lower() in TEST_WORDS for v in columns[name])]
    if len(plates) > 1:
        last = plates[-1]
        return [
            f"  train_plates: {_list(plates[:-1])}",
            "  # The last file is proposed to test on.",
            f"  test_plates: {_list([last])}",
        ], []
    if fold:
        test = [value for value in columns[fold[0]] if value.lower() in TEST_WORDS]
        return [
            "  train_plates: [all]",
            f"  split: {{column: {_text(fold[0])}, test: {_list(test)}}}",
        ], fold
    found = [
        name
        for name in columns
        if any(word in name.lower() for word in PLATE_WORDS) and _is_plates(columns[name])
    ]
    if found:
        values = sorted(columns[found[0]], key=natural)
        return [
            "  # One file: the values of this obs column are taken for the plates.",
            f"  plate_column: {_text(found[0])}",
            f"  train_plates: {_list(values[:-1])}",
            f"  test_plates: {_list(values[-1:])}",
            "  # Or a random tenth of the cells: train_plates: [all], no test_plates, no plate_column, and",
            "  # split: {fraction: 0.1, seed: 0}",
        ], found[:1]
    return [
        "  train_plates: [all]",
        "  # One file, no column that looks like plates: a random tenth of the cells is tested on.",
        "  split: {fraction: 0.1, seed: 0}",
    ], []


def _is_plates(counts):
    if not counts or None in counts or not 2 <= len(counts) <= 100:
        return False
    return all(re.fullmatch(PLATE_NAME, value) for value in counts)


def _matrix(layers):
    """Counts by name, where there is a layer of them."""
    return next((name for name in layers if name.lower() in ("counts", "raw_counts")), None)


def _baseline(counts):
    """1000 where classes are that common, less in a small atlas."""
    return int(np.clip(np.median(list(counts.values())), 1, 1000))


def _words(counts):
    if counts is None:
        return "real numbers"
    kept = {value: size for value, size in counts.items() if value is not None}
    text = f"{len(kept):,} values"
    if 0 < len(kept) <= 20:
        words = ", ".join(f"{value} {size:,}" for value, size in kept.items())
        text += f" ({' '.join(words.split())})"
    return text + (f"; {counts[None]:,} cells have none" if None in counts else "")


def _all(columns):
    return (
        ", ".join(f"{name}: {_words(counts)}" for name, counts in columns.items()) or "no columns"
    )


def _run_name(folder):
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.resolve().name).strip("_.-")
    return name or "own"


def _keys(columns):
    """{column: a task's name for it}, no name twice."""
    keys = {}
    for column in columns:
        name = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_")
        name = name if name[:1].isalpha() else f"task_{name}".rstrip("_")
        names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
        keys[column] = next(free for free in names if free not in keys.values())
    return {column: _text(key) for column, key in keys.items()}


def _text(value):
    """A YAML scalar, quoted where it must be."""
    if value is None:
        return "null"
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_/.][A-Za-z0-9_/.-]*", text) and text.lower() not in (
        "null", "true", "false", "yes", "no", "on", "off", "y", "n",
    )  # fmt: skip
    return text if plain else json.dumps(text, ensure_ascii=False)  # JSON is YAML


def _list(values):
    return "[" + ", ".join(str(v) if isinstance(v, int) else _text(v) for v in values) + "]"
