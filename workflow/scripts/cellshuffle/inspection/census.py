"""Labels of the cells that a run will use, counted before anything is packed or encoded."""

from collections import Counter

import numpy as np

from cellshuffle.atlas.h5ad import member
from cellshuffle.atlas.selection import select_cells
from cellshuffle.atlas.tables import column_codes, n_rows
from cellshuffle.errors import InputError
from cellshuffle.labels.weights import possible_combinations


class Labels:
    """Labels of the cells that a run uses, counted by split."""

    def __init__(self, request, lookups):
        self.request, self.lookups = request, lookups
        self.left = {split: n or np.inf for split, n in request["max_cells"].items()}
        self.cells = Counter()  # by split
        names = [*request["tasks"], *request["columns"]]
        self.classes = {split: {name: Counter() for name in names} for split in self.left}
        self.missing = {}  # {(task, value): [counts]}, as labels.missing_lines takes it

    def count(self, file, entry):
        """Add the cells of one plate; returns their number. InputError when a label is missing."""
        source, split = entry["source"], entry["split"]
        n_cells = n_rows(member(file, "obs"))
        select = entry["select"]
        chosen = None
        if any(select.values()):
            chosen = select_cells(source, self.request["layer"], **select).rows
        available = n_cells if chosen is None else len(chosen)
        n = int(min(available, self.left[split]))
        self.left[split] -= n
        self.cells[split] += n
        rows = slice(0, n) if chosen is None else chosen[:n]
        problems, columns = [], {}
        for column in dict.fromkeys(
            [task["column"] for task in self.request["tasks"].values()] + self.request["columns"]
        ):
            try:
                columns[column] = _counts(file, column, rows)
            except InputError as error:
                problems.append(str(error))
        for column in set(self.request["columns"]) & set(columns):
            self.classes[split][column].update(columns[column])
        for task, settings in self.request["tasks"].items():
            for value, count in columns.get(settings["column"], {}).items():
                self._add(task, value, count, split)
        if problems:
            raise InputError("\n".join(problems))
        return available

    def _add(self, task, value, count, split):
        if not self.request["tasks"][task].get("lookup"):
            self.classes[split][task][value] += count
        elif task in self.lookups:
            if value in self.lookups[task]:
                self.classes[split][task][self.lookups[task][value]] += count
            else:
                self.missing.setdefault((task, value), []).append(count)

    def check_combinations(self, findings):
        """Too many combinations of the labels that weights balance become a finding."""
        train, test = self.classes["train"], self.classes["test"]
        n_classes = [
            len(train[name].keys() | test[name].keys()) for name in self.request["balance"]
        ]
        with findings.of("weights: balance"):
            possible_combinations(n_classes)

    def empty_splits(self):
        for split in self.left:
            if self.cells[split] == 0:
                yield f"atlas: {split}_plates: the {split} split has no cells"

    def unseen(self):
        """Warnings: classes of test cells that no train cell has."""
        for task in self.request["tasks"]:
            test = self.classes["test"][task]
            names = sorted(set(test) - set(self.classes["train"][task]))
            if names:
                share = sum(test[name] for name in names) / self.cells["test"]
                shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                yield (
                    f"tasks: {task}: {len(names)} of {len(test)} classes of the test cells are never seen in "
                    f"training ({share:.1%} of the test cells): {shown}"
                )


def _counts(file, column, rows):
    """{value: cells} of an obs column over `rows`."""
    codes, values = column_codes(file, column)
    codes = codes[rows]
    missing = int((codes < 0).sum())
    if missing:
        raise InputError(
            f"{file.filename}: {missing} cells have no value in obs column '{column}'; give them one, or "
            "leave the cells out of the plate"
        )
    if len(codes) and codes.max() >= len(values):
        raise InputError(f"{file.filename}: obs column '{column}' has codes beyond its categories")
    counts = np.bincount(codes, minlength=len(values)).tolist()
    return {value: n for value, n in zip(values.tolist(), counts, strict=True) if n}
