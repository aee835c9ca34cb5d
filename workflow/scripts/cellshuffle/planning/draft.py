"""A configuration draft for a folder of plates, as text with what was seen in comments."""

import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import yaml

from cellshuffle.atlas.genes import RULES, common_genes
from cellshuffle.atlas.h5ad import matrix_layers, matrix_name, readable
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.tables import gene_names
from cellshuffle.errors import InputError
from cellshuffle.inspection.census import Census
from cellshuffle.inspection.matrix import inspect_matrix
from cellshuffle.phrasing import cells_have
from cellshuffle.planning import division, tasks
from cellshuffle.planning.columns import columns_of_some_files, read_columns
from cellshuffle.planning.plates import FORMS, find_plates
from cellshuffle.planning.proportions import STEPS, proposed
from cellshuffle.planning.survey import matrix_shape

ENOUGH_CELLS = 10  # of a combination, in the median, to be balanced
MOST_OTHERS = 12  # columns in comments that could be tasks
# Runs of the repository itself: those of its configurations, and folders of results/.
TAKEN = ("demo", "own_atlas", "pilot", "sweep", "tahoe", "bench", "published", "reference")


STRATEGIES = """\
# The orders that are compared, all of them; a line more is a strategy more.
strategies:
  streaming: {sampler: Streaming, shuffle: false}
  streaming_buffer: {sampler: Streaming, shuffle: true}
  block_shuffling: {sampler: BlockShuffling, block_size: 4}
  random_sampling: {sampler: BlockShuffling, block_size: 1}
  block_weighted: {sampler: BlockWeightedSampling, block_size: 4}
  true_weighted: {sampler: BlockWeightedSampling, block_size: 1}"""
FILL_IN = "FILL_IN"  # a task's column, where none is proposed


def draft(folder, run=None):
    """Text of a configuration for the plates in `folder`: h5ad files, zarr stores, folders of Parquet files.

    run: name of the run; None names it after the folder, unless a run of the repository is called so.
    Raises InputError when there are none, or no obs column that all of them have.
    """
    folder = Path(folder)
    found = find_plates(folder)
    files, plates = found.files, found.names
    cells, genes, layers, problems = _describe_matrices(files)
    aligned, unmatched = _align(genes)
    problems += unmatched
    problems += [f"Left out: {n} {FORMS[form][n > 1]} beside them." for form, n in found.beside.items()]
    columns = read_columns(files, plates)
    proposal = division.propose(files, plates, cells, columns)
    chosen, others = tasks.choose(files, tasks.candidates(columns.values(), proposal))
    n_train = proposal.n_train(sum(cells))
    named = [name for name in layers if name.lower() in ("counts", "raw_counts")]
    layer = next(iter(named if named or "X" in layers else layers), None)
    lines = [
        f"# Drafted from {found.words()} with {sum(cells):,} cells and {len(genes[0][1]):,} genes; every key "
        "is explained in config/README.md.",
        "# Look at what is proposed, above all the tasks and what is tested on, and change it.",
        *(f"# {one_line(problem)}" for problem in problems),
        f"run: {scalar(_run_name(run or folder.resolve().name))}",
        "atlas:",
        f"  dir: {scalar(found.folder)}",
        f"  plate_file: {scalar(found.pattern)}",
        *_division(proposal, plates),
        "  # Matrices of the first file, by a sample of their values. null is X, raw is raw/X, else a layer.",
        *(f"  #   {one_line(name)}: {one_line(words)}" for name, (_, words) in layers.items()),
        f"  layer: {scalar(layer)}",
        *aligned,
        *_column_lines(files, columns),
        *_tasks(chosen, others),
        *_weights(files, chosen, n_train / sum(cells)),
        STRATEGIES,
        *_training(n_train, layers[layer or "X"][0] if layers else False),
    ]
    return "\n".join(lines) + "\n"


def _describe_matrices(files):
    """What files hold, matrix by matrix.

    Returns the cells of each, (path, genes) of each, {matrix of the first file: (whether it holds counts,
    words)}, and problems.
    """
    cells, genes, matrices, problems = [], [], {}, []
    for path in files:
        with open_plate(path) as file, readable(path):
            layers = matrix_layers(file)
            first = layers[0] if layers else None
            cells.append(matrix_shape(path, first)[0])
            genes.append((path, gene_names(file, first)))
            matrices = matrices or {name or "X": _describe_matrix(file, name) for name in layers}
            lacking = matrices.keys() - {name or "X" for name in layers}
            problems += [f"{path.name} has no matrix {name}, which {files[0].name} has." for name in lacking]
    if problems:
        problems.append("Make the files agree first, as docs/own_atlas.md says.")
    return cells, genes, matrices, problems


