"""Names and values as YAML text, for a configuration that is written line by line."""

import itertools
import json
import re


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
    plain = re.fullmatch(r"[A-Za-z_/.][A-Za-z0-9_/.-]*", text) and text.lower() not in (
        "null", "true", "false", "yes", "no", "on", "off", "y", "n",
    )  # fmt: skip
    return text if plain else json.dumps(text, ensure_ascii=False)  # JSON is YAML


def flow_list(values):
    return "[" + ", ".join(str(v) if isinstance(v, int) else scalar(v) for v in values) + "]"


def one_line(text):
    """Text without line breaks, for a comment."""
    return " ".join(text.split())
