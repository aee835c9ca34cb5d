"""Drafts for files as the field has them are what someone who knows the data would write."""

import copy

import field
import pytest
import yaml
from atlases import counts_of, write_atlas
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration.consistency import inconsistencies
from cellshuffle.planning.draft import draft
from cellshuffle.planning.names import kind_of, side_of
from runs import SCHEMA


def drafted(folder, **tables):
    """(config without fault, its text) of a folder with an h5ad file for each table."""
    for seed, (name, obs) in enumerate(tables.items()):
        write_atlas(folder / f"{name}.h5ad", counts_of(len(obs), 10, seed), obs)
    text = draft(folder)
    config = yaml.safe_load(text)
    assert configuration.schema_problems(config, SCHEMA) == []
    completed = copy.deepcopy(config)
    configuration.fill_defaults(completed, SCHEMA)
    assert list(inconsistencies(completed)) == []
    return config, text


def columns_of(config):
    return [task["column"] for task in config["tasks"].values()]


def test_patients_are_held_out_so_that_their_disease_can_be_tested(tmp_path):
    obs = field.covid()
    config, text = drafted(tmp_path, all=obs)
    atlas, test = config["atlas"], obs[obs["patient"].isin(config["atlas"]["test_plates"])]
    assert atlas["plate_column"] == "patient" and all(name.startswith("C1") for name in atlas["train_plates"])
    assert test["severity"].nunique() > 1 and 0.05 < len(test) / len(obs) < 0.3
    assert columns_of(config) == ["cell_type", "severity"]
    assert "  # swab: {column: swab}" in text and "counted as classes: 'None' (" in text
    assert "tcr_clone: {" not in text  # mostly the text nan
    assert "  cell_type: {column: cell_type}  # names what cells are; 5 classes, the commonest 4" in text


def test_receptors_with_clusters_alone(tmp_path):
    config, text = drafted(tmp_path, all=field.tcr())
    assert config["atlas"]["plate_column"] == "sample" and columns_of(config) == ["leiden"]
    assert '  # IR_VDJ_1_c_call: {column: "IR VDJ 1 c call"}' in text and "'None' (147 cells)" in text


def test_technologies_are_plates_and_the_one_held_out_has_all_cell_types(tmp_path):
    obs = field.pancreas()
    config, _ = drafted(tmp_path, all=obs)
    assert config["atlas"]["plate_column"] == "tech" and columns_of(config) == ["celltype"]
    (test,) = config["atlas"]["test_plates"]
    assert obs.loc[obs["tech"] == test, "celltype"].nunique() == 5 and test != "inDrop1"  # nearly half


def test_protein_panels_and_guides(tmp_path):
    config, _ = drafted(tmp_path / "a", all=field.proteins())
    assert config["atlas"]["plate_column"] == "donor"
    assert columns_of(config) == ["celltype_l1", "celltype_l2"]
    config, text = drafted(tmp_path / "b", all=field.perturb_seq())
    assert columns_of(config) == ["perturbation", "guide_identity"] and "number_of_guides: {" not in text
    assert config["atlas"]["plate_column"] == "batch" and config["atlas"]["test_plates"] == ["drop seq"]


def test_labels_that_are_there_twice_are_proposed_once(tmp_path):
    config, text = drafted(tmp_path, all=field.cellxgene())
    assert columns_of(config) == ["cell_type", "disease", "tissue"]
    assert "}  # the identifiers of cell_type\n" in text and "'unknown' (254 cells)" in text
    obs = field.pancreas()
    obs["annotation"] = obs["celltype"].cat.rename_categories(str.upper)
    text = drafted(tmp_path / "b", all=obs)[1]
    assert (
        "\n  # annotation: {column: annotation}  # the same classes as celltype, under other names\n" in text
    )


def test_a_column_that_divides_is_no_task_and_each_of_its_values_is_named(tmp_path):
    obs = field.perturbation_split()
    config, _ = drafted(tmp_path, all=obs)
    split = config["atlas"]["split"]
    assert split == {"column": "split", "train": ["train"], "test": ["ood"], "ignore": ["valid", None]}
    assert columns_of(config) == ["cell_type", "condition"]
    # In several files, too, and by its values alone.
    parts = {f"p{k}": obs[k::2].rename(columns={"split": "usage"}) for k in range(2)}
    config, text = drafted(tmp_path / "b", **parts)
    assert config["atlas"]["split"]["column"] == "usage" and config["atlas"]["train_plates"] == ["p0", "p1"]
    assert "usage: {" not in text