def _align(genes):
    """(lines of the atlas section, problems) where the genes of plates differ; genes: (path, names) each."""
    first, names = genes[0]
    others = [path for path, own in genes if not np.array_equal(own, names)]
    if not others:
        return [], []
    try:
        shared, every = (len(common_genes(to, genes).names) for to in RULES)
    except InputError as error:
        return [], [f"THE GENES DIFFER, so a run will be refused: {error}."]
    return [
        f"  # {len(others)} of {len(genes)} files differ from {one_line(first.name)} in their genes or the "
        "order of these. Packing brings them to",
        f"  # the {shared:,} genes that all have; `union` would keep all {every:,}, with zeros for those "
        "that a file lacks.",
        "  align: intersection",
    ], []


def _describe_matrix(file, layer):
    """(whether the values of a matrix seem to be counts, words on them), judging by a sample."""
    try:
        matrix = inspect_matrix(file, layer, needs_counts=False)
    except InputError as error:
        line = str(error).splitlines()[0].removeprefix(f"{file.filename}: ")
        return False, line.removeprefix(f"{matrix_name(file, layer)}: ")
    if matrix.lowest == matrix.highest == 0:
        return False, "nothing but zeros in a sample"
    if matrix.lowest < 0:
        return False, f"values from {matrix.lowest:.3g} to {matrix.highest:.3g}, scaled it seems"
    if matrix.integral:
        return True, f"whole numbers up to {matrix.highest:,.0f}, counts it seems"
    return False, f"fractions up to {matrix.highest:.3g}, normalised it seems"


def _column_lines(files, columns):
    """Comments on what every obs column holds."""
    yield "# All obs columns, with their number of values over all files:"
    yield from (f"#   {one_line(name)}: {_words(column)}" for name, column in columns.items())
    for name, having in columns_of_some_files(files).items():
        yield f"#   {one_line(name)}: only in {one_line(', '.join(having[:5]))}{', ...' * (len(having) > 5)}"


def _tasks(chosen, others):
    """Lines of the tasks section: Candidates that are proposed, and in comments the others worth a look."""
    others = [c for c in others if c.is_worth_a_look()][:MOST_OTHERS]
    keys = task_keys([c.column.name for c in [*chosen, *others]])
    yield "tasks:"
    if not chosen:
        yield f"  # No column is proposed; the comments say why. Write the one to predict for {FILL_IN}."
        yield f"  my_task: {{column: {FILL_IN}}}"
    for candidate in [*chosen, *others]:
        name, column = candidate.column.name, candidate.column
        drop = ", missing: drop" if column.unlabelled else ""
        entry = f"{keys[name]}: {{column: {scalar(name)}{drop}}}  # {one_line(candidate.why())}"
        yield f"  {entry}" if candidate in chosen else f"  # {entry}"


def _weights(files, chosen, share):
    """Lines of the weights section; share: of the cells that are trained on."""
    if not chosen:
        return [
            "# All tasks are balanced. The baseline is the count from which a combination is no longer rare.",
            "weights: {min_count_baseline: 100}",
        ]
    columns = [candidate.column.name for candidate in chosen]
    keys, balanced = task_keys(columns), columns[:2]
    n_combinations, median = _sizes(files, balanced, share)
    if len(balanced) == 1:
        why = "the only task"
    elif median >= ENOUGH_CELLS:
        why = f"combinations of the first two tasks, {n_combinations:,} in all"
    else:
        why = f"the first task; combinations with the second have {median:.2g} cells each, too few"
        balanced = columns[:1]
        _, median = _sizes(files, balanced, share)
    return [
        f"# Balanced by the weighted strategies: {why}.",
        "# The baseline is the count from which a combination is no longer rare: the median, at most 1000.",
        f"weights: {{balance: [{', '.join(keys[name] for name in balanced)}], "
        f"min_count_baseline: {int(np.clip(median, 1, 1000))}}}",
    ]


