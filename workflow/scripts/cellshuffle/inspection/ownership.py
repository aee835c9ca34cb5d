"""Files of the user in places that a run writes to: reported before anything is made, never overwritten."""

import csv
import json
import os

from cellshuffle.atlas.checksum import changed, changed_files, read_seal
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.writer import SIMULATED
from cellshuffle.console import about_first
from cellshuffle.errors import InputError
from cellshuffle.fingerprints import fingerprint
from cellshuffle.packing.origin import packed_format


def not_packed(plates):
    """A line about files that cellshuffle did not pack where packed plates go; plates: see inspect_atlas."""
    packed = [plate["packed"] for plate in plates if plate["packed"]]
    # Existence is asked last: another run may be replacing the plate at this moment.
    foreign = [path for path in packed if packed_format(path) is None and os.path.exists(path)]
    yield from about_first(
        foreign,
        "was not packed by cellshuffle, or is damaged, and packing would overwrite it; move it away, or "
        "choose another atlas: packed_dir",
    )


def not_simulated(plates, table, parquet_tables=()):
    """A line about files that cellshuffle did not simulate where simulated ones go.

    plates: see check_atlas; table: path of the drug table; parquet_tables: of those beside Parquet files.
    """
    checks = dict.fromkeys((plate["source"] for plate in plates), is_simulated)
    checks[table] = is_simulated_table
    checks |= dict.fromkeys(parquet_tables, is_simulated_parquet)
    foreign = [path for path, check in checks.items() if os.path.exists(path) and not check(path)]
    yield from about_first(
        foreign,
        "was not simulated by cellshuffle, or is damaged, and would be overwritten by a simulated one; "
        "move it away, remove atlas: simulate from the configuration, or choose another atlas: dir",
    )


def is_simulated(path):
    """Whether a plate, or a folder of plates, says that it was simulated; False if it cannot be read."""
    return _mark(path) is not None


def simulated_from(path):
    """Fingerprint of what a simulated plate or drug table was made from, see simulation.design.made_from.

    None of a file that says nothing of it.
    """
    if os.path.isdir(path):
        return read_seal(path)["made_from"]
    if is_simulated_table(path):
        return _table(path)[0][SIMULATED].partition(" ")[0]
    try:
        return json.loads(_mark(path) or "{}").get("made_from")
    except (ValueError, AttributeError):
        return None


def is_edited(path):
    """Whether a simulated plate, folder of plates or table holds anything but what was written first.

    False of one that was made before files said so. A plate is read for it.
    """
    if os.path.isdir(path) or str(path).endswith(".parquet"):
        return bool(changed_files(path))
    if str(path).endswith(".csv"):
        rows = _table(path)
        _, _, digest = rows[0].get(SIMULATED, "").partition(" ")
        return (
            bool(digest)
            and fingerprint([{k: row[k] for k in row if k != SIMULATED} for row in rows]) != digest
        )
    return bool(changed(path))


def _mark(path):
    """What a plate says of its simulation; None where it says nothing or cannot be read."""
    try:
        with open_plate(path) as file:
            return file.attrs.get(SIMULATED)
    except InputError:
        return None


def is_simulated_parquet(path):
    """Whether its folder says of a Parquet table that it was simulated."""
    return os.path.basename(path) in read_seal(os.path.dirname(path))["files"]


def is_simulated_table(path):
    """Whether a drug table says that it was simulated; False if it cannot be read."""
    try:
        rows = _table(path)
        return bool(rows) and SIMULATED in rows[0]
    except (OSError, ValueError, csv.Error):
        return False


def _table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
