"""What a split by whole combinations of obs columns lacks, and what it holds out."""

from collections import Counter

from cellshuffle.atlas.combinations import held_out_of, spellings_of
from cellshuffle.labels.spelling import plain, quoted

SHOWN = 5  # combinations in a message


def combination_problems(plates):
    """Lines about cells without a combination, and about rows of the table that no cell has.

    plates: an Inspected each, see inspection.atlas.
    """
    counts, split = _combinations(plates)
    for position, column in enumerate(split.get("columns", ())):
        without = sum(n for one, n in counts.items() if one[position] is None)
        if without:
            yield (
                f"atlas: split: columns: {without:,} cells have no value in obs column '{column}', so no "
                "combination; give them one, or leave the cells out: `missing: drop` under a task of it"
            )
    unknown = [one for one in split.get("held_out", ()) if not counts.keys() & set(spellings_of(one))]
    if unknown:
        known = {plain(_name(one)): _name(one) for one in counts if None not in one}
        words = [_in_words(_name(one), known) for one in unknown[:SHOWN]]
        rest = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        yield (
            f"atlas: split: table: no cell has the combination {', '.join(words)}{rest} of "
            f"{_name(split['columns'])}; delete such rows, or write them as in the obs columns"
        )


def side_without_cells(plates, side):
    """A line about a side, "train" or "test", without a combination; None where another split divides."""
    counts, split = _combinations(plates)
    if not counts:
        return None
    drawn = "fraction" in split
    how = f" by fraction {split['fraction']} and seed {split['seed']}" if drawn else ""
    advice = "take other ones, or name combinations in a table" if drawn else "name fewer in the table"
    return (
        f"atlas: split: the {side} split has no cells: {'all' if side == 'train' else 'none'} of the "
        f"{len(counts):,} combinations of {_name(split['columns'])} are held out{how}; {advice}"
    )


def held_out_notes(plates):
    """[a line on how many combinations and cells are held out]; empty where another split divides."""
    counts, split = _combinations(plates)
    if not counts:
        return []
    held_out = held_out_of(counts, split)
    n_cells = sum(counts[one] for one in held_out)
    return [
        f"atlas: split: {len(held_out):,} of {len(counts):,} combinations of {_name(split['columns'])} are "
        f"tested on and never trained on, {n_cells:,} of {counts.total():,} cells"
    ]


def _combinations(plates):
    """(Counter of the cells of each combination over all plates, the split); both empty of another split."""
    of_train = [plate for plate in plates if plate.entry["split"] == "train" and "columns" in plate.split]
    counts = sum((plate.divided for plate in of_train), Counter())
    return counts, of_train[0].split if of_train else {}


def _name(combination):
    return " x ".join(combination)


def _in_words(name, known):
    """A combination in quotes; with the one of the atlas that is perhaps meant."""
    other = known.get(plain(name))
    return f"{quoted([name])[0]} (perhaps {quoted([other])[0]})" if other else quoted([name])[0]
