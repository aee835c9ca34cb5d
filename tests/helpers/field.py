"""Obs tables as the field's files have them, drawn small: what a new user comes with."""

import numpy as np
import pandas as pd


def table(n_cells, seed, **columns):
    """columns: {name: list of values to draw from, array of values, or {value: probability}}."""
    generator = np.random.default_rng(seed)
    obs = pd.DataFrame(index=[f"cell{seed}_{k}" for k in range(n_cells)])
    for name, values in columns.items():
        if isinstance(values, dict):
            obs[name] = generator.choice(list(values), n_cells, p=list(values.values()))
        elif isinstance(values, list):
            obs[name] = generator.choice(np.array(values, object), n_cells)
        else:
            obs[name] = values
    text = [name for name in obs if obs[name].dtype == object]
    return obs.astype(dict.fromkeys(text, "category"))


def mapped(column, **values):
    return column.astype(str).map(values).astype("category")


def covid():
    """Blood of 14 patients of three sources, in 30 batches of which the last has two cells."""
    n = 1400
    generator = np.random.default_rng(0)
    patients = np.array([f"C{144 + k}" for k in range(14)])
    patient = patients[generator.integers(0, 14, n)]
    batch = np.array([f"b{k}" for k in range(29)])[generator.integers(0, 29, n)]
    batch[:2] = "b99"
    status = {name: ["healthy", "mild", "severe"][k % 3] for k, name in enumerate(patients)}
    obs = table(
        n, 1, batch=batch, Age=np.array([20 + k for k in range(14)])[generator.integers(0, 14, n)],
        n_genes=generator.integers(200, 4000, n), pct_mito=generator.random(n), patient=patient,
        source=["blood", "lavage", "sputum"], sex=["F", "M"],
        cell_type={"T": 0.4, "B": 0.2, "NK": 0.2, "Mono": 0.15, "DC": 0.05},
        tcr_clone=np.where(generator.random(n) < 0.7, "nan", "c1"), swab=["positive", "None", "negative"],
    )  # fmt: skip
    obs["severity"] = mapped(obs["patient"], **status)
    return obs


def tcr():
    """As scirpy and scanpy leave it: leiden, receptor columns whose names have blanks."""
    n = 600
    generator = np.random.default_rng(1)
    return table(
        n, 2,
        **{"IR VDJ 1 c call": ["IGHM", "TRBC1", "TRBC2", "None"],
           "IR VDJ 1 junction aa": np.array([f"CASS{k}F" for k in range(n)]),
           "clone id": generator.integers(0, 400, n).astype(str), "has ir": ["True", "False"],
           "leiden": [str(k) for k in range(7)], "receptor type": {"TCR": 0.99, "BCR": 0.01},
           "sample": ["LN1", "LN2", "LT1", "LT2"], "total counts": generator.integers(500, 9000, n)},
    )  # fmt: skip


def pancreas():
    """Four technologies in one file, of unequal size; one of them lacks a cell type."""
    n = 1000
    tech = {"celseq": 0.1, "inDrop1": 0.45, "smartseq2": 0.25, "fluidigmc1": 0.2}
    obs = table(n, 3, celltype=["alpha", "beta", "delta", "gamma", "acinar"], tech=tech, size_factors=1.0)
    obs["size_factors"] = np.random.default_rng(3).random(n)
    rare = (obs["tech"] == "fluidigmc1") & (obs["celltype"] == "acinar")
    obs.loc[rare, "celltype"] = "alpha"
    return obs


def proteins():
    """A protein panel: lanes, donors at three time points, annotations at three levels."""
    n = 900
    obs = table(
        n, 4, nCount_ADT=np.random.default_rng(4).integers(900, 9000, n), orig_ident="P1_0",
        lane=["L1", "L2", "L3"], donor=["P1", "P2", "P3"], time=["0", "3", "7"],
        celltype_l1=["B", "CD4 T", "Mono"], Phase=["G1", "S", "G2M"],
    )  # fmt: skip
    finer = {kind: [f"{kind} a", f"{kind} b"] for kind in ("B", "CD4 T", "Mono")}
    generator = np.random.default_rng(5)
    obs["celltype_l2"] = [finer[kind][generator.integers(2)] for kind in obs["celltype_l1"]]
    obs["celltype_l2"] = obs["celltype_l2"].astype("category")
    return obs


def perturb_seq():
    """Guides, their targets, and a batch column with blanks; most guides are the control's."""
    n = 1200
    generator = np.random.default_rng(6)
    guides = ["NTC_1", "NTC_2"] + [f"{gene}_{k}" for gene in ("KLF1", "GATA1", "MYC") for k in (1, 2)]
    obs = table(
        n, 6, cell_barcode=np.array([f"ACGT{k}-1" for k in range(n)]), guide_identity=guides,
        gemgroup=["1", "2", "3"], batch=["10X v2", "10X v3", "drop seq"], number_of_guides={1: 0.9, 2: 0.1},
        UMI_count=generator.integers(1000, 60_000, n), good_coverage=["True", "False"],
    )  # fmt: skip
    targets = {guide: guide.split("_")[0] for guide in guides}
    obs["perturbation"] = mapped(obs["guide_identity"], **targets)
    return obs


def cellxgene():
    """Columns of the CELLxGENE schema: labels twice, by name and by ontology term."""
    n = 1000
    donors = [f"D{k}" for k in range(1, 9)]
    obs = table(
        n, 7, donor_id=donors, assay={"10x 3' v3": 0.7, "10x 3' v2": 0.3}, suspension_type=["cell"],
        cell_type=["T cell", "B cell", "monocyte", "unknown"], is_primary_data=np.ones(n, bool),
        sex=["female", "male"], organism=["Homo sapiens"], self_reported_ethnicity=["unknown"],
        tissue=["blood", "lung"], tissue_type=["tissue"],
        observation_joinid=np.array([f"id{k}" for k in range(n)]),
    )  # fmt: skip
    terms = {"T cell": "CL:0000084", "B cell": "CL:0000236", "monocyte": "CL:0000576", "unknown": "unknown"}
    obs["cell_type_ontology_term_id"] = mapped(obs["cell_type"], **terms)
    obs["tissue_ontology_term_id"] = mapped(obs["tissue"], blood="UBERON:0000178", lung="UBERON:0002048")
    states = {donor: ["normal", "COVID-19"][k % 2] for k, donor in enumerate(donors)}
    obs["disease"] = mapped(obs["donor_id"], **states)
    obs["disease_ontology_term_id"] = mapped(
        obs["disease"], normal="PATO:0000461", **{"COVID-19": "MONDO:0100096"}
    )
    return obs


def perturbation_split():
    """A column of train, valid and ood, as released for benchmarks of unseen perturbations."""
    obs = table(
        900, 8, condition=["ctrl", "A", "B"], cell_type=["K562", "RPE1"],
        split={"train": 0.7, "valid": 0.1, "ood": 0.2},
    )  # fmt: skip
    obs.loc[obs.index[:30], "split"] = np.nan
    return obs


def no_labels():
    """Measurements alone, and a label that most cells lack."""
    n = 300
    obs = table(n, 9, n_genes=np.random.default_rng(9).integers(200, 900, n), cell_type=["T", "B"])
    obs.loc[obs.index[100:], "cell_type"] = np.nan
    return obs
