"""Which cells to test on, proposed from what the obs columns of h5ad files hold."""

from collections import Counter
from dataclasses import dataclass, field

from cellshuffle.labels.spelling import is_placeholder
from cellshuffle.phrasing import natural_key
from cellshuffle.planning.columns import by_kind, by_values
from cellshuffle.planning.names import SPLITS, side_of, words_of
from cellshuffle.planning.tasks import LABELS, candidates

SMALL, LARGE = (
    0.05,
    0.5,
)  # shares of the cells between which a plate is large enough to test on, and not too large
ENOUGH = 0.1  # share of the cells that is tested on where plates are smaller, and of a random draw
MOST_OF_SEVERAL = 0.3  # share of the cells that several plates are tested on
FEWEST_TEST_CELLS = 10
MAX_FOLDS = 20


@dataclass
class Division:
    """Train and test cells: of plates (files, or values of a column), of a column's values, or at random.

    train, test, ignore: names of plates, or values of `column`; without `test` the draw is at random.
    """

    why: list  # lines of a comment
    column: str | None = None
    train: list = field(default_factory=list)
    test: list = field(default_factory=list)
    ignore: list = field(default_factory=list)
    by_plates: bool = False  # whether the values of `column` are plates
    tables: dict | None = None  # {column: {plate or value: Counter of the cells of each class}}
    cells: dict = field(default_factory=dict)  # of each plate or value

    def sides(self, column):
        """(Counter of the train cells of each class, of the test cells) of a Column."""
        if not self.test:
            return column.counts, column.counts
        table = self.tables[column.name] if self.tables else column.by_plate
        return [
            sum((table.get(value, Counter()) for value in values), Counter())
            for values in (self.train, self.test)
        ]

    def n_train(self, n_cells):
        """Train cells, of so many cells in all."""
        return sum(map(self.cells.get, self.train)) if self.test else round((1 - ENOUGH) * n_cells)


def propose(files, plates, cells, columns):
    """The Division to propose; files: paths; plates: their names; cells: of each; columns: {name: Column}."""
    for column in columns.values():
        sides = _sides_named_by(column)
        if sides:
            return _by_column(files, column, sides, columns)
    if len(files) > 1:
        division = _of_plates(dict(zip(plates, cells, strict=True)), columns, None, [])
        if division and (_labels(columns, division) or not _labels(columns, Division([]))):
            division.why = [f"Held out: {_share(division)}."]
            return division
        why = "files are too unequal to test on one" if division is None else "files differ in their classes"
        return Division([f"About a tenth of every file's cells, each drawn independently: {why}."])
    looked_at = []
    for column in by_kind(columns, "plates"):
        why_not = column.why_no_plates()
        if not why_not:
            labels = [c.name for c in columns.values() if not c.why_no_labels() and c.name != column.name]
            tables = by_values(files[0], column.name, labels)
            division = _of_plates(dict(column.counts), columns, column.name, tables)
            if division and (_labels(columns, division) or not _labels(columns, Division([]))):
                division.why = [
                    f"One file: the {len(column.counts)} values of {column.name} are taken for plates.",
                    f"Held out: {_share(division)}.",
                    *looked_at,
                ]
                return division
            why_not = "held-out values would leave no task" if division else "its values are too unequal"
        looked_at.append(f"Not {column.name}: {why_not}.")
    why = looked_at or ["No obs column is called after plates, donors, batches or the like."]
    return Division(["One file: about a tenth of the cells, each drawn independently, is tested on.", *why])


def _share(division):
    test, total = sum(map(division.cells.get, division.test)), sum(division.cells.values())
    names = ", ".join(map(str, division.test))
    return f"{names} ({test:,} cells, {test / total:.1%})"


def _labels(columns, division):
    """Names of the columns called after labels that could be tasks under a division."""
    found = candidates(columns.values(), division)
    return [candidate.column.name for candidate in found if candidate.kind in LABELS and not candidate.fault]


