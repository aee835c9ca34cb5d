"""`cellshuffle check`: packed plates against the checksums that they were packed with."""

from collections.abc import Iterable
from pathlib import Path

from cellshuffle.atlas.checksum import changed
from cellshuffle.console import progress, say
from cellshuffle.errors import InputError
from cellshuffle.packing.origin import packed_format


def check_plates(plates: Iterable[Path]) -> None:
    """Read packed plates, and say of each whether it is as it was packed; InputError where one is not."""
    problems = []
    for path in plates:
        if packed_format(path) is None:
            problems.append(f"{path}: was not packed by cellshuffle, or cannot be read")
            continue
        bar = progress(path.stat().st_size, "bytes", f"checking {path.name}")
        parts = changed(path, report=bar.update)
        bar.close()
        if parts:
            problems.append(
                f"{path}: {' and '.join(parts)} changed since it was packed; delete it to pack it again"
            )
        elif parts is None:
            say(f"{path}: packed by a version that wrote no checksum; it cannot be checked")
        else:
            say(f"{path}: as it was packed")
    if problems:
        raise InputError("\n".join(problems))
