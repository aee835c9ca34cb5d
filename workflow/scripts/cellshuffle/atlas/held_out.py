"""Cells of the train plates that no model is trained on: to choose learning rates by, to test on as well."""

import zlib

import numpy as np

from cellshuffle.errors import InputError

PARTS = ("validation", "seen")  # in this order: a cell that both draw is a validation cell


def held_out_cells(sizes, parts):
    """{part: (k,) sorted numbers of its cells in the train split}; a cell is of one part at most.

    sizes: cells of every train plate; parts: {"plates": names of the plates, part: {"plates": names} or
    {"fraction", "seed"}}. A whole plate is held out, or each cell drawn independently, with numbers that
    depend on the seed, the part and the plate's name alone. Raises InputError when a part has no cells, or
    none are left.

    >>> held_out_cells([3, 2], {"plates": ["a", "b"], "validation": {"plates": ["b"]}})
    {'validation': array([3, 4])}
    """
    names, free = parts["plates"], np.ones(sum(sizes), bool)
    found = {}
    for number, part in enumerate(PARTS):
        if part in parts:
            masks = (_mask(n, name, number, parts[part]) for n, name in zip(sizes, names, strict=True))
            found[part] = np.flatnonzero(np.concatenate(list(masks)) & free)
            if not len(found[part]):
                raise InputError(
                    f"no train cell is held out for {part}, of {sum(sizes):,}; take more of them"
                )
            free[found[part]] = False
    if not free.any():
        raise InputError("all train cells are held out, none is left to train on")
    return found


def _mask(n_cells, name, number, part):
    if "plates" in part:
        return np.full(n_cells, name in part["plates"])
    generator = np.random.default_rng(
        [part["seed"], number, zlib.crc32(name.encode(errors="surrogateescape"))]
    )
    return generator.random(n_cells) < part["fraction"]


def cells_kept(parts, sizes):
    """The cells that are in no part of `held_out_cells`: sorted numbers, or a slice of all where none is."""
    if not parts:
        return slice(None)
    free = np.ones(sum(sizes), bool)
    for cells in held_out_cells(sizes, parts).values():
        free[cells] = False
    return np.flatnonzero(free)


def sizes_kept(sizes, kept):
    """(n_plates,) cells of each plate among the `kept`, (k,) sorted numbers; sizes: of the plates."""
    return np.diff(np.searchsorted(kept, np.cumsum([0, *sizes])))
