"""Genes matched by name: one list for plates that differ in theirs, and where a plate has each of them."""

import functools
import hashlib
import itertools
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellshuffle.atlas.h5ad import readable
from cellshuffle.atlas.opening import open_plate
from cellshuffle.atlas.stamps import stamp
from cellshuffle.atlas.tables import gene_names
from cellshuffle.errors import InputError
from cellshuffle.files import open_text

RULES = ("intersection", "union")  # of `align`, besides "none" and the path of a file
ENSEMBL = re.compile(r"(ENS[A-Z]*\d{11})\.\d+")  # an Ensembl id with its version
SHOWN = 3  # genes named in a message


@dataclass
class GeneList:
    """The genes that plates are brought to.

    names: (n,) str; versioned: Ensembl ids that a plate or the list has in several versions, so that theirs
    count. The version of any other is no part of its name: plates have it as of different releases.
    """

    names: np.ndarray
    versioned: frozenset

    def numbers(self, names: np.ndarray) -> np.ndarray:
        """(n,) int64: which of the genes `names` of a plate each gene of the list is, -1 of those it lacks.

        >>> GeneList(np.array(["ENSG00000000003.15", "TP53"]), frozenset()).numbers(
        ...     np.array(["TP53", "MYC"])
        ... )
        array([-1,  0])
        """
        place = {_key(name, self.versioned): k for k, name in enumerate(names.tolist())}
        return np.array([place.get(_key(name, self.versioned), -1) for name in self.names.tolist()], np.int64)

    def digest(self) -> str:
        """SHA-256 of the list."""
        return hashlib.sha256(repr((self.names.tolist(), sorted(self.versioned))).encode()).hexdigest()


def _plain(name):
    """A name without the version of an Ensembl id."""
    found = ENSEMBL.fullmatch(name)
    return found[1] if found else name


def _key(name, versioned):
    plain = _plain(name)
    return name if plain in versioned else plain


def common_genes(align: str, plates: Iterable) -> GeneList:
    """The list to which plates are brought.

    align: "intersection", the genes of all plates; "union", those of any; or the path of a text file, one
    gene a line. plates: (path, (n_genes,) str) of each, in their order. Genes have the order and the names of
    the file or of the first plate; those that only later plates have follow in the order of these.
    Raises InputError where a name stands for two genes, or a plate shares none with the list.

    >>> plates = [("a", np.array(["g1", "g2", "g3"])), ("b", np.array(["g3", "g4", "g1"]))]
    >>> [common_genes(align, plates).names.tolist() for align in ("intersection", "union")]
    [['g1', 'g3'], ['g1', 'g2', 'g3', 'g4']]
    """
    listed = [] if align in RULES else [(align, np.array(gene_list(align), str))]
    number_of, plates_of = {}, []  # each name once, and of every plate the numbers of its names
    for path, names in itertools.chain(listed, plates):
        check_unique(path, names)
        numbers = [number_of.setdefault(name, len(number_of)) for name in names.tolist()]
        plates_of.append((path, np.array(numbers, np.int32)))
    every, ids = np.array(list(number_of), str), {}
    id_of = np.array([ids.setdefault(_plain(name), len(ids)) for name in number_of], np.int64)
    several = np.zeros(len(ids), bool)
    for _, numbers in plates_of:
        several |= np.bincount(id_of[numbers], minlength=len(ids)) > 1
    key = np.where(several[id_of], len(ids) + np.arange(len(every)), id_of)  # equal of names that match
    chosen = plates_of[0][1]
    for path, numbers in plates_of[1:]:
        shared = np.isin(key[chosen], key[numbers])
        if not shared.any():
            raise InputError(_nothing_shared(align, every[chosen], path, every[numbers]))
        if align == "intersection":
            chosen = chosen[shared]
        elif align == "union":
            chosen = np.concatenate([chosen, numbers[~np.isin(key[numbers], key[chosen])]])
    return GeneList(every[chosen], frozenset(itertools.compress(ids, several)))


def _nothing_shared(align, genes, path, own):
    shown, others = (", ".join(names[:SHOWN]) for names in (own, genes))
    where = "the plates before it" if align in RULES else align
    return (
        f"{path}: none of its {len(own):,} genes ({shown}, ...) is among the {len(genes):,} of {where} "
        f"({others}, ...); where these are names of another kind, atlas: gene_column takes names from a "
        "column of var"
    )


