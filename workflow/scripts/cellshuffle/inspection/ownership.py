"""Files of the user in places that a run writes to: reported before anything is made, never overwritten."""

import csv
import os

from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.writer import SIMULATED
from cellshuffle.errors import InputError
from cellshuffle.packing.origin import packed_format


def not_packed(plates):
    """A line about files that cellshuffle did not pack where packed plates go; plates: see inspect_atlas."""
    packed = [plate["packed"] for plate in plates if plate["packed"]]
    # Existence is asked last: another run may be replacing the plate at this moment.
    foreign = [path for path in packed if packed_format(path) is None and os.path.exists(path)]
    yield from _line_about(
        foreign,
        "was not packed by cellshuffle, or is damaged, and packing would overwrite it; move it away, or "
        "choose another atlas: packed_dir",
    )


def not_simulated(plates, table):
    """A line about files that cellshuffle did not simulate where simulated ones go.

    plates: see check_atlas; table: path of the drug table.
    """
    checks = dict.fromkeys((plate["source"] for plate in plates), is_simulated)
    checks[table] = is_simulated_table
    foreign = [path for path, check in checks.items() if os.path.exists(path) and not check(path)]
    yield from _line_about(
        foreign,
        "was not simulated by cellshuffle, or is damaged, and would be overwritten by a simulated one; "
        "move it away, remove atlas: simulate from the configuration, or choose another atlas: dir",
    )


def is_simulated(path):
    """Whether a plate, or a folder of plates, says that it was simulated; False if it cannot be read."""
    try:
        with open_plate(path) as file:
            return SIMULATED in file.attrs
    except InputError:
        return False


def is_simulated_table(path):
    """Whether a drug table says that it was simulated; False if it cannot be read."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return SIMULATED in (csv.DictReader(file).fieldnames or [])
    except (OSError, ValueError, csv.Error):
        return False


def _line_about(paths, text):
    """One line about the first of `paths`, if there are any."""
    rest = f" (and the same of {len(paths) - 1} more)" if len(paths) > 1 else ""
    yield from (f"{path}: {text}{rest}" for path in paths[:1])
