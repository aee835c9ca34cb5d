"""Names that may be one name in several spellings: case, blanks, Unicode forms, numbers written otherwise."""

import unicodedata

from cellshuffle.atlas.names import whole_number
from cellshuffle.phrasing import join_words

# What programs and people write for a missing value where a column is text.
PLACEHOLDERS = (
    "", "nan", "nat", "<na>", "na", "n/a", "n.a.", "none", "null", "unknown", "unk", "unassigned",
    "undefined", "not available", "not applicable", "not provided", "missing", "-", "?",
)  # fmt: skip


def plain(name):
    """What all spellings of a name have in common.

    >>> plain(" T  Cell") == plain("t cell"), plain("2.0"), plain("\N{FULLWIDTH LATIN SMALL LETTER A}")
    (True, '2', 'a')
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = (letter for letter in text if unicodedata.category(letter) != "Cf")
    return whole_number(" ".join("".join(visible).split()))


def is_placeholder(name):
    """Whether a name stands for no value: `nan`, `None`, `unknown`, nothing at all."""
    return plain(name) in PLACEHOLDERS


def spellings(names):
    """Lists of names, two or more each, that differ in their spelling alone; in the order of `names`."""
    groups = {}
    for name in names:
        groups.setdefault(plain(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def quoted(names):
    """Names in quotes; with the codes of their letters where two of them look the same."""
    same = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
    return [ascii(name) if same else repr(name) for name in names]


def spelling_line(group, counts):
    """A warning about the names of a group, the commonest first; counts: {name: cells}, without some."""
    group = sorted(group, key=lambda name: -counts.get(name, 0))
    parts = zip(quoted(group), (counts.get(name, 0) for name in group), strict=True)
    words = join_words(f"{name} ({n:,} cells)" for name, n in parts)
    return f"{words} differ in spelling alone (case, blanks, Unicode form or number); are they one?"
