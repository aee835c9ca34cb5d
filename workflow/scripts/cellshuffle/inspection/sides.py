"""What the train and the test split of an atlas lack: cells, labels, values of the column that divides."""

import os
from collections import Counter

from cellshuffle.atlas.obs import where_words
from cellshuffle.atlas.selection import sides_of
from cellshuffle.inspection.combinations import held_out_notes, side_without_cells
from cellshuffle.inspection.orders import order_notes
from cellshuffle.labels.sample_size import too_few_cells, too_few_per_class
from cellshuffle.labels.spelling import plain, quoted, spelling_line, spellings
from cellshuffle.phrasing import cells_have, join_words

SPLITS = ("train", "test")
SHOWN = 20  # values of a column in a message


def unnamed_values(plates):
    """A line about values of the split's column that the configuration does not name.

    plates: an Inspected each, see inspection.atlas.
    """
    counts, split = _divided(plates)
    if not counts:
        return
    sides = sides_of(split)
    unnamed = {name: n for name, n in counts.most_common() if name not in sides}
    if unnamed:
        known = {plain(name): name for name in sides if name is not None}
        words = [_words(name, n, known) for name, n in unnamed.items()]
        others = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        yield (
            f"atlas: split: obs column '{split['column']}' has {', '.join(words[:SHOWN])}{others}, which are "
            "named neither under train nor under test; name every value under train, test or ignore (null: "
            "cells without one)"
        )


def _words(name, n_cells, known):
    if name is None:
        return f"{n_cells:,} cells without a value"
    other = known.get(plain(name))
    near = f"; {quoted([other, name])[0]} is named" if other else ""
    return f"{name!r} ({n_cells:,} cells{near})"


def empty_splits(plates, census):
    """Lines about a split that has no cells at all."""
    counts, split = _divided(plates)
    for side in (side for side in SPLITS if not census.cells[side]):
        if unread := sum(plate.n_cells for plate in plates if plate.entry["split"] == side):
            words = where_words(plates[0].where)
            yield f"atlas: where: none of the {unread:,} {side} cells has {words}"
            continue
        if not counts:
            without = side_without_cells(plates, side)
            yield without or f"atlas: {side}_plates: the {side} split has no cells"
            continue
        wanted = ", ".join("null" if value is None else str(value) for value in split[side])
        there = ", ".join(name for name in list(counts)[:SHOWN] if name is not None)
        yield (
            f"atlas: split: the {side} split has no cells: obs column '{split['column']}' has none of the "
            f"{side} values {wanted} (it has: {there})"
        )


def _divided(plates):
    """(Counter of the cells of each value of the split's column over all plates, the split)."""
    of_train = [plate for plate in plates if plate.entry["split"] == "train" and "column" in plate.split]
    counts = sum((plate.divided for plate in of_train), Counter())
    return counts, of_train[0].split if of_train else None


def warnings_of(plates, census):
    """Lines on what is peculiar about an atlas that can be used.

    plates: an Inspected each; census: the Census of their cells.
    """
    advice = "; hold out fewer of their combinations" if "columns" in plates[0].split else ""
    return [*(line + advice for line in _unseen(census)), *notes_of(plates, census)]


def notes_of(plates, census):
    """`warnings_of` without those on classes of test cells that no train cell has."""
    cells = [
        *_few_test_cells(census),
        *_left_out(plates),
        *_unread(plates),
        *_untrained(plates),
        *_empty_sides(plates),
    ]
    cells += filter(None, census.read_as_zeros.values())
    cells += [*held_out_notes(plates), *_aligned(plates), *order_notes(census.orders)]
    return [*cells, *_plate_spellings(plates), *census.spelling_lines(), *census.missing_word_lines()]


def _few_test_cells(census):
    """Lines on test cells that are too few for the strategies to be compared."""
    few = {}
    for task in census.tasks:
        counts = list(census.classes["test"][task].values())
        few.setdefault(too_few_cells(counts) or too_few_per_class(counts), []).append(task)
    for reason, tasks in few.items():
        if reason:
            yield (
                f"tasks: {', '.join(tasks)}: {reason}: the strategies' macro F1 cannot be compared; "
                "test on more cells"
            )


