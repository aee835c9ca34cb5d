"""Who is on a plate of the simulated atlas: drugs, doses, mechanisms, wells and cells, as in Tahoe-100M."""

import numpy as np

from cellshuffle.atlas.writer import SIMULATED
from cellshuffle.fingerprints import code_of, fingerprint

CONTROL = "DMSO_TF"
LOOKALIKE = f"Trametinib ({CONTROL} solvate)"  # a drug, in spite of its name
DOSES = (0.05, 0.5, 5.0) * 4 + (0.05, 5.0)  # uM, plates 1-14
DRUG_SETS = (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 1)  # plate 14 repeats the drugs of plates 4-6
INHIBITOR, ACTIVATOR, UNCLEAR = "inhibitor/antagonist", "activator/agonist", "unclear"
MECHANISMS = {  # moa-fine: moa-broad; with the control's own class 27 fine and 4 broad ones
    "MEK inhibitor": INHIBITOR,
    "unclear": UNCLEAR,
    "Glucocorticoid receptor agonist": ACTIVATOR,
    "CDK inhibitor": INHIBITOR,
    "EGFR inhibitor": INHIBITOR,
    "PI3K/AKT inhibitor": INHIBITOR,
    "HDAC inhibitor": INHIBITOR,
    "DNA synthesis/repair inhibitor": INHIBITOR,
    "mTOR inhibitor": INHIBITOR,
    "Microtubule inhibitor": INHIBITOR,
    "COX inhibitor": INHIBITOR,
    "Ion channel modulator": UNCLEAR,
    "JAK/STAT inhibitor": INHIBITOR,
    "Topoisomerase inhibitor": INHIBITOR,
    "RAF inhibitor": INHIBITOR,
    "Proteasome inhibitor": INHIBITOR,
    "Retinoid receptor agonist": ACTIVATOR,
    "VEGFR inhibitor": INHIBITOR,
    "Androgen receptor antagonist": INHIBITOR,
    "BET inhibitor": INHIBITOR,
    "Antioxidant": UNCLEAR,
    "PPAR agonist": ACTIVATOR,
    "BCL-2 inhibitor": INHIBITOR,
    "Adrenergic receptor agonist": ACTIVATOR,
    "HSP90 inhibitor": INHIBITOR,
    "PARP inhibitor": INHIBITOR,
}
LAYOUT_NOISE = 0.3  # sd, in mechanisms, of a drug's place in the library
MIDPOINT = 0.1  # uM, median dose of half the effect

# What is drawn, each from its own stream of random numbers. Whatever plates share does not depend on
# the plate, so plates can be made apart, in any order.
(BASE_GENES, LINE_GENES, MECHANISM_GENES, DRUG_GENES, PLATE_GENES) = range(1, 6)
(ASSIGNMENT, ABUNDANCE, POTENCY, FRAILTY, CELLS, COUNTS, QUALITY) = range(6, 13)


def rng(seed, stream, number=0):
    """Random generator of one thing: `stream` is a constant above, `number` the code of the line, drug ..."""
    return np.random.default_rng([seed, stream, number])


def made_from(sizes, plates=None):
    """Fingerprint of the sizes of a simulated atlas and of the code that follows them.

    plates: numbers of those that are simulated together, as Parquet files.
    """
    return fingerprint([sizes, plates, code_of("simulation", "atlas/writer")])


def drug_table(sizes):
    """Rows of the drug table of an atlas of these `sizes`, marked with what made them and what they hold."""
    rows = drug_metadata(sizes["drugs"], sizes["seed"])
    mark = f"{made_from(sizes)} {fingerprint(rows)}"
    return [row | {SIMULATED: mark} for row in rows]


def drug_names(n_drugs):
    """Labels of the atlas in code order; code 0 is the control."""
    names = [CONTROL] + [f"Compound {k:03d}" for k in range(1, n_drugs)]
    names[drug_set(1, n_drugs)[0]] = LOOKALIKE
    return names