def check_unique(path: str | Path, names: np.ndarray) -> None:
    """Raise InputError when a name stands for two genes."""
    repeated = [name for name, n in Counter(names.tolist()).items() if n > 1]
    if repeated:
        others = f" and {len(repeated) - SHOWN:,} more" if len(repeated) > SHOWN else ""
        raise InputError(
            f"{path}: the genes {', '.join(repeated[:SHOWN])}{others} are there twice; genes matched by "
            "name need unique ones: take them from another column of var (atlas: gene_column), or make "
            "them unique with `adata.var_names_make_unique()`"
        )


def gene_numbers(there, wanted, path):
    """(len(wanted),) numbers of the genes named in `wanted` among `there`, (n_genes,) str, those of a plate.

    Raises InputError when one is not there, or a name stands for two genes or is given twice.
    """
    if isinstance(wanted, set | frozenset | dict) or not isinstance(wanted, Iterable):
        raise InputError(f"genes: {wanted!r} is no list of names, in an order")
    wanted = np.array([wanted] if isinstance(wanted, str) else list(wanted), str)
    if not len(wanted):
        raise InputError("genes: the list is empty; name at least one gene, or leave it out for all of them")
    order = np.argsort(there, kind="stable")
    low, high = (np.searchsorted(there, wanted, side, order) for side in ("left", "right"))
    if (low == high).any():
        absent = wanted[low == high]
        raise InputError(
            f"{path}: {len(absent)} of {len(wanted)} genes are not among its {len(there)} (first: "
            f"{', '.join(absent[:3])}; it has, for example, {', '.join(there[:3])})"
        )
    for name in wanted[high - low > 1]:
        raise InputError(
            f"{path}: gene '{name}' is there {np.sum(there == name)} times; names must be unique"
        )
    if len(np.unique(wanted)) < len(wanted):
        names, counts = np.unique(wanted, return_counts=True)
        raise InputError(
            f"genes: '{names[counts.argmax()]}' is named {counts.max()} times; name each gene once"
        )
    return order[low]


def check_same_genes(path, genes, other_path, other_genes):
    """Raise InputError unless both plates have the same genes in the same order."""
    if np.array_equal(genes, other_genes):
        return
    if len(genes) == len(other_genes):
        differ = np.flatnonzero(genes != other_genes)
        shown = ", ".join(f"{genes[k]} / {other_genes[k]}" for k in differ[:3])
        problem = f"{len(differ)} genes differ from {path} (first: {shown})"
    else:
        problem = f"{len(other_genes)} genes, but {path} has {len(genes)}"
    raise InputError(
        f"{other_path}: {problem}; plates need the same genes in the same order; atlas: align "
        "(`cellshuffle pack --align`) brings them to one list, by name, while they are packed"
    )


def gene_list(path: str | Path) -> list:
    """Names of genes in a text file, one a line; InputError when it is no such file."""
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever
            raise FileNotFoundError("there is no such file")
        with open_text(path) as text:
            wanted = [line.strip() for line in text]
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"genes: {path} must be a text file in UTF-8, one gene a line ({error})") from None
    return [name for name in wanted if name]


def genes_of_plates(align: str, paths: list, layer: str | None, column: str | None) -> GeneList:
    """`common_genes` of plates; column: of var, whose values are the names, None for the index."""
    files = [*paths, *([] if align in RULES else [align])]
    stamps = tuple(tuple(stamp(path)) for path in files if os.path.exists(path))
    return _genes_of_plates(align, tuple(map(str, paths)), layer, column, stamps)


@functools.lru_cache(maxsize=4)
def _genes_of_plates(align, paths, layer, column, stamps):
    def read():
        for path in paths:
            with open_plate(path) as file, readable(path):
                yield path, gene_names(file, layer, column)

    return common_genes(align, read())


def alignment(genes: GeneList, names: np.ndarray) -> str:
    """What becomes of the genes `names` of a plate, in words; empty where they are those of the list."""
    numbers = genes.numbers(names)
    there = numbers[numbers >= 0]
    dropped, absent = np.delete(names, there), genes.names[numbers < 0]
    respelled = int((genes.names[numbers >= 0] != names[there]).sum())
    parts = [
        len(dropped) and f"{len(dropped):,} of its {len(names):,} genes are dropped ({_some(dropped)})",
        len(absent) and f"{len(absent):,} that it lacks are filled with zeros ({_some(absent)})",
        (np.diff(there) < 0).any() and "their order changes",
        respelled and f"{respelled:,} are matched without the version of their Ensembl id",
    ]
    return "; ".join(part for part in parts if part)


def _some(names):
    return ", ".join(names[:SHOWN].tolist()) + ", ..." * (len(names) > SHOWN)
