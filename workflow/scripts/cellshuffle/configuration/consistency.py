"""What no schema can say of a configuration: keys that do not go together, paths that cannot be."""

import itertools
import os
import re
from string import Formatter

from cellshuffle.atlas.names import file_name
from cellshuffle.configuration.schema import balanced_labels
from cellshuffle.configuration.tuning import all_entries, held_out_parts

MOST_TRAININGS = 10_000  # more than Snakemake plans in minutes
EPOCH_SEEDS = 1000  # between the seeds of two epochs


def inconsistencies(config):
    """Lines about what a schema cannot say; `config` has passed it and holds its defaults."""
    yield from _plate_problems(config["atlas"])
    yield from _folder_problems(config)
    yield from _held_out_problems(config)
    for name, entry in config["strategies"].items():
        yield from (f"strategies: {name}: {line}" for line in _draw_problems(entry, config["tasks"]))
    for label in sorted({"count", "weight"} & set(balanced_labels(config))):
        yield (
            f"weights: balance: '{label}' is a column of its own in weights/combinations.csv; balance a task "
            "of another name that has it as its column"
        )
    training = config["training"]
    linear = len(config["strategies"]) * bool(training["model"]["hidden"] and config["compare"]["linear"])
    trainings = (len(all_entries(config)) + linear) * len(training["seeds"])
    if trainings > MOST_TRAININGS:
        yield f"strategies, training: seeds: make {trainings:,} trainings; at most {MOST_TRAININGS:,} can be"
    if training["world_size"] % training["nodes"]:
        yield (
            f"training: world_size: {training['world_size']} processes cannot be spread evenly over "
            f"{training['nodes']} nodes"
        )
    epochs = max(entry.get("epochs", training["epochs"]) for entry in config["strategies"].values())
    for low, high in itertools.combinations(sorted(training["seeds"]), 2):
        if (high - low) % EPOCH_SEEDS == 0 and high - low < EPOCH_SEEDS * epochs:
            yield (
                f"training: seeds: {low} and {high} would share orders of cells: scDataset draws epoch k "
                f"with seed + {EPOCH_SEEDS} k; take seeds that do not differ by a multiple of {EPOCH_SEEDS}"
            )
    baseline, task = config["compare"]["baseline"], config["figures"]["task"]
    if baseline is not None and baseline not in config["strategies"]:
        yield f"compare: baseline: '{baseline}' is not a strategy ({', '.join(config['strategies'])})"
    if task is not None and task not in config["tasks"]:
        yield f"figures: task: '{task}' is not a task ({', '.join(config['tasks'])})"


def _held_out_problems(config):
    """Train cells that cannot be held out."""
    plates = list(map(str, config["atlas"]["train_plates"]))
    parts = held_out_parts(config)
    validation = parts.get("validation", {}).get("plates", [])
    for plate in validation:
        if plate not in plates:
            yield f"tune: validation: plates: '{plate}' is not in atlas: train_plates ({', '.join(plates)})"
    if set(plates) <= set(validation):
        yield "tune: validation: plates: holds out all train plates; leave at least one to train on"
    for name, entry in config["strategies"].items() if parts else ():
        if "path" in entry:
            yield (
                f"strategies: {name}: path: an order file numbers all train cells, and tune and compare: "
                "seen_fraction hold some of them out; leave one or the other out"
            )


def _plate_problems(atlas):
    """Which plates there are, and which of their cells are tested on."""
    train, test = atlas["train_plates"], atlas.get("test_plates") or []
    both = sorted(set(map(str, train)) & set(map(str, test)))
    for key, plates in (("train_plates", train), ("test_plates", test)):
        if len(set(map(str, plates))) < len(plates):
            yield f"atlas: {key}: has the same plate twice: {plates}"
    if both:
        yield f"atlas: plate {', '.join(both)} is in train_plates and in test_plates; a plate belongs to one"
    if atlas["split"] and test:
        yield "atlas: `split` divides the train plates, so test_plates must be left out"
    if atlas["split"]:
        yield from _split_problems(atlas["split"])
    if not atlas["split"] and not test:
        yield "atlas: 'test_plates' is missing (or `split`, to divide the cells of the train plates)"
    yield from _name_problems(atlas, [str(plate) for plate in train + test])
    several = len(train) + len(test) > 1 and not atlas["plate_column"]
    if several and "{plate}" not in atlas["plate_file"]:
        yield "atlas: plate_file: must contain {plate}, which stands for each entry of the plates"
    if _unfilled(atlas["plate_file"]):
        yield f"atlas: plate_file: '{atlas['plate_file']}' has a placeholder other than {{plate}}"


def _name_problems(atlas, plates):
    """Names of plates that cannot be, where file names are made from them."""
    parts = {}
    for plate in plates:
        parts.setdefault(file_name(plate), set()).add(plate)
    for part, names in parts.items():
        if len(names) > 1:
            yield f"atlas: plates {' and '.join(sorted(names))} would both be packed as {part}; rename one"
    if "{plate}" in atlas["plate_file"]:
        for plate in plates:
            if "/" in plate:
                yield (
                    f"atlas: plate {plate!r} is not allowed: with plate_file it is part of a file name, "
                    "which has no /; put the folder into atlas: dir or plate_file"
                )
    if atlas["simulate"] and atlas["simulate"]["form"] == "parquet":
        if atlas["plate_column"] != "plate" or "{plate}" in atlas["plate_file"]:
            yield (
                "atlas: simulate: form: parquet writes all plates into one folder; give its name as "
                "plate_file, without {plate}, and `plate_column: plate`"
            )
        for plate in plates:
            if not re.fullmatch("plate[1-9][0-9]*", plate):
                yield f"atlas: plate {plate!r} cannot be simulated; in Parquet they are plate1, plate2, ..."
    elif atlas["simulate"]:
        for plate in plates:
            if not plate.isdecimal() or int(plate) < 1 or str(int(plate)) != plate:
                yield f"atlas: plate {plate!r} cannot be simulated; simulated plates are 1, 2, 3, ..."


