"""What a packed plate was made of, kept in the plate: folders of packed plates are shared between runs."""

import hashlib
import json
import os
from contextlib import contextmanager

import cellshuffle
from cellshuffle.atlas.checksum import changed
from cellshuffle.atlas.genes import RULES, genes_of_plates
from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.errors import InputError
from cellshuffle.files import sha256
from cellshuffle.fingerprints import code_of
from cellshuffle.packing.format import FORMAT, FORMAT_ATTRIBUTE

NAME = "cellshuffle"  # the attribute
DIFFERENCES = {
    "stamp": "another file",
    "layer": "another layer",
    "select": "other cells or genes",
    "aligned": "plates with other genes",
}


def origin(layer, select, stamp):
    """The settings that decide what is packed, as JSON text; a list of genes counts by content.

    layer, select: see packing.pack and selection.select_cells; stamp: size and modification time of
    the published file, None when it is unknown. So is the list of genes that plates are brought to where one
    of them is not there any more. The text names the code as well, see `by_other_code`.
    """
    aligned, align = {}, select.get("align")
    if align:
        there = all(map(os.path.exists, align["plates"]))
        column = select.get("gene_column")
        common = genes_of_plates(align["to"], align["plates"], layer, column) if there else None
        aligned = {"aligned": common and common.digest()}
        select = select | {"align": align["to"] if align["to"] in RULES else "file"}
    genes = select.get("genes")
    if genes and os.path.exists(genes):
        select = select | {"genes": sha256(genes)}
    if "where" in select:  # it may name a million values, more than an attribute can hold, as held_out may
        select = select | {"where": _digest(select["where"])}
    split = select.get("split", {})
    if "held_out" in split:
        select = select | {"split": split | {"held_out": _digest(split["held_out"])}}
    made_of = {"layer": layer, "select": select, "stamp": stamp, "code": _code()} | aligned
    return json.dumps(made_of, sort_keys=True)


def _code():
    """[version, fingerprint of the code that decides what a packed plate holds]."""
    return [cellshuffle.__version__, code_of("packing", "atlas/copying")]


def by_other_code(paths):
    """Those of the packed plates that this version packed, but before its code was edited.

    Versions are told apart by the number of the format; to pack an atlas again takes hours.
    """
    for path in paths:
        try:
            with open_h5ad(path) as file:
                code = _made_of(file).get("code")
        except InputError:  # it is not there, or cannot be read
            continue
        if isinstance(code, list) and code[:1] == [cellshuffle.__version__] and code != _code():
            yield path


def _made_of(file):
    """What an open plate says that it was made of, see `origin`; nothing where that is damaged."""
    try:
        made_of = json.loads(file.attrs.get(NAME, "{}"))
    except (TypeError, ValueError):
        return {}
    return made_of if isinstance(made_of, dict) else {}


def _digest(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def packed_format(path):
    """Number of the format of a packed plate, 0 of one from before formats had numbers.

    None for a file that cellshuffle did not pack, that is not there or cannot be read.
    """
    try:
        with open_h5ad(path) as file:
            return int(file.attrs.get(FORMAT_ATTRIBUTE, 0)) if NAME in file.attrs else None
    except InputError:
        return None


def outdated(plates):
    """Packed plates that are to be packed again, as (path, a line on it or None).

    plates: [(path, what it is to be made from, see `origin`)]; None for one that belongs to no run in
    particular, which counts as outdated by its format alone. Parameters of the rule would not do: Snakemake
    knows them only in the folder from which it packed, and as long as nobody deletes `.snakemake`.
    """
    for path, text in plates:
        number = packed_format(path)
        if number not in (None, FORMAT):
            yield path, f"{path}: packed in format {number} by another version; packing it again"
        elif number and text and differences(path, text):
            yield path, None


def check_origin(path, text):
    """Raise InputError when a packed plate is in another format or was made of something else."""
    with open_h5ad(path) as packed:
        attributes = dict(packed.attrs)
    if NAME not in attributes:
        raise InputError(
            f"{path}: was not packed by cellshuffle; move it away, or choose another atlas: packed_dir"
        )
    number = attributes.get(FORMAT_ATTRIBUTE, 0)
    if number != FORMAT:
        raise InputError(
            f"{path}: another version packed it in format {number}, this one reads format {FORMAT}; delete "
            "it, and it is packed again"
        )
    differ = differences(path, text)
    if differ:
        raise InputError(
            f"{path}: was packed from {' and '.join(differ)} by another run; delete it, or give this run "
            "an atlas: packed_dir of its own"
        )
    damaged = changed(path, ("obs", "var"))  # of which labels are made; X is read by `cellshuffle check`
    if damaged:
        raise InputError(
            f"{path}: {' and '.join(damaged)} changed since it was packed; delete it to pack it again"
        )


@contextmanager
def advising(paths):
    """Add what to do to an InputError about one of these plates, where it is a packed one."""
    try:
        yield
    except InputError as error:
        text = str(error)
        about = next((path for path in paths if text.startswith(f"{path}: ")), None)
        if about is None or "delete it" in text or packed_format(about) is None:
            raise
        raise InputError(f"{text}; delete it to pack it again") from None


def differences(path, text):
    """What a packed plate was made of other than `text` says, in words."""
    with open_h5ad(path) as packed:
        packed_from, expected = _made_of(packed), json.loads(text)
    same_request = packed_from.get("select") == expected["select"]
    for key, counts in (("stamp", True), ("aligned", same_request)):
        if not counts or expected.get(key) is None or packed_from.get(key) is None:
            packed_from[key] = expected.get(key)
    return [words for key, words in DIFFERENCES.items() if packed_from.get(key) != expected.get(key)]
