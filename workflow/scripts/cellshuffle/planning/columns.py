"""What the names of h5ad files have in common, and what tells them apart: their plates."""

import re

PLATE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"  # as in the schema


def name_pattern(names):
    """(plate_file pattern, plates) of file names: what all have in common, and what tells them apart.

    Numbers stay numbers, so that a plate is 3 and not "3".
    """
    if len(names) == 1:
        return names[0], ["all"]
    start = _common(names)
    end = _common([name[::-1] for name in names])[::-1]
    shortest = min(map(len, names))
    end = end[max(0, len(start) + len(end) - shortest) :]
    while start and start[-1].isdigit():  # plate1 and plate10 have "plate" in common, not "plate1"
        start = start[:-1]
    while end and end[0].isdigit():
        end = end[1:]
    numbers = all(re.fullmatch(r"\d+", name[len(start) : len(name) - len(end)]) for name in names)
    if not numbers:  # liver and lung have no "l" in common
        start = re.sub(r"[A-Za-z0-9]+$", "", start)
        end = re.sub(r"^[A-Za-z0-9]+", "", end)
    plates = [name[len(start) : len(name) - len(end)] for name in names]
    if any(re.fullmatch(PLATE_NAME, plate) is None for plate in plates):
        start, end, plates = "", ".h5ad", [name.removesuffix(".h5ad") for name in names]
    pattern = f"{start}{{plate}}{end}"
    if all(str(int(plate)) == plate for plate in plates if plate.isdigit()):
        plates = [int(plate) if plate.isdigit() else plate for plate in plates]
    return pattern, plates


def _common(names):
    """Longest common beginning."""
    first, last = min(names), max(names)
    same = next((k for k, letter in enumerate(first) if letter != last[k]), len(first))
    return first[:same]
