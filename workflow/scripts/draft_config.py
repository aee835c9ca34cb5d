"""A folder of plates in; a configuration draft for them out: `make config ATLAS=folder`."""

import shlex
import sys
from pathlib import Path

import yaml
from cellshuffle.errors import InputError
from cellshuffle.files import write_text
from cellshuffle.planning.draft import FILL_IN, draft


def main(folder, target=None):
    try:
        text = draft(folder, target and Path(target).stem)
    except InputError as error:
        sys.exit(f"error: {error}")
    target = Path(target or f"config/{yaml.safe_load(text)['run']}.yaml")
    if target.exists():
        another = "name another: make config ATLAS=... CONFIG=..."
        sys.exit(f"error: {target} is there already; {another}")
    write_text(target, text)
    name = shlex.quote(str(target))
    unfinished = f" No task could be proposed: write an obs column for {FILL_IN} first." * (FILL_IN in text)
    print(f"{text}\nWritten to {target}.{unfinished} Look it over, then:\n")
    print(f"  make plan CONFIG={name}\n  make run CONFIG={name}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: draft_config.py folder [config.yaml]")
    main(*sys.argv[1:])
