"""A configuration file as plain data, or one line that says why it is none.

`python -m cellshuffle.configuration.reading config.yaml` prints the folder of its run.
"""

import json
import sys
from pathlib import Path

import yaml

from cellshuffle.errors import InputError

MOST_VALUES = 100_000  # once aliases are written out; a configuration of 60 strategies has 500


def read_config(path):
    """The mapping in a YAML or JSON file; nothing in the file is run.

    Raises InputError with one line where there is no such file, it is no UTF-8, no YAML or no mapping, where
    aliases hold themselves or unfold to more than MOST_VALUES values, and where it asks for `__use_yte__`.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; CONFIG=... names the configuration") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; CONFIG=... names the configuration, a YAML file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save the configuration as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        config = _parsed(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path}: {line}not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    except (RecursionError, ValueError) as error:
        reason = "values are nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(f"{path}: not valid YAML: {reason}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: holds no keys; config/README.md lists those of a configuration")
    if "__use_yte__" in config:
        raise InputError(f"{path}: `__use_yte__` would run Python from a configuration; write its values out")
    return config


def _parsed(text):
    try:
        return json.loads(text)  # JSON may be indented by tabs, which YAML refuses
    except ValueError:
        pass
    _unfolded_size(yaml.compose(text, Loader=yaml.SafeLoader), {})
    return yaml.safe_load(text)


def _unfolded_size(node, sizes):
    """Values of a YAML node with its aliases written out; sizes: {id: size, or None of one begun}.

    Each node is visited once, however often it is used.
    """
    if id(node) in sizes:
        if sizes[id(node)] is None:
            raise InputError(f"line {node.start_mark.line + 1}: an alias holds itself; write the values out")
        return sizes[id(node)]
    sizes[id(node)] = None
    size = 1
    if isinstance(node, yaml.CollectionNode):
        for part in node.value:
            parts = part if isinstance(part, tuple) else (part,)
            size += sum(_unfolded_size(inner, sizes) for inner in parts)
    if size > MOST_VALUES:
        raise InputError(
            f"line {node.start_mark.line + 1}: aliases unfold to more than {MOST_VALUES:,} values; write out "
            "those that are meant"
        )
    sizes[id(node)] = size
    return size


if __name__ == "__main__":
    try:
        print(f"results/{read_config(sys.argv[1]).get('run', 'demo')}")
    except InputError as error:
        sys.exit(f"error: {error}")
