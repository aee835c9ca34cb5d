"""The plates of a folder, in whichever form they come, and the pattern of their names."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from cellshuffle.atlas.h5ad import h5ad_files
from cellshuffle.atlas.parquet import data_files
from cellshuffle.atlas.zarr_store import is_store
from cellshuffle.errors import InputError
from cellshuffle.phrasing import natural_key
from cellshuffle.planning.names import UNPRINTABLE

ENDINGS = (".h5ad", ".zarr", ".zarr.zip")
# Forms in the order in which they are taken from a folder that has several: (one, more of them).
FORMS = {
    "h5ad": ("h5ad file", "h5ad files"),
    "zarr": ("zarr store", "zarr stores"),
    "parquet": ("folder of Parquet files", "folders of Parquet files"),
}


@dataclass
class Found:
    """The plates of a folder.

    folder: what `atlas: dir` is; files: their paths; form: a key of FORMS; pattern, names: `plate_file`, and
    what stands for {plate} in it; beside: {other form: how many there are, which are left out}.
    """

    folder: Path
    files: list
    form: str
    pattern: str
    names: list
    beside: dict

    def words(self):
        """How many there are, in words: "3 zarr stores"."""
        return f"{len(self.files)} {FORMS[self.form][len(self.files) > 1]}"


def find_plates(folder):
    """The Found plates of a folder; InputError says why there are none."""
    if not folder.exists():
        raise InputError(f"{folder}: there is no such folder; ATLAS is the folder of the plates")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; give the folder it is in: ATLAS={folder.parent}")
    if is_store(folder):
        above = folder.absolute().parent
        raise InputError(f"{folder}: is a zarr store; give the folder it is in: ATLAS={above}")
    found = _by_form(folder)
    if not found and data_files(folder):  # the folder of the cells itself, as `data` of a download
        folder, found = folder.absolute().parent, {"parquet": [folder]}
    if not found:
        raise InputError(f"{folder}: has no *.h5ad files, zarr stores or Parquet files{_instead(folder)}")
    form, *others = found
    files = found[form]
    for path in files:
        if UNPRINTABLE.search(path.name) or set(path.name) & set("{}"):
            raise InputError(f"{str(path)!r}: has braces or control characters in its name; rename the file")
    pattern, names = name_pattern([path.name for path in files])
    return Found(folder, files, form, pattern, names, {other: len(found[other]) for other in others})


def _by_form(folder):
    """{form: sorted paths} of the plates of a folder, without forms of which it has none."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    folders = [path for path in inside if path.is_dir()]
    stores = {path for path in folders if is_store(path)} | {
        path for path in inside if path.name.endswith(".zarr.zip")
    }
    found = {
        "h5ad": h5ad_files(folder),
        "zarr": stores,
        "parquet": [path for path in folders if path not in stores and data_files(path)],
    }
    return {form: sorted(paths, key=lambda p: natural_key(p.name)) for form, paths in found.items() if paths}


def _instead(folder):
    """What a folder without plates has."""
    below = sorted(
        (path for path in folder.iterdir() if path.is_dir() and _by_form(path)),
        key=lambda path: natural_key(path.name),
    )
    if below:
        more = f" (and {len(below) - 1} more)" if len(below) > 1 else ""
        return f", but {below[0]} has{more}; give that: ATLAS={below[0]}"
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if not names:
        return ": it is empty"
    packed = [name for name in names if ".h5ad." in name.lower()]
    if packed:
        return f"; {packed[0]} is compressed or not complete: decompress it (gunzip) or load it anew first"
    return f" (it has {', '.join(names[:3])}{', ...' * (len(names) > 3)}); convert them to h5ad with anndata"


def name_pattern(names):
    """(plate_file pattern, plates) of file names: what they have in common, and where they differ.

    Letters before a number belong to its name, as in C144, but for the word plate: numbers alone stay
    numbers, so that a plate is 3 and not "3".
    """
    if len(names) == 1:
        return names[0], ["all"]
    start = _common(names)
    end = _common([name[len(start) :][::-1] for name in names])[::-1]
    start = re.sub(r"\d+$", "", start)  # plate1 and plate10 have "plate" in common, not "plate1"
    end = re.sub(r"^\d+", "", end)
    numbers = all(name[len(start) : len(name) - len(end)].isdecimal() for name in names)
    if not numbers or not re.search(r"(^|[^A-Za-z])(plate)?$", start, re.IGNORECASE):
        start = re.sub(r"[A-Za-z0-9]+$", "", start)  # liver and lung have no "l" in common
    if not numbers:
        end = re.sub(r"^[A-Za-z0-9]+", "", end)
    plates = [name[len(start) : len(name) - len(end)] for name in names]
    if not all(re.match(r"[^\W_]", plate) for plate in plates):
        ending = next((end for end in ENDINGS if all(name.endswith(end) for name in names)), "")
        start, end, plates = "", ending, [name.removesuffix(ending) for name in names]
    pattern = f"{start}{{plate}}{end}"
    if all(str(int(plate)) == plate for plate in plates if plate.isdigit()):
        plates = [int(plate) if plate.isdigit() else plate for plate in plates]
    return pattern, plates


def _common(names):
    """Longest common beginning."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)