def _left_out(plates):
    """Lines on the cells that a run leaves out, since they have no label."""
    for split in SPLITS:
        of_split = [plate for plate in plates if plate.entry["split"] == split]
        for task in dict.fromkeys(task for plate in of_split for task in plate.left_out):
            n_cells = sum(plate.left_out[task] for plate in of_split)
            if n_cells:
                yield (
                    f"tasks: {task}: {n_cells:,} {split} cells have no label and are left out; "
                    f"{sum(plate.n_cells for plate in of_split):,} {split} cells have one of every task"
                )


def _unread(plates):
    """Lines on the cells that `where` leaves out."""
    for split in SPLITS:
        of_split = [plate for plate in plates if plate.entry["split"] == split and plate.where]
        n_cells, n_read = (sum(getattr(p, name) for p in of_split) for name in ("n_cells", "n_read"))
        if n_read < n_cells:
            yield (
                f"atlas: where: {n_read:,} of {n_cells:,} {split} cells have "
                f"{where_words(of_split[0].where)}; the others are left out"
            )


def _untrained(plates):
    """Lines on values of `where` that test cells have, but no train cell."""
    train, test = (
        sum((plate.wanted for plate in plates if plate.entry["split"] == split), Counter())
        for split in SPLITS
    )
    for (column, name), n_cells in test.items():
        if not train[column, name]:
            yield (
                f"atlas: where: no train cell has the value {name!r} in obs column '{column}'; "
                f"{cells_have(n_cells)} it on the test side"
            )


def _empty_sides(plates):
    """Lines on plates without a cell in their split."""
    for split in SPLITS:
        of_split = [plate for plate in plates if plate.entry["split"] == split]
        empty = [plate.entry["plate"] for plate in of_split if not plate.n_read]
        if empty:
            names = [name.removesuffix(f"-{split}") for name in empty]
            names = join_words(names[:5]) + (" ..." if len(names) > 5 else "")
            yield f"atlas: {len(empty)} of {len(of_split)} plates without {split} cells: {names}"


def _aligned(plates):
    """Lines on the genes of plates that are brought to one list, and differ from it."""
    files = {}
    for plate in plates:
        files.setdefault(plate.aligned, {})[os.path.basename(plate.entry["source"])] = None
    if set(files) == {""}:
        return
    as_they_are = len(files.pop("", ()))
    n_files = as_they_are + sum(map(len, files.values()))
    yield (
        f"atlas: align: {plates[0].entry['select']['align']['to']}: {plates[0].n_genes:,} genes, to which "
        f"{n_files - as_they_are} of {n_files} files are brought"
    )
    for words, names in list(files.items())[:SHOWN]:
        others = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"atlas: align: {', '.join(list(names)[:3])}{others}: {words}"
    if len(files) > SHOWN:
        yield f"atlas: align: {len(files) - SHOWN} more such lines are in the logs of packing"


def _plate_spellings(plates):
    """Lines on plates in an obs column that may be one in several spellings, one of which is used."""
    files = {plate.entry["source"]: Counter(plate.beside) for plate in plates}
    counts = sum(files.values(), Counter())
    used = {plate.entry["select"]["plate"]["value"] for plate in plates if plate.beside}
    for group in spellings(counts):
        if used.intersection(group):
            yield f"atlas: plate_column: the plates {spelling_line(group, counts)}"


def _unseen(census):
    """Lines on classes of test cells that no train cell has."""
    for task, names in census.only_in_test().items():
        test = census.classes["test"][task]
        share = sum(test[name] for name in names) / census.cells["test"]
        first = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
        yield (
            f"tasks: {task}: {len(names)} of {len(test)} classes of the test cells are never seen in "
            f"training ({share:.1%} of the test cells): {first}"
        )
