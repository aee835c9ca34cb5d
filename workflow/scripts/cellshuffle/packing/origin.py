"""What a packed plate was made of, kept in the plate: folders of packed plates are shared between runs."""

import json
import os

import h5py

from cellshuffle.atlas.h5ad import open_h5ad
from cellshuffle.errors import InputError
from cellshuffle.files import sha256

NAME = "cellshuffle"  # the attribute


def origin(layer, select, stamp):
    """The settings that decide what is packed, as JSON text; a list of genes counts by content.

    layer, select: see packing.pack and selection.select_cells; stamp: size and modification time of
    the published file, None when it is unknown.
    """
    genes = select.get("genes")
    if genes and os.path.exists(genes):
        select = select | {"genes": sha256(genes)}
    return json.dumps({"layer": layer, "select": select, "stamp": stamp}, sort_keys=True)


def note_origin(path, text):
    with h5py.File(path, "r+") as packed:
        packed.attrs[NAME] = text


def is_packed(path):
    """Whether cellshuffle packed this file; False for one that is not there or cannot be read."""
    try:
        with open_h5ad(path) as file:
            return NAME in file.attrs
    except InputError:
        return False


def check_origin(path, text):
    """Raise InputError when the packed plate says that it was made of something else."""
    with open_h5ad(path) as packed:
        if NAME not in packed.attrs:
            raise InputError(
                f"{path}: was not packed by cellshuffle; move it away, or choose another atlas: packed_dir"
            )
        found = json.loads(packed.attrs[NAME])
    wanted = json.loads(text)
    if wanted["stamp"] is None or found["stamp"] is None:
        found["stamp"] = wanted["stamp"]
    differ = [key for key in wanted if found.get(key) != wanted[key]]
    words = {"stamp": "another file", "layer": "another layer", "select": "other cells or genes"}
    if differ:
        raise InputError(
            f"{path}: was packed from {' and '.join(words[key] for key in differ)} by another run; delete "
            "it, or give this run an atlas: packed_dir of its own"
        )