def _of_plates(cells, columns, column, tables):
    """The Division that holds out plates; None where every choice is too small or too large.

    cells: {plate: cells}; column: the obs column of the plates, None: files; tables: see Division.
    """
    plates, total = sorted(cells, key=lambda plate: natural_key(str(plate))), sum(cells.values())
    plates = plates if column else list(cells)  # files are in order already
    fitting = [[plate] for plate in plates if SMALL * total <= cells[plate] <= LARGE * total]
    if not fitting:
        small, chosen = [plate for plate in plates if cells[plate] < SMALL * total], []
        while small and sum(map(cells.get, chosen)) < ENOUGH * total:
            chosen.insert(0, small.pop())
        fitting = [chosen]
    best, quality = None, -1
    for test in reversed(fitting):
        division, found = _holding_out(test, plates, cells, columns, column, tables)
        best, quality = (division, found) if found > quality else (best, quality)
    while best:  # another plate, where more labels become tasks: of a disease, one patient has one value
        more = [
            _holding_out([*best.test, plate], plates, cells, columns, column, tables)
            for plate in reversed(best.train)
            if sum(map(cells.get, [*best.test, plate])) <= MOST_OF_SEVERAL * total
        ]
        division, found = max(more, key=lambda pair: pair[1], default=(None, -1))
        if found < quality + 1:
            break
        best, quality = division, found
    return best


def _holding_out(test, plates, cells, columns, column, tables):
    """(Division that tests on these plates, its quality): (None, -1) where they are too few or all."""
    train = [plate for plate in plates if plate not in test]
    if not train or sum(map(cells.get, test)) < FEWEST_TEST_CELLS:
        return None, -1
    test = [plate for plate in plates if plate in test]
    division = Division([], column, train, test, [], column is not None, tables or None, cells)
    return division, _quality(columns, division)


def _quality(columns, division):
    """How well test cells tell, in tenths: labels that can be tasks, their classes seen in both splits."""
    quality = 0
    for candidate in candidates(columns.values(), division):
        if candidate.kind in LABELS and not candidate.fault:
            train, test = division.sides(candidate.column)
            shared = train.keys() & test.keys()
            seen = sum(test[value] for value in shared) / max(1, test.total())
            quality += 1 + seen + len(shared) / len(candidate.column.counts)
    return round(quality, 1)


def _sides_named_by(column):
    """{"train", "test", "ignore": values} of a column that divides the cells; None of another."""
    values = list(column.counts)
    if column.unreadable or len(values) < 2:
        return None
    named = bool(set(words_of(column.name)) & set(SPLITS))
    if named and sorted(map(str.lower, values)) == ["false", "true"]:
        truth = next(value for value in values if value.lower() == "true")
        other = next(value for value in values if value != truth)
        trains = "istrain" in words_of(column.name)
        return {"train": [truth if trains else other], "test": [other if trains else truth], "ignore": []}
    if named and len(values) <= MAX_FOLDS and all(map(str.isdecimal, values)):
        values.sort(key=int)
        return {"train": values[:-1], "test": values[-1:], "ignore": []}
    found = {value: side_of(value) for value in values if not is_placeholder(value)}
    if None in found.values() and not named:
        return None
    sides = {side: [v for v in values if found.get(v) == side] for side in ("train", "validation", "test")}
    test = sides["test"] or sides["validation"]
    if not sides["train"] or not test:
        return None
    used = sides["train"] + test
    return {"train": sides["train"], "test": test, "ignore": [v for v in values if v not in used]}


def _by_column(files, column, sides, columns):
    """The Division by a column that says which cells are trained and tested on."""
    labels = [c.name for c in columns.values() if not c.why_no_labels() and c.name != column.name]
    tables = {name: {} for name in labels}
    for path in files:
        for name, table in by_values(path, column.name, labels).items():
            for value, counts in table.items():
                tables[name][value] = tables[name].get(value, Counter()) + counts
    ignore = sides["ignore"] + [None] * bool(column.unlabelled)
    why = [f"The obs column {column.name} says which cells to test on; every value of it is named."]
    if ignore:
        left_out = sum(map(column.counts.get, sides["ignore"])) + column.unlabelled
        why.append(
            f"What is neither train nor test ({left_out:,} cells) is left out; null: cells without a value."
        )
    return Division(
        why, column.name, sides["train"], sides["test"], ignore, False, tables, dict(column.counts)
    )
