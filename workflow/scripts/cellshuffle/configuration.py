"""What is wrong with a configuration, a line a finding."""

import copy
import difflib
import math
import os

from jsonschema import Draft202012Validator, validators

KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
    "null": "null",
}


# 64.0 is no whole number here: what is counted is used as an index; .nan and .inf are no numbers.
Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ).redefine(
        "number",
        lambda _, value: (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ),
    ),
)


def schema_problems(config, schema):
    """Lines that say which key breaks the schema, how, and what would be right."""
    lines = []
    for error in Validator(schema).iter_errors(config):
        for part in _innermost(error):
            lines.extend(_lines(part))
    return sorted(set(lines))


def fill_defaults(config, schema):
    """Give `config` the default of every key it lacks, in place.

    Snakemake's own `validate` does this too, but fails on optional sections that are null.
    """
    checked = Draft202012Validator.VALIDATORS["properties"]

    def with_defaults(validator, properties, instance, schema):
        if isinstance(instance, dict):
            for key, part in properties.items():
                if isinstance(part, dict) and "default" in part:
                    instance.setdefault(key, copy.deepcopy(part["default"]))
        yield from checked(validator, properties, instance, schema)

    filling = validators.extend(Validator, {"properties": with_defaults})
    list(filling(schema).iter_errors(config))


def _innermost(error):
    """Of alternatives, the errors of the one that came closest."""
    if not error.context:
        return [error]
    branches = {}
    for part in error.context:
        branches.setdefault(part.schema_path[0], []).append(part)
    kinds = [
        p for p in branches.values() if not any(e.validator == "type" and not e.path for e in p)
    ]
    best = min(kinds or branches.values(), key=len)
    return [inner for part in best for inner in _innermost(part)]


def _lines(error):
    where = ": ".join(map(str, error.absolute_path)) or "the configuration"
    wrong, limit = error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            for key in sorted(set(map(str, wrong)) - set(known)):
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
                yield f"{where}: unknown key '{key}'; {hint}"
        case "required":
            for key in limit:
                if key not in wrong:
                    yield f"{where}: '{key}' is missing"
        case "type" if "propertyNames" in error.absolute_schema_path:
            yield f"{where}: the name {wrong!r} is not text to YAML; put it in quotes"
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            hint = "; write 1.0e-4, YAML takes 1e-4 for text" if _is_number(wrong) else ""
            yield f"{where}: {wrong!r} is not {' or '.join(KINDS[kind] for kind in kinds)}{hint}"
        case "enum":
            yield f"{where}: {wrong!r} is not one of {', '.join(map(str, limit))}"
        case "minItems" | "minProperties":
            yield f"{where}: must not be empty"
        case "maxProperties":
            yield f"{where}: has {len(wrong)} entries, at most {limit} are allowed"
        case "uniqueItems":
            yield f"{where}: has the same entry twice: {wrong}"
        case "minimum" | "exclusiveMinimum":
            word = "at least" if error.validator == "minimum" else "above"
            yield f"{where}: {wrong} must be {word} {limit}"
        case "maximum" | "exclusiveMaximum":
            word = "at most" if error.validator == "maximum" else "below"
            yield f"{where}: {wrong} must be {word} {limit}"
        case "minLength":
            yield f"{where}: must not be empty"
        case "pattern":
            yield (
                f"{where}: '{wrong}' is not allowed; use letters, digits and _ (in names of runs and "
                "plates also . and -), beginning with a letter"
            )
        case _:
            yield f"{where}: {error.message}"


def _is_number(text):
    try:
        return isinstance(text, str) and "e" in text.lower() and float(text) is not None
    except ValueError:
        return False


def balanced_labels(config):
    """Tasks or obs columns whose combinations the weights balance; the config holds its defaults."""
    tasks = config["tasks"]
    plain = [task for task in tasks if not tasks[task].get("lookup")]
    return config["weights"]["balance"] or plain or list(tasks)


def sense_problems(config):
    """Lines about what a schema cannot say; `config` has passed it and holds its defaults."""
    yield from _plate_problems(config["atlas"])
    yield from _folder_problems(config)
    for name, entry in config["strategies"].items():
        yield from (f"strategies: {name}: {line}" for line in _draw_problems(entry))
    for label in sorted({"count", "weight"} & set(balanced_labels(config))):
        yield (
            f"weights: balance: '{label}' is a column of its own in weights/combinations.csv; balance a task "
            "of another name that has it as its column"
        )
    training = config["training"]
    if training["world_size"] % training["nodes"]:
        yield (
            f"training: world_size: {training['world_size']} processes cannot be spread evenly over "
            f"{training['nodes']} nodes"
        )
    baseline, task = config["compare"]["baseline"], config["figures"]["task"]
    if baseline is not None and baseline not in config["strategies"]:
        yield f"compare: baseline: '{baseline}' is not a strategy ({', '.join(config['strategies'])})"
    if task is not None and task not in config["tasks"]:
        yield f"figures: task: '{task}' is not a task ({', '.join(config['tasks'])})"


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
    if atlas["split"] and ("column" in atlas["split"]) == ("fraction" in atlas["split"]):
        yield "atlas: split: give either 'column' or 'fraction'"
    if not atlas["split"] and not test:
        yield "atlas: 'test_plates' is missing (or `split`, to divide the cells of the train plates)"
    several = len(train) + len(test) > 1 and not atlas["plate_column"]
    if several and "{plate}" not in atlas["plate_file"]:
        yield "atlas: plate_file: must contain {plate}, which stands for each entry of the plates"
    if _unfilled(atlas["plate_file"]):
        yield f"atlas: plate_file: '{atlas['plate_file']}' has a placeholder other than {{plate}}"


def _folder_problems(config):
    """Paths, and what only packed plates can be."""
    atlas = config["atlas"]
    for key, text in _paths(config):
        if set(text) & set("{}\n\0"):
            yield f"{key}: '{text}' holds braces or a line break, which paths must not"
    for key in ("plate_column", "split", "genes"):
        if atlas[key] and not atlas["pack"]:
            yield f"atlas: {key} selects while packing, so it needs pack: true"
    if atlas["scratch"] and not atlas["pack"]:
        yield "atlas: scratch holds packed plates, so it needs pack: true"
    if atlas["scratch"] and config["training"]["nodes"] > 1:
        yield "atlas: scratch is a folder of one node, so it needs training: nodes: 1"
    packed = atlas["packed_dir"] or f"results/{config['run']}/packed"
    if "\0" in packed + atlas["dir"]:
        return
    if atlas["pack"] and os.path.realpath(packed) == os.path.realpath(atlas["dir"]):
        yield f"atlas: packed_dir: {packed} is the folder of the published plates; packed ones need another"


def _draw_problems(entry):
    """Keys of a weighted strategy that need each other."""
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
    yield from ((f"atlas: {key}", atlas[key] or "") for key in ("dir", "genes", "packed_dir"))
    yield "atlas: plate_file", atlas["plate_file"].replace("{plate}", "")
    plates = atlas["train_plates"] + (atlas.get("test_plates") or [])
    yield from (("atlas: plates", str(plate)) for plate in plates)
    yield from (("tasks", task) for task in config["tasks"])
    yield from (("strategies", name) for name in config["strategies"])
    for task, entry in config["tasks"].items():
        if entry.get("lookup"):
            yield f"tasks: {task}: lookup: table", entry["lookup"]["table"]


def _unfilled(plate_file):
    try:
        plate_file.format(plate="1")
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        return True
    return False
