"""A configuration draft for a folder of h5ad files: plates, columns and what to propose from them."""

import math
import re
from pathlib import Path

import numpy as np

from cellshuffle.errors import InputError
from cellshuffle.inspection.folder import COUNTS, combinations, look
from cellshuffle.phrasing import natural_key
from cellshuffle.planning.columns import PLATE_NAME, name_pattern
from cellshuffle.planning.proportions import STEPS, proposed
from cellshuffle.planning.yaml_text import flow_list, one_line, scalar, task_keys

MOST_CLASSES = 2000  # of a column that is proposed as a task
ENOUGH_CELLS = 10  # of a combination, in the median, to be balanced
# Runs of the repository itself: those of its configurations, and folders of results/.
TAKEN = ("demo", "own_atlas", "pilot", "sweep", "tahoe", "bench", "published", "reference")
PLATE_WORDS = ("plate", "batch", "donor", "sample", "replicate", "experiment", "site", "phase")
FOLD_WORDS = ("split", "fold", "subset")
TEST_WORDS = ("test", "held_out", "heldout", "validation")


def draft(folder, run=None):
    """Text of a configuration for the h5ad files in `folder`.

    run: name of the run; None names it after the folder, unless a run of the repository is called so.
    Raises InputError when there are none, or none of their obs columns could be a task.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.h5ad"), key=lambda path: natural_key(path.name))
    if not files:
        raise InputError(f"{folder}: has no *.h5ad files")
    pattern, plates = name_pattern([path.name for path in files])
    for path, plate in zip(files, plates, strict=True):
        if re.fullmatch(PLATE_NAME, str(plate)) is None:
            raise InputError(
                f"{path}: a plate's name has letters, digits, '_', '.' and '-' and begins with a "
                "letter or digit; rename the file"
            )
    cells, genes, layers, columns = look(files)
    split, plate_columns, n_train = _split(plates, cells, columns)
    tasks = [
        name for name in columns if _is_task(name, columns[name]) and name not in plate_columns
    ]
    if not tasks:
        raise InputError(
            f"{folder}: no obs column has 2 to {MOST_CLASSES} values ({_all(columns)})"
        )
    keys = task_keys(tasks)
    layer = next((name for name in layers if name.lower() in ("counts", "raw_counts")), None)
    if layer is None and "X" not in layers:
        layer = next(iter(layers))
    lines = [
        f"# Drafted from {len(files)} h5ad file{'s' * (len(files) > 1)} with {sum(cells):,} cells and "
        f"{genes:,} genes; every key is explained in config/README.md.",
        "# Look at what is proposed, above all the tasks and what is tested on, and change it.",
        f"run: {scalar(_run_name(run or folder.resolve().name))}",
        "atlas:",
        f"  dir: {scalar(folder)}",
        f"  plate_file: {scalar(pattern)}",
        *split,
        "  # Matrices of the first file, by a sample of their values. null is X, raw is raw/X, else a layer.",
        *(f"  #   {one_line(name)}: {one_line(words)}" for name, (_, words) in layers.items()),
        f"  layer: {scalar(layer)}",
        "# All obs columns, with their number of values over all files:",
        *(f"#   {name}: {_words(counts)}" for name, counts in columns.items()),
        "tasks:",
        *(f"  {keys[name]}: {{column: {scalar(name)}}}" for name in tasks[:4]),
        *(f"  # {keys[name]}: {{column: {scalar(name)}}}" for name in tasks[4:]),
        *_weights(files, tasks, keys, n_train / sum(cells)),
        *_training(n_train, layers[layer or "X"][0]),
    ]
    return "\n".join(lines) + "\n"


def _weights(files, tasks, keys, share):
    """Lines of the weights section; share: of the cells that are trained on."""
    balanced, n_combinations, each = _sizes(files, tasks[:2], share)
    if len(balanced) == 1:
        why = "the only task"
    elif each >= ENOUGH_CELLS:
        why = f"combinations of the first two tasks, {n_combinations:,} in all"
    else:
        why = f"the first task; combinations with the second have {each:.2g} cells each, too few"
        balanced, _, each = _sizes(files, tasks[:1], share)
    return [
        f"# Balanced by the weighted strategies: {why}.",
        "# The baseline is the count from which a combination is no longer rare: the median, at most 1000.",
        f"weights: {{balance: [{', '.join(keys[name] for name in balanced)}], "
        f"min_count_baseline: {int(np.clip(each, 1, 1000))}}}",
    ]


def _sizes(files, columns, share):
    """(columns, number of their combinations, median train cells of one)."""
    sizes = list(combinations(files, columns).values())
    return columns, len(sizes), share * float(np.median(sizes))


def _training(n_train, kind):
    """Lines of the training section; kind: of the matrix's values, see `inspection.look`."""
    own = proposed(n_train)
    fetch = own["batch_size"] * own["fetch_factor"]
    steps = own["epochs"] * math.ceil(n_train / own["batch_size"])
    if kind == COUNTS:
        transform = [
            "# Counts are trained on as they are, as in the published runs; cp10k_log1p evens out how deeply",
            "# cells were sequenced, log1p alone dampens large counts.",
        ]
    else:
        transform = [
            "# These are not counts, so they stay as they are: log1p and cp10k_log1p are for counts."
        ]
    return [
        f"# Made for about {n_train:,} train cells. A fetch (batch_size x fetch_factor, {fetch:,} cells) is "
        f"{100 * fetch / n_train:.2g}% of them:",
        "# were it most of them, shuffling within it would be as good as random order. The epochs make",
        f"# {steps:,} steps; at this learning rate, far fewer than {STEPS:,} teach a model little.",
        *transform,
        f"training: {{seeds: [0, 1, 2], epochs: {own['epochs']}, batch_size: {own['batch_size']}, "
        f"fetch_factor: {own['fetch_factor']}, learning_rate: 1.0e-4,",
        "           transform: none}",
    ]


