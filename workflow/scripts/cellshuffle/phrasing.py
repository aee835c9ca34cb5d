"""How names of the configuration and numbers are written for people."""

import re
import unicodedata

METRIC_NAMES = {
    "loss": "loss (nats)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "macro_f1_present": "macro F1, classes present",
}
JOINERS = "\u200c\u200d"  # without which words of some scripts are misspelt


def one_line(name):
    """A name of the data or the configuration as it is written, in one line that disturbs nothing around it.

    White space becomes single blanks. Characters that are not seen, or that turn the text around them
    (control characters, directional marks), become their codes.

    >>> one_line("T cell\\n\u202e CD4")
    'T cell \\\\u202e CD4'
    """
    text = " ".join(str(name).split())
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in hidden and character not in JOINERS
        else character
        for character in text
    )


def join_words(names):
    """`a`, `a and b`, `a, b and c`."""
    names = list(names)
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def plate_ranges(numbers):
    """[14] -> `plate 14`; [1, 2, 3, 5] -> `plates 1-3 and 5` (with an en dash)."""
    numbers = list(numbers)
    if not all(isinstance(number, int) for number in numbers):
        runs = [str(number) for number in numbers]
    else:
        spans = []
        for number in numbers:
            if spans and number == spans[-1][1] + 1:
                spans[-1][1] = number
            else:
                spans.append([number, number])
        runs = [str(a) if a == b else f"{a}\N{EN DASH}{b}" for a, b in spans]
    return ("plate " if len(numbers) == 1 else "plates ") + join_words(runs)


def duration(seconds):
    """`8 s`, `2.5 min`, `3.1 h`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def byte_words(n_bytes):
    """`12 kB`, `3.4 MB`, `850 GB`."""
    unit = min(4, max(1, (len(str(int(n_bytes))) - 1) // 3))
    return f"{n_bytes / 1000**unit:,.3g} {' kMGT'[unit]}B"


def cells_have(number):
    """The beginning of a sentence about a number of cells.

    >>> cells_have(1), cells_have(1200)
    ('1 cell has', '1,200 cells have')
    """
    return "1 cell has" if number == 1 else f"{number:,} cells have"


def mean_sd(mean, sd):
    """`0.345 ± 0.012`, or the mean alone when there is one seed."""
    return f"{mean:.3f}" if sd != sd else f"{mean:.3f} ± {sd:.3f}"


def signed(value, digits=3):
    """`+0.012`, `-0.012`, and `0.000` for what rounds to zero."""
    return f"{value:+z.{digits}f}" if round(value, digits) else f"{0:.{digits}f}"


def hidden_words(hidden):
    """`a hidden layer of 512 units (ReLU)`, `hidden layers of 512 and 256 units (ReLU)`."""
    layers = "hidden layers" if len(hidden) > 1 else "a hidden layer"
    return f"{layers} of {join_words(map(str, hidden))} units (ReLU)"


def test_set_name(config):
    """`plate 14`; `held-out cells`, or combinations, where plates are divided into train and test cells."""
    atlas = config["atlas"]
    if not atlas.get("split"):
        return plate_ranges(atlas["test_plates"])
    columns = atlas["split"].get("columns")
    return f"held-out combinations of {join_words(columns)}" if columns else "held-out cells"


def split_words(split):
    """[a sentence on how `atlas: split` divides the cells]; empty where plates are tested on."""
    if not split:
        return []
    if "column" in split:
        return [f"The obs column {split['column']} says which cells are trained on and which are tested on."]
    share = f"About {split['fraction']:.3g} of the" if "fraction" in split else "The"
    how = f"drawn with seed {split['seed']}," if "fraction" in split else f"named in {split['table']}"
    if "columns" not in split:
        return [f"{share} cells, {how} are tested on."]
    return [
        f"{share} combinations, {how} are held out: all of their cells are tested on, none is trained on."
        if "fraction" in split
        else f"{share} combinations {how} are held out: all of their cells are tested on, none is trained on."
    ]


def natural_key(name):
    """Sort key for natural order: `plate 2` before `plate 10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
