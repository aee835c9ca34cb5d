"""Which obs columns to predict, proposed by what they are called, what they hold and what is tested on."""

from dataclasses import dataclass

from cellshuffle.phrasing import cells_have
from cellshuffle.planning.columns import same_classes
from cellshuffle.planning.names import KINDS, kind_of

LABELS = ("cells", "perturbation", "clinical")  # kinds that one would want to predict
MOST_TASKS = 4
COMMONEST = 0.98  # share of the cells in one class beyond which there is nothing to learn
SEEN = 0.5  # share of the test cells whose class training must have
IDENTIFIERS = "_ontology_term_id"  # of columns that repeat another, by numbers


@dataclass
class Candidate:
    """An obs column that could be a task."""

    column: object  # Column
    kind: str
    place: int  # of its word in the names of its kind
    fault: str | None  # why it should not be one
    words: str  # what it holds

    def why(self):
        """What speaks for it, or against."""
        return self.fault or self.words

    def is_worth_a_look(self):
        """Whether a person may want it as a task all the same."""
        if self.fault:
            return self.kind in LABELS and len(self.column.counts) > 1
        return self.kind != "measure"


def candidates(columns, division):
    """Candidates among Columns under a Division, without the column that divides; the best first."""
    columns = [column for column in columns if column.name != division.column]
    found = [_candidate(column, division, columns) for column in columns]
    kinds = [*KINDS, "other", "measure"]
    return sorted(found, key=lambda c: (kinds.index(c.kind), bool(c.column.placeholders()), c.place))


def _candidate(column, division, columns):
    kind, place = kind_of(column.name)
    train, test = ({}, {}) if column.why_no_labels() else division.sides(column)
    fault = _fault(column, train, test, {other.name for other in columns})
    return Candidate(column, kind, place, fault, "" if fault else _words(column, kind, train, test, division))


def _fault(column, train, test, names):
    """Why a column should not be a task; None where it could be one."""
    fault, total = column.why_no_labels(), column.counts.total()
    if fault:
        return fault
    if column.name.endswith(IDENTIFIERS) and column.name.removesuffix(IDENTIFIERS) in names:
        return f"the identifiers of {column.name.removesuffix(IDENTIFIERS)}"
    if column.unlabelled > total:
        return f"{cells_have(column.unlabelled)} no value, more than have one"
    absent = sum(column.placeholders().values())
    if 2 * absent > total:
        return f"text that stands for no value: {_quoted(column.placeholders())}"
    value, n_cells = column.counts.most_common(1)[0]
    if n_cells > COMMONEST * total:
        return f"{n_cells / total:.1%} of the cells are {value}"
    for split, counts in (("train", train), ("test", test)):
        if len(counts) < 2:
            return f"the {split} cells have {f'one value ({next(iter(counts))})' if counts else 'no value'}"
    shared = train.keys() & test.keys()
    unseen = sum(test[value] for value in test.keys() - shared)
    if len(shared) < 2 or unseen > SEEN * test.total():
        return f"{unseen / test.total():.0%} of the test cells have a class that training does not see"
    return None


def _words(column, kind, train, test, division):
    """What a column that can be a task holds."""
    n_cells = max(column.counts.values())
    parts = [KINDS[kind][1]] if kind in KINDS else []
    parts.append(f"{len(column.counts):,} classes, the commonest {n_cells / column.counts.total():.0%}")
    if division.test:
        seen = train.keys() & test.keys()
        parts.append(
            f"{len(seen):,} in train and test" if len(seen) < len(column.counts) else "all in train and test"
        )
    if column.unlabelled:
        parts.append(f"{cells_have(column.unlabelled)} none: left out")
    if column.placeholders():
        parts.append(f"counted as classes: {_quoted(column.placeholders())}")
    return "; ".join(parts)


def _quoted(placeholders):
    return ", ".join(f"{value!r} ({n:,} cells)" for value, n in placeholders.items())


def choose(files, found):
    """(Candidates to propose, the others), of `candidates`."""
    usable = [candidate for candidate in found if not candidate.fault]
    kinds = [LABELS, ("clusters",), ("other",), ("plates",), ("measure",)]
    chosen = []
    for group in kinds:
        has_cells = any(candidate.kind == "cells" for candidate in chosen)
        if chosen and (group != ("clusters",) or has_cells):
            break
        for candidate in (c for c in usable if c.kind in group):
            if len(chosen) == MOST_TASKS:
                break
            twin = next((c for c in chosen if same_classes(files, c.column, candidate.column)), None)
            if twin:
                candidate.fault = f"the same classes as {twin.column.name}, under other names"
            else:
                chosen.append(candidate)
    return chosen, [candidate for candidate in found if candidate not in chosen]
