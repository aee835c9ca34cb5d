"""The obs columns of h5ad files: what each holds, by file or by the values of another column."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from cellshuffle.atlas.h5ad import member, readable
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.tables import column_names
from cellshuffle.errors import InputError
from cellshuffle.inspection.census import Census
from cellshuffle.labels.codes import read_codes
from cellshuffle.labels.spelling import is_placeholder
from cellshuffle.phrasing import cells_have
from cellshuffle.planning.names import UNPRINTABLE, kind_of

MAX_CLASSES = 2000  # of a column that is proposed as a task
MAX_PLATES = 100  # of a column that is proposed for plates
FEWEST_CELLS = 10  # of a plate


@dataclass
class Column:
    """An obs column that all files have."""

    name: str
    counts: Counter  # cells of each value over all files
    unlabelled: int  # cells without a value
    unreadable: list  # names of the files in which it holds no labels
    by_plate: dict = field(default_factory=dict)  # {plate: Counter of the cells of each value}

    def placeholders(self):
        """{value: cells} of text that stands for no value."""
        return {value: n for value, n in self.counts.items() if is_placeholder(value)}

    def why_no_labels(self):
        """Why its values cannot be classes to predict, in a few words; None where they can."""
        n_values, n_cells = len(self.counts), self.counts.total()
        if self.unreadable:
            return "real numbers" + (" in some files" if self.counts else "")
        if n_values < 2:
            return "one value" if n_values else "no values"
        if 2 * n_values > n_cells:
            return "nearly a value a cell"
        if n_values > MAX_CLASSES:
            return f"more than {MAX_CLASSES:,} values"
        if n_values > 50 and all(value.lstrip("-").isdigit() for value in self.counts):
            return f"{n_values} whole numbers, which may be a measurement"
        return None

    def why_no_plates(self):
        """Why its values cannot be names of plates; None where they can."""
        if self.unreadable or not 2 <= len(self.counts) <= MAX_PLATES:
            return self.why_no_labels() or f"more than {MAX_PLATES} values"
        if self.unlabelled:
            return f"{cells_have(self.unlabelled)} none"
        for value in filter(UNPRINTABLE.search, self.counts):
            return f"a plate cannot be called {value!r}"
        if self.placeholders():
            return f"{next(iter(self.placeholders()))!r} is no plate"
        rare = min(self.counts, key=self.counts.get)
        if self.counts[rare] < FEWEST_CELLS:
            return f"{rare} has {self.counts[rare]} cells"
        return None


def read_columns(files, plates):
    """{name: Column} of the obs columns that all files have, by plate; InputError when there is none.

    files: paths; plates: the name of each.
    """
    names = {}
    for path in files:
        with open_plate(path) as file, readable(path):
            names[path] = column_names(member(file, "obs"))
    common = [name for name in names[files[0]] if all(name in other for other in names.values())]
    if not common:
        each = "; ".join(f"{path.name}: {', '.join(own) or 'none'}" for path, own in names.items())
        raise InputError(
            f"{files[0].parent}: no obs column is in all files ({each}); a task is a column that all files "
            "have, under one name: rename it, or move files that do not belong here"
        )
    census = Census({}, columns=common, max_cells=dict.fromkeys(plates))
    for path, plate in zip(files, plates, strict=True):
        with open_plate(path) as file, readable(path):
            census.add(file, plate)
    columns = {}
    for name in common:
        unreadable = [path.name for path in files if str(path) in census.unreadable.get(name, [])]
        by_plate = {plate: census.classes[plate][name] for plate in plates}
        columns[name] = Column(name, census.values[name], census.unlabelled[name], unreadable, by_plate)
    return columns


def columns_of_some_files(files):
    """{obs column that not all files have: names of the files that have it}."""
    found = {}
    for path in files:
        with open_plate(path) as file:
            for name in column_names(member(file, "obs")):
                found.setdefault(name, []).append(path.name)
    return {name: having for name, having in found.items() if len(having) < len(files)}


def by_values(path, divider, columns):
    """{name: {value of the column `divider`: Counter of the cells of each value}} of columns of one file."""
    tables = {}
    with open_plate(path) as file, readable(path):
        plate_codes, plates = read_codes(file, divider, slice(None))
        for name in columns:
            codes, values = read_codes(file, name, slice(None))
            pairs = (plate_codes.astype(np.int64) + 1) * (len(values) + 1) + codes + 1
            found, cells = np.unique(pairs, return_counts=True)
            table = {plate: Counter() for plate in plates.tolist()}
            for pair, n in zip(found.tolist(), cells.tolist(), strict=True):
                plate, value = divmod(pair, len(values) + 1)
                if plate and value:
                    table[str(plates[plate - 1])][str(values[value - 1])] += n
            tables[name] = table
    return tables


def same_classes(files, first, second):
    """Whether two obs columns divide the cells alike, under whatever names."""
    if sorted(first.counts.values()) != sorted(second.counts.values()):
        return False
    names = [first.name, second.name]
    census = Census({}, columns=names, balance=names)
    for path in files:
        with open_plate(path) as file, readable(path):
            census.add(file, "train")
    return census.combinations is not None and len(census.combinations) == len(first.counts)


def by_kind(columns, kind):
    """The columns of a kind, the best name first."""
    chosen = [column for column in columns.values() if kind_of(column.name)[0] == kind]
    return sorted(chosen, key=lambda column: kind_of(column.name)[1])