def drug_set(number, n_drugs):
    """Drug codes of a set, the control not among them.

    Sets 0-3 are windows on one circle and overlap a little, set 4 stands apart: of the 379 drugs
    of Tahoe-100M 94 are in each of the first four and 43 in the last.
    """
    apart = round((n_drugs - 1) * 43 / 379)
    circle = n_drugs - 1 - apart
    if number == 4:
        return 1 + circle + np.arange(apart)
    return 1 + (circle * number // 4 + np.arange(-(-circle * 94 // 336))) % circle


def plate_design(plate, n_drugs):
    """(codes of the drugs on a plate without the control, dose in uM); plate 15 is like plate 1."""
    row = (plate - 1) % len(DOSES)
    return drug_set(DRUG_SETS[row], n_drugs), DOSES[row]


def drug_mechanisms(n_drugs, seed):
    """(n_drugs,) mechanism codes, all in use, some more often than others; the control's is -1.

    A screening library is laid out by what its compounds do, roughly: drugs of one mechanism tend
    to share a plate.
    """
    n_mechanisms = max(1, min(len(MECHANISMS), (n_drugs - 1) // 3))
    share = 1 / np.sqrt(1 + np.arange(n_mechanisms))
    generator = rng(seed, ASSIGNMENT)
    drawn = generator.choice(n_mechanisms, n_drugs - 1, p=share / share.sum())
    drawn[:n_mechanisms] = np.arange(n_mechanisms)
    place = generator.permutation(n_mechanisms)[drawn]
    place = place + generator.normal(0, LAYOUT_NOISE, len(place))
    codes = np.concatenate([[-1], drawn[np.argsort(place)]])
    lookalike, mek = drug_set(1, n_drugs)[0], np.flatnonzero(codes == 0)[0]
    codes[[lookalike, mek]] = codes[[mek, lookalike]]
    return codes


def drug_metadata(n_drugs, seed):
    """Rows (dicts) of the authors' drug table; the control is not a drug and not in it."""
    fine = [list(MECHANISMS)[code] for code in drug_mechanisms(n_drugs, seed)[1:]]
    unknown = ("human-approved", "clinical-trials", "gpt-notes-approval", "canonical_smiles")
    return [
        {"drug": drug, "targets": "", "moa-broad": MECHANISMS[moa], "moa-fine": moa}
        | dict.fromkeys(unknown, "")
        | {"pubchem_cid": ""}
        for drug, moa in zip(drug_names(n_drugs)[1:], fine, strict=True)
    ]


def plate_wells(plate, n_drugs, seed):
    """Wells of a plate: drug codes (n_wells,) int, dose in uM, effects (n_wells,) float in 0..1.

    The effect of a drug at its dose follows a Hill curve whose midpoint is the drug's own. A few
    wells hold the control, whose effect is 0.
    """
    drugs, dose = plate_design(plate, n_drugs)
    midpoint = np.array([rng(seed, POTENCY, d).lognormal(np.log(MIDPOINT), 1.0) for d in drugs])
    n_controls = 1 + len(drugs) // 30
    drugs = np.concatenate([np.zeros(n_controls, np.int64), drugs])
    return drugs, dose, np.concatenate([np.zeros(n_controls), dose / (dose + midpoint)])


def plate_cells(plate, drugs, effects, n_cells, n_lines, seed):
    """(well, line): int codes of every cell, each (n_cells,), for wells as `plate_wells` returns them.

    Wells differ in size, lines in abundance and in how many of their cells survive a drug, so
    combination counts are very uneven. All wells were pooled before sequencing, so every cell is
    a draw of its own and their order means nothing.
    """
    generator = rng(seed, CELLS, plate)
    abundance = rng(seed, ABUNDANCE).lognormal(0, 0.7, n_lines)
    frailty = np.stack([rng(seed, FRAILTY, d).exponential(1.0, n_lines) for d in drugs])
    size = generator.lognormal(0, 0.5, len(drugs)) * np.where(drugs == 0, 2.0, 1.0)
    share = size[:, None] * abundance * np.exp(-frailty * effects[:, None])
    edges = np.cumsum(share)
    drawn = np.searchsorted(edges[:-1], generator.random(n_cells) * edges[-1], side="right")
    return np.divmod(drawn, n_lines)
