"""The configuration's schema in; config/README.md, every key explained, out: `make docs`."""

import json
import sys
from pathlib import Path

import yaml
from cellshuffle.configuration.schema import load_schema
from cellshuffle.files import write_text
from cellshuffle.loading.samplers import LOADING, TRAINING, strategy_schemas, sweep_prefixes

REPOSITORY = Path(__file__).parents[1]
INTRODUCTION = """# Configuration

<!-- Written by `make docs` from workflow/schemas/config.schema.yaml; change that, not this. -->

`config/config.yaml` is the simulated demo, `config/own_atlas.yaml` a commented example for an atlas
of your own, `config/tahoe.yaml` the full Tahoe-100M run, `config/model.yaml` the demo with a hidden
layer in its model, `config/sweep.yaml` block size against fetch factor, `config/orders.yaml` orders of
five loaders. A configuration given with `--configfile` stands alone: it is not mixed with the demo's.
`make config ATLAS=folder` drafts one from your files.

Several configurations are laid over one another, later ones winning: `--configfile config/tahoe.yaml
config/pilot.yaml` is a first try of the full run.

A configuration is trusted as code is: Snakemake itself runs Python that a YAML file holds under
`__use_yte__`, and unfolds its aliases, before cellshuffle can look at it. `make` refuses the first, and
aliases without end; a bare `snakemake --configfile` does not. Read what you were sent before you run it.

Relative paths are looked up in the folder in which Snakemake runs. Everything is checked before the
first job starts: an unknown key or a wrong value stops the run with one line that names it. Only
`atlas` and `tasks` must be given.
"""
KINDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false",
         "array": "list", "object": "keys", "null": "null"}  # fmt: skip


def page(schema):
    """The whole text of config/README.md."""
    parts = [INTRODUCTION]
    for name, section in schema["properties"].items():
        section = resolved(section, schema)
        must = " It must be given." if name in schema["required"] else ""
        parts.append(f"\n## {name}\n\n{section['description']}{must}\n")
        if name == "strategies":
            parts.append(_strategies(section, schema))
        elif "properties" in section:
            parts.append(_table(section, schema))
        elif isinstance(section.get("additionalProperties"), dict):
            parts.append("\nEvery entry has a name of your choice and these keys:\n")
            parts.append(_table(section["additionalProperties"], schema))
        else:
            parts.append(f"\n{_kind(section).capitalize()}; default `{section['default']}`.\n")
    return "".join(parts)


def resolved(part, schema):
    """A part of the schema with what its `$ref` points to."""
    if "$ref" not in part:
        return part
    return schema["$defs"][part["$ref"].rsplit("/", 1)[1]] | part


def _table(section, schema):
    rows = "".join(_rows(section, schema, ""))
    return f"\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _rows(section, schema, prefix):
    for name, part in section["properties"].items():
        part = resolved(part, schema)
        if name in section.get("required", []):
            default = "must be given"
        else:
            default = f"`{_value(part['default'])}`" if "default" in part else ""
        meaning = " ".join(part["description"].split()).replace("|", "\\|")
        yield f"| `{prefix}{name}` | {_kind(part)} | {default} | {meaning} |\n"
        if "properties" in part:
            yield from _rows(part, schema, f"{prefix}{name}: ")


def _strategies(section, schema):
    """The keys of each sampler, and the strategies of a configuration that names none."""
    text = (
        "\nEvery entry has a name of your choice, a `sampler`, and that sampler's keys. Besides, any\n"
        "entry may have a `batch_size`, a `fetch_factor`, a `learning_rate` and `epochs` of its own.\n"
    )
    for sampler, then in strategy_schemas().items():
        own = {k: v for k, v in then["properties"].items() if isinstance(v, dict)}
        own = {k: v for k, v in own.items() if k not in (*LOADING, *TRAINING)}
        text += f"\n`sampler: {sampler}`\n"
        text += _table({"properties": own, "required": then.get("required", [])}, schema)
    lines = "".join(f"  {name}: {_value(e)}\n" for name, e in section["default"].items())
    return text + f"\nThe default:\n\n```yaml\nstrategies:\n{lines}```\n"


def _kind(part):
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    kinds = part.get("type", "string")
    text = " or ".join(KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    for key, words in (("minimum", "at least"), ("exclusiveMinimum", "above"),
                       ("maximum", "at most"), ("exclusiveMaximum", "below")):  # fmt: skip
        if key in part:
            text += f", {words} {part[key]:,}"
    return text


def _value(value):
    if isinstance(value, dict | list):
        return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000).strip()
    return value if isinstance(value, str) else json.dumps(value)


def main():
    schema = load_schema(
        REPOSITORY / "workflow/schemas/config.schema.yaml", strategy_schemas(), sweep_prefixes()
    )
    write_text(REPOSITORY / "config/README.md", page(schema))


if __name__ == "__main__":
    sys.exit(main())