def _split_problems(split):
    """Keys of `split` that do not go together, and what is wrong with its sides."""
    given = [key for key in ("column", "columns", "table", "fraction") if key in split]
    if given not in (["column"], ["fraction"], ["columns", "table"], ["columns", "fraction"]):
        yield (
            "atlas: split: give 'column', or 'fraction', or 'columns' with either 'table' or 'fraction'"
            f" (it has: {', '.join(given) or 'none of them'})"
        )
    elif given == ["column"]:
        yield from _side_problems(split)
    elif (split["train"], split["test"], split["ignore"]) != (["train"], ["test"], []):
        yield "atlas: split: train, test and ignore name values of 'column', which is not given"
    if split["seed"] and "fraction" not in split:
        yield "atlas: split: seed is that of a draw, which needs 'fraction'"


def _side_problems(split):
    """Values of the split's column that are on two sides, and sides without any."""
    for side in ("train", "test"):
        if not split[side]:
            yield f"atlas: split: {side}: must not be empty"
    places = {}
    for side in ("train", "test", "ignore"):
        for value in split[side]:
            whole = isinstance(value, float) and value.is_integer()
            places.setdefault(str(int(value) if whole else value), []).append(side)
    for value, sides in places.items():
        if len(sides) > 1:
            yield f"atlas: split: '{value}' is named under {' and '.join(sides)}; a value is on one side"


def _folder_problems(config):
    """Paths, and what only packed plates can be."""
    atlas = config["atlas"]
    for key, text in _paths(config):
        if set(text) & set("{}\n\0"):
            yield f"{key}: {text!r} holds braces, a line break or a null, which paths must not"
    for key in ("plate_column", "split", "genes", "align", "gene_column"):
        if atlas[key] and atlas[key] != "none" and not atlas["pack"]:
            yield f"atlas: {key} acts while packing, so it needs pack: true"
    if atlas["genes"] and atlas["align"] != "none":
        yield (
            "atlas: genes keeps genes that all plates have, align brings plates to one list; give the file "
            "to align instead, which fills the genes that a plate lacks with zeros"
        )
    for task, entry in config["tasks"].items():
        if entry["missing"] == "drop" and not atlas["pack"]:
            yield f"tasks: {task}: missing: drop selects while packing, so it needs atlas: pack: true"
    if atlas["scratch"] and not atlas["pack"]:
        yield "atlas: scratch holds packed plates, so it needs pack: true"
    if atlas["scratch"] and config["training"]["nodes"] > 1:
        yield "atlas: scratch is a folder of one node, so it needs training: nodes: 1"
    packed = atlas["packed_dir"] or f"results/{config['run']}/packed"
    if "\0" in packed + atlas["dir"]:
        return
    for folder in ("results", f"results/{config['run']}", packed):
        if os.path.exists(folder) and not os.path.isdir(folder):
            yield f"{folder}: is a file, and must be a folder: the run writes into it; move it away"
    if atlas["pack"] and os.path.realpath(packed) == os.path.realpath(atlas["dir"]):
        yield f"atlas: packed_dir: {packed} is the folder of the published plates; packed ones need another"


def overwritten_plates(plates):
    """Lines about published plates in whose place a packed one would go.

    plates: see inspection.atlas.check_atlas.
    """
    published = {os.path.realpath(plate["source"]) for plate in plates}
    for plate in plates:
        if plate["packed"] and os.path.realpath(plate["packed"]) in published:
            yield (
                f"atlas: packed_dir: {plate['packed']} is a published plate, which packing would overwrite; "
                "choose another folder"
            )


def _draw_problems(entry, tasks):
    """Keys of a strategy that need each other, and a task that there is not."""
    if entry.get("task") not in (None, *tasks):
        yield f"task: '{entry['task']}' is not a task ({', '.join(tasks)})"
    without, size = entry.get("replace") is False, entry.get("sampling_size")
    if without and not size:
        yield "replace: false needs sampling_size, the size of a round of draws"
    if without and not entry.get("total_size"):
        yield "replace: false needs total_size, the draws an epoch"
    if not without and size:
        yield "sampling_size only goes with replace: false"


def _paths(config):
    """(key, text) of everything that becomes a path."""
    atlas = config["atlas"]
    yield "run", config["run"]
    yield from ((f"atlas: {key}", atlas[key] or "") for key in ("dir", "genes", "align", "packed_dir"))
    yield "atlas: plate_file", atlas["plate_file"].replace("{plate}", "")
    if "{plate}" in atlas["plate_file"]:
        plates = atlas["train_plates"] + (atlas.get("test_plates") or [])
        yield from (("atlas: plates", str(plate)) for plate in plates)
    yield from (("tasks", task) for task in config["tasks"])
    yield from (("strategies", name) for name in config["strategies"])
    for name, entry in config["strategies"].items():
        yield f"strategies: {name}: path", entry.get("path", "")
    for task, entry in config["tasks"].items():
        if entry.get("lookup"):
            yield f"tasks: {task}: lookup: table", entry["lookup"]["table"]
    if "table" in (atlas["split"] or {}):
        yield "atlas: split: table", atlas["split"]["table"]


def _unfilled(plate_file):
    """Whether there are braces other than those of a plain {plate}: a width would be one of any size."""
    try:
        fields = [field[1:] for field in Formatter().parse(plate_file) if field[1] is not None]
    except ValueError:
        return True
    return any(field != ("plate", "", None) for field in fields)
