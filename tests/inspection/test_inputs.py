"""Plates that are damaged, or not what they should be: one line says what is wrong, and nothing stays."""

import gzip
import os
import pickle

import anndata
import damage
import numpy as np
import pytest
import scipy.sparse as sp
from atlases import sound_plate
from damage import edit, replace, rewrite, truncate, unlink, value
from runs import SOUND, fails, merged


def of_plate(change):
    """Damage to the path of plate 1."""
    return lambda atlas: change(atlas / "plate1.h5ad")


def inside(change):
    """Damage inside the HDF5 file of plate 1."""
    return of_plate(lambda path: edit(path, change))


def counts(change):
    """Another X of plate 1."""
    return of_plate(lambda path: rewrite(path, X=change))


def nothing(atlas):
    pass


# Damage (a function of the atlas's folder), what the message says, and what else is configured.
FILES = {
    "missing": (lambda a: unlink(a / "plate2.h5ad"), ["plate2.h5ad: there is no such plate"]),
    "broken link": (
        lambda a: unlink(a / "plate2.h5ad").symlink_to("nowhere"),
        ["no such plate", "a link to nowhere"],
    ),
    "truncated": (of_plate(truncate), ["plate1.h5ad: truncated"]),
    "empty file": (of_plate(lambda p: p.write_bytes(b"")), ["is an empty file"]),
    "text file": (of_plate(lambda p: p.write_text("x" * 999)), ["not a readable HDF5"]),
    "pickle": (of_plate(lambda p: p.write_bytes(pickle.dumps([1] * 99))), ["not a readable HDF5"]),
    "gzipped": (
        of_plate(lambda p: p.write_bytes(gzip.compress(p.read_bytes()))),
        ["plate1.h5ad: is not an h5ad file but a file compressed by gzip; decompress it"],
    ),
    "a folder": (
        of_plate(lambda p: unlink(p).mkdir()),
        ["plate1.h5ad: is a folder, but neither a zarr store"],
    ),
    "a pipe": (of_plate(lambda p: os.mkfifo(unlink(p))), ["plate1.h5ad: is not a file"]),
    "no h5ad": (inside(lambda f: f.__delitem__("X")), ["plate1.h5ad: has no X", "obs"]),
    "no obs": (inside(lambda f: f.__delitem__("obs")), ["plate1.h5ad: has no obs"]),
    "same file twice": (
        lambda a: os.link(a / "plate1.h5ad", unlink(a / "plate2.h5ad")),
        ["plate2.h5ad: holds the same cells as atlas/plate1.h5ad"],
    ),
    "copy saved anew": (
        lambda a: anndata.read_h5ad(a / "plate1.h5ad").write_h5ad(a / "plate2.h5ad", compression="gzip"),
        ["plate2.h5ad: holds the same cells as atlas/plate1.h5ad"],
    ),
    "external link": (inside(lambda f: damage.link_out(f, "X/data")), ["a link to another file"]),
    "external link in obs": (
        inside(lambda f: damage.link_out(f, "obs/drug/codes")),
        ["a link to another file"],
    ),
    "external storage": (inside(damage.store_elsewhere), ["stored in another file"]),
}
MATRICES = {
    "no such layer": (nothing, ["has no layers/counts"], {"atlas": {"layer": "counts"}}),
    "other genes": (
        lambda a: rewrite(a / "plate2.h5ad", var=lambda v: v.rename({"g3": "G3", "g5": "G5"})),
        ["plate2.h5ad: 2 genes differ", "g3 / G3"],
    ),
    "fewer genes": (
        lambda a: sound_plate(2, n_genes=20).write_h5ad(a / "plate2.h5ad"),
        ["plate2.h5ad: 20 genes, but"],
    ),
    "no cells": (
        lambda a: sound_plate(2, n_cells=0).write_h5ad(a / "plate2.h5ad"),
        ["plate2.h5ad: has no cells"],
    ),
    "NaN": (counts(value(np.nan)), ["NaN or infinite values"]),
    "infinite": (counts(value(np.inf)), ["NaN or infinite values"]),
    "negative logarithm": (
        counts(value(-2)),
        ["holds negative values", "transform: none"],
        {"training": {"transform": "log1p"}},
    ),
    "no counts": (
        counts(value(0.25)),
        ["no counts (such as 0.25)"],
        {"training": {"transform": "cp10k_log1p"}},
    ),
    "words for counts": (
        inside(lambda f: replace(f, "X/data", np.array([b"a"] * len(f["X/data"])))),
        ["not numbers"],
    ),
    "gene index out of range": (inside(damage.beyond), ["gene index 37 is out of range"]),
    "unsorted indptr": (inside(damage.unsort), ["indptr is not sorted"]),
    "short indices": (
        inside(lambda f: replace(f, "X/indices", f["X/indices"][:-5])),
        ["do not fit together"],
    ),
    "more cells in obs": (
        inside(lambda f: replace(f, "obs/_index", f["obs/_index"][:-5])),
        ["60 rows in X but 55 cells in obs"],
    ),
    "absurd shape": (inside(damage.claim_cells), ["cannot be right"]),
    "absurd claim": (inside(damage.claim_values), ["claims 1000000000000 values"]),
    "CSC without packing": (
        counts(sp.csc_matrix),
        ["CSC", "pack: true"],
        {"atlas": {"pack": False}},
    ),
}
CASES = FILES | MATRICES


@pytest.mark.parametrize("case", CASES)
def test_malformed_plate(sound, case):
    spoil, words, *changes = CASES[case]
    spoil(sound / "atlas")
    fails(words, sound, merged(SOUND, *changes or [{}]), "results/bad/checked.json", cores=1)
    made = [path for path in (sound / "results").rglob("*") if path.is_file()]
    assert {path.suffix for path in made} <= {".log"}


def test_all_findings_come_at_once(sound):
    atlas = sound / "atlas"
    truncate(atlas / "plate1.h5ad")
    unlink(atlas / "plate2.h5ad")
    rewrite(atlas / "plate3.h5ad", X=value(np.nan), obs=lambda obs: obs.drop(columns="line"))
    (atlas / "moa.csv").write_text("drug,moa\nd0,m0\nd0,m1\n")
    words = ["plate1.h5ad: truncated", "plate2.h5ad: there is no", "has two values", "NaN"]
    fails(words, sound, SOUND, cores=1)


def test_the_first_rule_stops_everything(sound):
    edit(sound / "atlas/plate3.h5ad", damage.beyond)
    fails(["plate3.h5ad: X: gene index 37"], sound, SOUND, cores=1)
    assert not list((sound / "results").rglob("*.h5ad"))
