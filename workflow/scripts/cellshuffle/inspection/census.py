"""What the cells of an atlas are, counted once for the check of the input, the plan and the draft."""

import math
from collections import Counter

import numpy as np

from cellshuffle.atlas.h5ad import member
from cellshuffle.atlas.names import count_names
from cellshuffle.atlas.tables import n_rows
from cellshuffle.atlas.zarr_store import zeros_line
from cellshuffle.errors import InputError
from cellshuffle.labels.codes import cells_kept, read_codes, unlabelled_line
from cellshuffle.labels.spelling import is_placeholder, spelling_line, spellings
from cellshuffle.labels.weights import MAX_COMBINATIONS

NO_LIMIT = {"train": None, "test": None}


class Census:
    """Cells of an atlas by split, class and combination; `add` counts those of one plate.

    tasks: the config's {task: {"column", "lookup"?}}; columns: obs columns counted besides; balance:
    tasks and columns whose combinations are counted over the train cells; lookups: {task: {value of
    the column: class}} of the tables that could be read; max_cells: {split: cells used, None: all}.

    Attributes
    ----------
    cells : {split: cells used}
    classes : {split: {task or column: Counter of the cells of each class}}; cells without one do not count
    combinations : Counter of the train cells of each combination of classes, a tuple in the order of
        `balance`, without cells that lack one of them; None where there are too many to count
    values : {obs column: Counter of the cells of each value}, of all splits
    unlabelled : Counter of the cells without a value in each obs column
    unreadable : {obs column: [files in which it cannot be read as labels]}
    read_as_zeros : {(file, obs column): a line on chunks that a zarr store lacks, or None}
    not_in_lookup : {(task, value that its table lacks): [cells a plate]}
    """

    def __init__(self, tasks, columns=(), balance=(), lookups=None, max_cells=NO_LIMIT):
        self.tasks, self.balance = tasks, list(balance)
        self.lookups, self.max_cells = lookups or {}, max_cells
        self.column_of = {task: entry["column"] for task, entry in tasks.items()}
        self.column_of |= {column: column for column in columns if column not in tasks}
        self.cells = dict.fromkeys(max_cells, 0)
        self.classes = {split: {name: Counter() for name in self.column_of} for split in max_cells}
        self.values = {column: Counter() for column in self.column_of.values()}
        self.combinations, self.unlabelled = Counter(), Counter()
        self.unreadable, self.not_in_lookup, self.read_as_zeros = {}, {}, {}
        self.orders = {}  # strategy -> Coverage of its order file

    def add(self, file, split, rows=None):
        """Count the first of the cells `rows` of an open h5ad, as many as max_cells leaves room for.

        rows: (n_cells,) sorted row numbers, None: all. Returns lines on labels that cannot be used.
        """
        available = n_rows(member(file, "obs")) if rows is None else len(rows)
        n_cells = cells_kept(available, self.cells[split], self.max_cells[split])
        self.cells[split] += n_cells
        rows = slice(n_cells) if rows is None else rows[:n_cells]
        balanced, problems = {}, []
        for column in dict.fromkeys(self.column_of.values()):
            try:
                codes, values = read_codes(file, column, rows)
            except InputError as error:
                problems.append(str(error))
                self.unreadable.setdefault(column, []).append(file.filename)
                continue
            self.read_as_zeros |= {(file.filename, column): zeros_line(file, column)}
            unlabelled = int((codes < 0).sum())
            if unlabelled:
                problems.append(unlabelled_line(file.filename, column, unlabelled))
                self.unlabelled[column] += unlabelled
            counts = count_names(codes, values)
            self.values[column].update(counts)
            names = [name for name, source in self.column_of.items() if source == column]
            for name in names:
                self._count_classes(name, split, counts)
            balanced |= {name: (codes, values) for name in names if name in self.balance}
        if split == "train" and self.balance and balanced.keys() == set(self.balance):
            self._count_combinations([balanced[name] for name in self.balance])
        return problems

    def _count_classes(self, name, split, counts):
        """Add {value of the column: cells} to the classes of a task or column."""
        for value, count in counts.items():
            label = self._class_of(name, value)
            if label is not None:
                self.classes[split][name][label] += count
            elif name in self.lookups:  # a table that could not be read is a finding of its own
                self.not_in_lookup.setdefault((name, value), []).append(count)

    def _class_of(self, name, value):
        """The class of a value of the column; None where the lookup table has none."""
        if name in self.tasks and self.tasks[name].get("lookup"):
            return self.lookups.get(name, {}).get(value)
        return value

    def _count_combinations(self, pairs):
        """Add the combinations on one plate; pairs: (codes, values) of each balanced label."""
        classes = [  # of code + 1: a cell without a value, code -1, has the class None
            [None, *(self._class_of(name, value) for value in values.tolist())]
            for name, (_, values) in zip(self.balance, pairs, strict=True)
        ]
        shape = tuple(map(len, classes))
        if self.combinations is None or math.prod(shape) > MAX_COMBINATIONS:
            self.combinations = None
            return
        codes = [codes.astype(np.int64) + 1 for codes, _ in pairs]
        numbers, counts = np.unique(np.ravel_multi_index(codes, shape), return_counts=True)
        for *row, count in zip(*np.unravel_index(numbers, shape), counts.tolist(), strict=True):
            key = tuple(names[code] for names, code in zip(classes, row, strict=True))
            if None not in key:
                self.combinations[key] += count

    def n_classes(self, name):
        """Classes of a task or column in all splits together."""
        return len(set().union(*(classes[name] for classes in self.classes.values())))

    def spelling_lines(self):
        """Warnings about classes that may be one in several spellings.

        Of a task with a lookup table, also about values and keys of the table that are spelled otherwise and
        have other classes.
        """
        for name, column in self.column_of.items():
            of = f"tasks: {name}" if name in self.tasks else f"weights: balance: {name}"
            counts = sum((classes[name] for classes in self.classes.values()), Counter())
            for group in spellings(counts):
                yield f"{of}: the classes {spelling_line(group, counts)}"
            if name not in self.lookups:
                continue
            counts = self.values[column]
            for group in spellings(counts | dict.fromkeys(self.lookups[name], 0)):
                classes = {self._class_of(name, value) for value in group}
                if len(classes) > 1 and any(value in counts for value in group):
                    yield f"{of}: the keys {spelling_line(group, counts)}"

    def missing_word_lines(self):
        """Warnings about classes that look like missing values written as text."""
        for task in self.tasks:
            counts = sum((classes[task] for classes in self.classes.values()), Counter())
            for name in sorted(name for name in counts if is_placeholder(name)):
                yield (
                    f"tasks: {task}: {name!r} ({counts[name]:,} cells) is a class, though it looks like a "
                    "missing value; where it is one, make it one in the file"
                )

    def only_in_test(self):
        """{task: sorted classes of test cells that no train cell has}, of tasks that have any."""
        train, test = self.classes["train"], self.classes["test"]
        only = {task: sorted(test[task].keys() - train[task].keys()) for task in self.tasks}
        return {task: names for task, names in only.items() if names}
