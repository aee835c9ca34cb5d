"""What the field calls things: kinds of obs columns, no value, sides of a split."""

import itertools
import re

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")  # what the schema does not allow in the name of a plate

# Words of the names of obs columns, without separators: a name has the kind of the first list that has
# one of its words, or two neighbouring ones together. Within a kind, the first word is the best.
CELLS = (
    "celltype", "cellline", "cellclass", "cellontologyclass", "cellsubtype", "cellstate",
    "cellidentity", "annotation", "annot", "bulklabel", "label", "subclass", "subtype", "lineage",
    "compartment", "line",
)  # fmt: skip
PERTURBATIONS = (
    "perturbation", "perturb", "drug", "compound", "treatment", "treated", "cytokine", "stimulation",
    "stimulus", "stim", "guideidentity", "guide", "sgrna", "grna", "target", "targetgene", "knockout",
    "ko", "crispr", "genotype", "mutation", "moa", "condition",
)  # fmt: skip
CLINICAL = (
    "disease", "diagnosis", "severity", "outcome", "status", "tissue", "organ", "region", "timepoint",
    "stage", "response", "infection", "dose",
)  # fmt: skip
CLUSTERS = ("leiden", "louvain", "cluster", "clustering")
PLATES = (
    "plate", "donor", "patient", "subject", "individual", "mouse", "animal", "participant", "batch",
    "sample", "library", "source", "site", "tech", "technology", "dataset", "study", "experiment",
    "cohort", "pool", "run", "lane", "channel", "replicate", "rep", "lab", "center", "assay",
    "protocol", "platform", "origident", "gemgroup",
)  # fmt: skip
KINDS = {
    "cells": (CELLS, "names what cells are"),
    "perturbation": (PERTURBATIONS, "names a perturbation or condition"),
    "clinical": (CLINICAL, "names a disease, tissue or state"),
    "clusters": (CLUSTERS, "clusters, computed from the counts that are trained on"),
    "plates": (PLATES, "tells where cells are from, rather than what they are"),
}
# The first or last word of numbers of something and scores, which one would not want to predict as classes.
MEASURES = (
    "n", "num", "number", "count", "pct", "percent", "fraction", "frac", "score", "total", "umi", "log1p",
    "mito", "doublet", "size", "depth", "qc", "age",
)  # fmt: skip
SPLITS = (
    "split", "fold", "subset", "partition", "traintest", "istest", "istrain", "datasplit", "heldout",
    "holdout",
)  # fmt: skip
TRAIN_WORDS = ("train", "training", "learn", "seen", "kept")
VALIDATION_WORDS = (
    "val", "valid", "validation", "validate", "dev", "tune", "tuning", "calibration", "iid",
)  # fmt: skip
TEST_WORDS = ("test", "testing", "heldout", "holdout", "ood", "eval", "evaluation", "unseen", "query")


def words_of(name):
    """The words of a column's name, in lower case, and each two neighbours as one word.

    >>> words_of("cellType_major")
    ['cell', 'type', 'major', 'celltype', 'typemajor', 'celltypemajor']
    """
    words = _parts(name)
    pairs = [first + second for first, second in itertools.pairwise(words)]
    return list(dict.fromkeys([*words, *pairs, "".join(words)]))


def _parts(name):
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    return [word for word in re.split(r"[\W_]+|(?<=[a-z])(?=\d)", parted) if word]


def kind_of(name):
    """(kind, place of its word in the kind's list): ("other", 0) for a name that says nothing.

    >>> kind_of("donor_id"), kind_of("Cell types"), kind_of("n_counts"), kind_of("xyz")
    (('plates', 1), ('cells', 0), ('measure', 0), ('other', 0))
    """
    words = [form for word in words_of(name) for form in (word, word.removesuffix("s"))]
    parts = _parts(name)
    if {end.removesuffix("s") for end in parts[:1] + parts[-1:]} & set(MEASURES):
        return "measure", 0
    for kind, (known, _) in KINDS.items():
        places = [known.index(word) for word in words if word in known]
        if places:
            return kind, min(places)
    return "other", 0


def side_of(value):
    """The side of a split that a value names: "train", "validation", "test", or None."""
    word = re.sub(r"[\W_\d]+", "", value.lower())
    sides = {"train": TRAIN_WORDS, "validation": VALIDATION_WORDS, "test": TEST_WORDS}
    return next((side for side, known in sides.items() if word in known), None)