def _sizes(files, columns, share):
    """(number of combinations of obs columns, median train cells of one)."""
    census = Census({}, columns=columns, balance=columns)
    for path in files:
        with open_plate(path) as file, readable(path):
            census.add(file, "train")
    sizes = list((census.combinations or {}).values())
    return len(sizes), share * float(np.median(sizes or [0]))


def _training(n_train, are_counts):
    """Lines of the training section; are_counts: whether the matrix seems to hold counts."""
    own = proposed(n_train)
    fetch = own["batch_size"] * own["fetch_factor"]
    steps = own["epochs"] * math.ceil(n_train / own["batch_size"])
    advice = (
        "# Counts are trained on as they are, as in the published runs; cp10k_log1p evens out how deeply"
        "\n# cells were sequenced, log1p alone dampens large counts."
        if are_counts
        else "# These are not counts, so they stay as they are: log1p and cp10k_log1p are for counts."
    )
    return [
        f"# Made for about {n_train:,} train cells. A fetch (batch_size x fetch_factor, {fetch:,} cells) is "
        f"{100 * fetch / n_train:.2g}% of them:",
        "# were it most of them, shuffling within it would be as good as random order. The epochs make",
        f"# {steps:,} steps; at this learning rate, far fewer than {STEPS:,} teach a model little.",
        advice,
        f"training: {{seeds: [0, 1, 2], epochs: {own['epochs']}, batch_size: {own['batch_size']}, "
        f"fetch_factor: {own['fetch_factor']}, learning_rate: 1.0e-4,",
        "           transform: none}",
        "# Is a strategy bad, or its learning rate? Each at its own best, by cells of the train plates:",
        "# tune: {learning_rate: [1.0e-4, 1.0e-3, 1.0e-2], validation: {fraction: 0.1, seed: 0}}",
        "# What does a new plate cost, apart from the order? Test on cells of the train plates as well:",
        "# compare: {seen_fraction: 0.05}",
    ]


def _division(proposal, plates):
    """Lines of the atlas section that say which cells are tested on."""
    why = [f"  # {one_line(line)}" for line in proposal.why]
    if not proposal.test:
        return [*why, f"  train_plates: {flow_list(plates)}", "  split: {fraction: 0.1, seed: 0}"]
    train, test = flow_list(proposal.train), flow_list(proposal.test)
    plates_of = [f"  train_plates: {train}", f"  test_plates: {test}"]
    if proposal.column is None:
        return [*why, *plates_of]
    column = scalar(proposal.column)
    if not proposal.by_plates:
        ignore = f", ignore: {flow_list(proposal.ignore)}" if proposal.ignore else ""
        split = f"  split: {{column: {column}, train: {train}, test: {test}{ignore}}}"
        return [*why, f"  train_plates: {flow_list(plates)}", split]
    return [
        *why,
        f"  plate_column: {column}",
        *plates_of,
        "  # Or about a tenth of the cells, at random: train_plates: [all], no test_plates, no",
        "  # plate_column, and split: {fraction: 0.1, seed: 0}",
    ]


def _words(column):
    """What a column holds, for a comment."""
    if column.unreadable and not column.counts:
        return "real numbers"
    text = f"{len(column.counts):,} values"
    if 0 < len(column.counts) <= 20:
        values = ", ".join(f"{value} {cells:,}" for value, cells in column.counts.items())
        text += f" ({one_line(values)})"
    if column.unlabelled:
        text += f"; {cells_have(column.unlabelled)} none"
    if column.unreadable:
        text += f"; real numbers, so no labels, in {one_line(', '.join(column.unreadable))}"
    return text


def _run_name(name):
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "own"
    return f"{name}_draft" if name in TAKEN else name


def task_keys(columns):
    """{column: a task's name for it}, no name twice."""
    keys = {}
    for column in columns:
        name = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_")
        name = name if name[:1].isalpha() else f"task_{name}".rstrip("_")
        names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
        keys[column] = next(free for free in names if free not in keys.values())
    return {column: scalar(key) for column, key in keys.items()}


def scalar(value):
    """A YAML scalar, quoted where it must be."""
    if value is None:
        return "null"
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_/.][A-Za-z0-9_/.-]*", text) and yaml.safe_load(text) == text
    return text if plain and text.lower() not in ("y", "n") else json.dumps(text, ensure_ascii=False)


def flow_list(values):
    return "[" + ", ".join(str(v) if isinstance(v, int) else scalar(v) for v in values) + "]"


def one_line(text):
    """Text without line breaks, for a comment."""
    return " ".join(text.split())
