"""What the cells of an atlas are, counted once for the check of the input, the plan and the draft."""

import math
from collections import Counter

import numpy as np

from cellshuffle.atlas.h5ad import member
from cellshuffle.atlas.tables import n_rows
from cellshuffle.errors import InputError
from cellshuffle.labels.codes import cells_kept, count_values, read_codes, unlabelled_line
from cellshuffle.labels.weights import MOST_COMBINATIONS

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
    unlabelled : {column: {file: cells without a value}}
    unreadable : {column: {file: why its cells there cannot be counted}}
    not_in_lookup : {(task, value that its table lacks): [cells a plate]}
    """

    def __init__(self, tasks, columns=(), balance=(), lookups=None, max_cells=NO_LIMIT):
        self.tasks, self.balance = tasks, list(balance)
        self.lookups, self.max_cells = lookups or {}, max_cells
        self.column_of = {task: entry["column"] for task, entry in tasks.items()}
        self.column_of |= {column: column for column in columns if column not in tasks}
        self.cells = dict.fromkeys(max_cells, 0)
        self.classes = {split: {name: Counter() for name in self.column_of} for split in max_cells}
        self.combinations = Counter()
        self.unlabelled, self.unreadable, self.not_in_lookup = {}, {}, {}

    def add(self, file, split, rows=None):
        """Count the first of the cells `rows` of an open h5ad, as many as max_cells leaves room for.

        rows: (n_cells,) sorted row numbers, None: all. Returns lines on labels that cannot be used.
        """
        available = n_rows(member(file, "obs")) if rows is None else len(rows)
        n_cells = cells_kept(available, self.cells[split], self.max_cells[split])
        self.cells[split] += n_cells
        rows = slice(n_cells) if rows is None else rows[:n_cells]
        columns, problems = {}, []
        for column in dict.fromkeys(self.column_of.values()):
            try:
                columns[column] = read_codes(file, column, rows)
            except InputError as error:
                problems.append(str(error))
                self.unreadable.setdefault(column, {})[file.filename] = problems[-1]
                continue
            unlabelled = int((columns[column][0] < 0).sum())
            if unlabelled:
                problems.append(unlabelled_line(file.filename, column, unlabelled))
                by_file = self.unlabelled.setdefault(column, Counter())
                by_file[file.filename] += unlabelled
        counts = {column: count_values(*pair) for column, pair in columns.items()}
        for name, column in self.column_of.items():
            self._count_classes(name, split, counts.get(column, {}))
        if split == "train" and self.balance:
            self._count_combinations(columns)
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

    def _count_combinations(self, columns):
        """Add the combinations on one plate; columns: {obs column: (codes, values)}."""
        pairs = [columns.get(self.column_of[name]) for name in self.balance]
        if self.combinations is None or not all(pairs):  # a column that cannot be read
            return
        # Code -1, no value, becomes 0, the class None.
        classes = [
            [None, *(self._class_of(name, value) for value in values.tolist())]
            for name, (_, values) in zip(self.balance, pairs, strict=True)
        ]
        shape = tuple(map(len, classes))
        if math.prod(shape) > 2**62:
            self.combinations = None
            return
        flat = np.zeros(len(pairs[0][0]), np.int64)
        for (codes, _), size in zip(pairs, shape, strict=True):
            flat = flat * size + codes + 1
        numbers, counts = np.unique(flat, return_counts=True)
        for *codes, count in zip(*np.unravel_index(numbers, shape), counts.tolist(), strict=True):
            key = tuple(names[code] for names, code in zip(classes, codes, strict=True))
            if None not in key:
                self.combinations[key] += count
        if len(self.combinations) > MOST_COMBINATIONS:
            self.combinations = None

    def n_classes(self, name):
        """Classes of a task or column in all splits together."""
        return len(set().union(*(classes[name] for classes in self.classes.values())))

    def only_in_test(self):
        """{task: sorted classes of test cells that no train cell has}, of tasks that have any."""
        only = {
            task: sorted(self.classes["test"][task].keys() - self.classes["train"][task].keys())
            for task in self.tasks
        }
        return {task: names for task, names in only.items() if names}