def _is_task(name, counts):
    if counts is None or None in counts or not 2 <= len(counts) <= MOST_CLASSES:
        return False
    if len(counts) > 50 and all(value.lstrip("-").isdigit() for value in counts):
        return False  # a measurement, such as the number of genes found
    return 2 * len(counts) <= sum(counts.values())  # not a name a cell


def _split(plates, cells, columns):
    """(lines of the atlas section that say which cells are tested on, columns used for that, train cells).

    plates: names; cells: of each file; columns: see `inspection.look`.
    """
    if len(plates) > 1:
        lines = [
            f"  train_plates: {flow_list(plates[:-1])}",
            "  # The last file is proposed to test on.",
            f"  test_plates: {flow_list(plates[-1:])}",
        ]
        return lines, [], sum(cells[:-1])
    for name, counts in columns.items():
        test = [value for value in counts or () if str(value).lower() in TEST_WORDS]
        if test and name.lower() in FOLD_WORDS and _is_task(name, counts):
            split = f"  split: {{column: {scalar(name)}, test: {flow_list(test)}}}"
            return ["  train_plates: [all]", split], [name], _cells(counts, set(counts) - set(test))
    for name, counts in columns.items():
        if any(word in name.lower() for word in PLATE_WORDS) and _is_plates(counts):
            *train, test = sorted(counts, key=natural_key)
            lines = [
                "  # One file: the values of this obs column are taken for the plates.",
                f"  plate_column: {scalar(name)}",
                f"  train_plates: {flow_list(train)}",
                f"  test_plates: {flow_list([test])}",
                "  # Or about a tenth of the cells, at random: train_plates: [all], no test_plates, no",
                "  # plate_column, and split: {fraction: 0.1, seed: 0}",
            ]
            return lines, [name], _cells(counts, train)
    lines = [
        "  train_plates: [all]",
        "  # One file, no column that looks like plates: about a tenth of the cells, each drawn",
        "  # independently, is tested on.",
        "  split: {fraction: 0.1, seed: 0}",
    ]
    return lines, [], round(0.9 * sum(cells))


def _cells(counts, values):
    return sum(counts[value] for value in values)


def _is_plates(counts):
    if not counts or None in counts or not 2 <= len(counts) <= 100:
        return False
    return all(re.fullmatch(PLATE_NAME, value) for value in counts)


def _words(counts):
    if counts is None:
        return "real numbers"
    kept = {value: size for value, size in counts.items() if value is not None}
    text = f"{len(kept):,} values"
    if 0 < len(kept) <= 20:
        words = ", ".join(f"{value} {size:,}" for value, size in kept.items())
        text += f" ({one_line(words)})"
    return text + (f"; {counts[None]:,} cells have none" if None in counts else "")


def _all(columns):
    return (
        ", ".join(f"{name}: {_words(counts)}" for name, counts in columns.items()) or "no columns"
    )


def _run_name(name):
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "own"
    return f"{name}_draft" if name in TAKEN else name
