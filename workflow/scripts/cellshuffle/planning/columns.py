"""Plates, tasks and a split, proposed by the names of files and the values of obs columns."""

import itertools
import re
from dataclasses import dataclass

from cellshuffle.atlas.h5ad import member, open_h5ad, readable
from cellshuffle.atlas.tables import column_names
from cellshuffle.errors import InputError
from cellshuffle.inspection.census import Census
from cellshuffle.phrasing import natural_key

PLATE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"  # as in the schema
MAX_CLASSES = 2000  # of a column that is proposed as a task
PLATE_WORDS = ("plate", "batch", "donor", "sample", "replicate", "experiment", "site", "phase")
FOLD_WORDS = ("split", "fold", "subset")
TEST_WORDS = ("test", "held_out", "heldout", "validation")


@dataclass
class Column:
    """An obs column that all files have."""

    counts: dict  # {value: cells} over all files
    unlabelled: int  # cells without a value
    unreadable: list  # names of the files in which it holds no labels

    def is_complete(self):
        """Whether every cell has a value."""
        return not self.unreadable and not self.unlabelled

    def is_task(self):
        """Whether its values are classes to predict, rather than measurements or names of cells."""
        if not self.is_complete() or not 2 <= len(self.counts) <= MAX_CLASSES:
            return False
        if len(self.counts) > 50 and all(value.lstrip("-").isdigit() for value in self.counts):
            return False  # a measurement, such as the number of genes found
        return 2 * len(self.counts) <= sum(self.counts.values())  # not a name a cell

    def is_plates(self):
        """Whether its values can be names of plates."""
        few = self.is_complete() and 2 <= len(self.counts) <= 100
        return few and all(re.fullmatch(PLATE_NAME, value) for value in self.counts)


@dataclass
class Split:
    """Which cells to test on: plates (files, or values of a column), a fold, or some at random."""

    n_train: int  # cells
    train: list | None = None  # plates; None: all files, divided by `column` or at random
    test: list | None = None  # plates, or values of `column`
    column: str | None = None
    kept: list | None = None  # values of `column` to train on, where it divides the cells


def find_plates(folder):
    """(h5ad files, plate_file pattern, plates) of a folder; InputError without files, or for a bad name."""
    files = sorted(folder.glob("*.h5ad"), key=lambda path: natural_key(path.name))
    if not files:
        raise InputError(f"{folder}: has no *.h5ad files")
    pattern, plates = name_pattern([path.name for path in files])
    for path, plate in zip(files, plates, strict=True):
        if re.fullmatch(PLATE_NAME, str(plate)) is None:
            raise InputError(
                f"{path}: a plate's name has letters, digits, '_', '.' and '-' and begins with a "
                "letter or digit; rename the file"
            )
    return files, pattern, plates


def read_columns(files):
    """{name: Column} of the obs columns that all files have; InputError when there is none."""
    names = {}
    for path in files:
        with open_h5ad(path) as file, readable(path):
            names[path] = column_names(member(file, "obs"))
    common = [name for name in names[files[0]] if all(name in other for other in names.values())]
    if not common:
        columns = "; ".join(f"{path.name}: {', '.join(own)}" for path, own in names.items())
        raise InputError(f"{files[0].parent}: no obs column is in all files ({columns})")
    census = count_cells(files, columns=common)
    return {
        name: Column(
            census.classes["train"][name],
            census.unlabelled[name],
            [path.name for path in files if str(path) in census.unreadable.get(name, [])],
        )
        for name in common
    }


def count_cells(files, **counted):
    """Census of all cells of h5ad files, as if they were trained on; counted: what, see Census."""
    census = Census({}, **counted)
    for path in files:
        with open_h5ad(path) as file, readable(path):
            census.add(file, "train")
    return census


def propose_split(plates, cells, columns):
    """The Split of files to propose.

    plates: names of the files; cells: of each file; columns: {name: Column}.
    """
    if len(plates) > 1:
        return Split(sum(cells[:-1]), plates[:-1], plates[-1:])
    for name, column in columns.items():
        test = [value for value in column.counts if value.lower() in TEST_WORDS]
        if test and name.lower() in FOLD_WORDS and column.is_task():
            train = [value for value in column.counts if value not in test]
            return Split(sum(map(column.counts.get, train)), None, test, name, train)
    for name, column in columns.items():
        if any(word in name.lower() for word in PLATE_WORDS) and column.is_plates():
            *train, test = sorted(column.counts, key=natural_key)
            return Split(sum(map(column.counts.get, train)), train, [test], name)
    return Split(round(0.9 * sum(cells)))


def name_pattern(names):
    """(plate_file pattern, plates) of file names: what they have in common, and where they differ.

    Numbers stay numbers, so that a plate is 3 and not "3".
    """
    if len(names) == 1:
        return names[0], ["all"]
    start = _common(names)
    end = _common([name[len(start) :][::-1] for name in names])[::-1]
    start = re.sub(r"\d+$", "", start)  # plate1 and plate10 have "plate" in common, not "plate1"
    end = re.sub(r"^\d+", "", end)
    if not all(name[len(start) : len(name) - len(end)].isdecimal() for name in names):
        start = re.sub(r"[A-Za-z0-9]+$", "", start)  # liver and lung have no "l" in common
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
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)