@pytest.mark.parametrize(
    ("values", "sides"),
    [
        ({"True": 0.2, "False": 0.8}, {"train": ["False"], "test": ["True"]}),
        ({"0": 0.4, "1": 0.3, "2": 0.3}, {"train": ["0", "1"], "test": ["2"]}),
        ({"train": 0.7, "val": 0.3}, {"train": ["train"], "test": ["val"]}),
        ({"train": 0.7, "test": 0.2, "?": 0.1}, {"train": ["train"], "test": ["test"], "ignore": ["?"]}),
    ],
)
def test_forms_of_columns_that_divide(tmp_path, values, sides):
    obs = field.table(300, 3, is_test=values, cell_type=["T", "B"])
    name = "fold" if "0" in values else "is_test"
    config, _ = drafted(tmp_path, all=obs.rename(columns={"is_test": name}))
    assert config["atlas"]["split"] == {"column": name} | sides


def test_a_label_whose_only_fault_is_missing_values_is_proposed_without_these_cells(tmp_path):
    obs = field.pancreas()
    obs.loc[obs.index[::50], "celltype"] = None
    config, text = drafted(tmp_path, all=obs)
    assert config["tasks"]["celltype"]["missing"] == "drop" and "20 cells have none: left out" in text


def test_where_nothing_can_be_proposed_a_task_is_to_be_filled_in(tmp_path):
    config, text = drafted(tmp_path, all=field.no_labels())
    assert columns_of(config) == ["FILL_IN"]
    assert "  # cell_type: {column: cell_type, missing: drop}  # 200 cells have no value" in text


def test_files_of_one_class_each_are_divided_at_random(tmp_path):
    """Held out, such a file would have nothing that training sees."""
    parts = {name: field.table(60, k, drug={name: 1.0}) for k, name in enumerate(("dmso", "taxol", "sirna"))}
    config, _ = drafted(tmp_path, **parts)
    assert config["atlas"]["split"] == {"fraction": 0.1, "seed": 0} and columns_of(config) == ["drug"]


def test_a_file_that_is_tiny_or_most_cells_is_not_tested_on(tmp_path):
    sizes = {"a": 100, "b": 900, "c": 90, "d": 2}
    parts = {name: field.table(n, k, cell_type=["T", "B"]) for k, (name, n) in enumerate(sizes.items())}
    assert drafted(tmp_path, **parts)[0]["atlas"]["test_plates"] == ["c"]


def test_plates_that_are_no_names_are_not_taken(tmp_path):
    """A batch of two cells, missing values: the draft says why it passes over such a column."""
    obs = field.covid().drop(columns=["patient", "source"])
    config, text = drafted(tmp_path, all=obs)
    assert "plate_column" not in text.split("Matrices")[0] and config["atlas"]["split"]["fraction"] == 0.1
    assert "  # Not batch: b99 has 2 cells.\n" in text


def test_kinds_of_columns_and_values():
    kinds = {
        "cells": ["cell.type", "CellType", "author_cell_type", "celltype_major", "cell_line", "Annotations"],
        "perturbation": ["drug", "sgRNA", "perturbation_name", "guide_id", "condition", "Stim"],
        "clinical": ["disease", "tissue_general", "Status"],
        "clusters": ["leiden_r1", "louvain", "seurat_clusters"],
        "plates": ["donor_id", "orig.ident", "PatientID", "sample", "batch", "library_id"],
        "measure": ["n_genes", "pct_counts_mt", "total_counts", "doublet_score", "num_features", "age"],
        "other": ["sex", "is_primary_data", "phase"],
    }
    assert {name: kind_of(name)[0] for names in kinds.values() for name in names} == {
        name: kind for kind, names in kinds.items() for name in names
    }
    assert [side_of(value) for value in ("Train", "valid", "OOD", "test_2", "T cell")] == [
        "train", "validation", "test", "test", None,
    ]  # fmt: skip
