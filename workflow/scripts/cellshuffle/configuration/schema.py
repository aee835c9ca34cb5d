"""What is wrong with a configuration, key by key, a line a finding."""

import copy
import datetime
import difflib
import math
import os
from decimal import Decimal
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, validators

TYPE_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
    "null": "null",
}

NUMBER_AS_TEXT = (
    "; it is text: leave out the quotes, and write 1e-4 as 1.0e-4; within a value of --config numbers "
    "are text too, a second --configfile takes them as they are"
)

BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}

NAMES_ALLOWED = "use letters, digits and _ (in names of runs also . and -), beginning with a letter"

# 64.0 is no whole number here: what is counted is used as an index; .nan and .inf are no numbers.
Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ).redefine(
        "number",
        lambda _, value: (
            (isinstance(value, int) and not isinstance(value, bool))
            or (isinstance(value, float) and math.isfinite(value))
        ),
    ),
)
PATHS = "dir", "plate_file", "packed_dir", "genes", "align", "scratch"  # keys of `atlas`


def load_schema(path, strategies, swept):
    """The schema of the YAML file `path`, completed by what is known of the samplers.

    strategies: {sampler: schema of a strategy that names it}; swept: samplers that `sweep` may name.
    """
    schema = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    sections = schema["properties"]
    strategy = sections["strategies"]["additionalProperties"]
    strategy["properties"]["sampler"]["enum"] = list(strategies)
    strategy["allOf"] = [
        {"if": {"properties": {"sampler": {"const": name}}}, "then": own} for name, own in strategies.items()
    ]
    sections["sweep"]["properties"]["samplers"]["items"]["enum"] = list(swept)
    return schema


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


def tidy_paths(config):
    """Put the home folder in place of a `~` at the beginning of a path, and leave out `./`, in place."""
    lookups = [task["lookup"] for task in config["tasks"].values() if task.get("lookup")]
    paths = [(config["atlas"], key) for key in PATHS]
    paths += [(entry, "path") for entry in config["strategies"].values() if "path" in entry]
    tables = [*lookups, *([config["atlas"]["split"]] if "table" in (config["atlas"]["split"] or {}) else [])]
    for section, key in paths + [(table, "table") for table in tables]:
        section[key] = section[key] and str(Path(os.path.expanduser(section[key])))


def _innermost(error):
    """Of alternatives, the errors of the one that came closest."""
    if not error.context:
        return [error]
    branches = {}
    for part in error.context:
        branches.setdefault(part.schema_path[0], []).append(part)
    candidates = [p for p in branches.values() if not any(e.validator == "type" and not e.path for e in p)]
    best = min(candidates or branches.values(), key=len)
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
            types = [limit] if isinstance(limit, str) else limit
            hint = NUMBER_AS_TEXT if _is_number(wrong) else ""
            if "string" in types and not isinstance(wrong, str | list | dict | None):
                hint = "; put it in quotes" + ", after --config !!str before it" * (where == "run")
            shown = wrong if isinstance(wrong, datetime.date) else repr(wrong)
            yield f"{where}: {shown} is not {' or '.join(TYPE_NAMES[name] for name in types)}{hint}"
        case "enum":
            yield f"{where}: {wrong!r} is not one of {', '.join(map(str, limit))}"
        case "minItems" | "minProperties" | "minLength":
            yield f"{where}: must not be empty"
        case "maxProperties" | "maxItems":
            yield f"{where}: has {len(wrong)} entries, at most {limit} are allowed"
        case "uniqueItems":
            yield f"{where}: has the same entry twice: {wrong}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            upper = "x-limit" in error.schema and error.validator.lower().endswith("maximum")
            reason = f": {error.schema['x-limit']}" if upper else ""
            yield f"{where}: {_short(wrong)} must be {BOUNDS[error.validator]} {_short(limit)}{reason}"
        case "maxLength":
            yield f"{where}: '{wrong[:20]}...' is {len(wrong)} letters long, at most {limit} are allowed"
        case "pattern":
            yield f"{where}: {wrong!r} is not allowed; {error.schema.get('x-allowed', NAMES_ALLOWED)}"
        case _:
            yield f"{where}: {error.message}"


def _short(number):
    """A number as a person writes it, however many digits it has."""
    long = isinstance(number, int) and abs(number) >= 10**18
    return f"{Decimal(number):.3g}" if long else str(number)


def _is_number(text):
    try:
        return isinstance(text, str) and float(text) is not None
    except ValueError:
        return False


def balanced_labels(config):
    """Tasks or obs columns whose combinations the weights balance; the config holds its defaults."""
    tasks = config["tasks"]
    plain = [task for task in tasks if not tasks[task].get("lookup")]
    return config["weights"]["balance"] or plain or list(tasks)
