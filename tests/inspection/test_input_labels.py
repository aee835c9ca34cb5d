"""Labels, tables and selections that do not fit the plates: one line says what is wrong."""

import json

import numpy as np
import pytest
from damage import edit, rewrite, unlink
from runs import SOUND, fails, merged, snakemake


def nothing(atlas):
    pass


def table(text):
    """Another lookup table."""
    return lambda atlas: (atlas / "moa.csv").write_text(text)


# Damage (a function of the atlas's folder), what the message says, and what else is configured.
CASES = {
    "no such column": (
        nothing,
        ["obs has no column 'tissue'", "drug, line, size", "the same of 2 more"],
        {"tasks": {"tissue": {"column": "tissue"}}},
    ),
    "balanced column missing": (
        nothing,
        ["obs has no column 'batch'"],
        {"weights": {"balance": ["batch"]}},
    ),
    "real numbers as labels": (
        nothing,
        ["'size' holds real numbers"],
        {"tasks": {"size": {"column": "size"}}},
    ),
    "missing values": (
        lambda a: rewrite(
            a / "plate1.h5ad", obs=lambda o: o.assign(drug=o["drug"].where(o.index != "cell1_4"))
        ),
        ["1 cells have no value in obs column 'drug'"],
    ),
    "codes beyond categories": (
        lambda a: edit(a / "plate1.h5ad", lambda f: f["obs/drug/codes"].__setitem__(0, 9)),
        ["codes beyond its categories"],
    ),
    "label not in lookup": (
        table("drug,moa\nd0,m0\nd1,m1\nd2,m0\n"),
        ["no moa for 'd3' (45 cells)", "extra: {d3: <class>}"],
    ),
    "label spelled otherwise in lookup": (
        table("drug,moa\nd0,m0\nd1,m1\nd2,m0\nD3,m1\n"),
        ["no moa for 'd3' (45 cells); it has 'D3', perhaps another spelling of it"],
    ),
    "no lookup table": (
        lambda a: unlink(a / "moa.csv"),
        ["moa.csv: there is no such lookup table"],
    ),
    "lookup without column": (
        table("drug,mechanism\nd0,m0\n"),
        ["has no column 'moa'", "drug, mechanism"],
    ),
    "two classes of a drug": (
        table("drug,moa\nd0,m0\nd0,m1\n"),
        ["'d0' has two values of moa"],
    ),
    "no class of a drug": (table("drug,moa\nd0,\n"), ["no moa for 'd0' (45 cells)"]),
    "lookup is no Parquet": (
        lambda a: (a / "moa.parquet").write_text("PAR1 and no more"),
        ["not a readable Parquet file"],
        {"tasks": {"moa": {"lookup": {"table": "atlas/moa.parquet"}}}},
    ),
    "no such value of the plate column": (
        nothing,
        ["'line' has no value 'l9'", "l0, l1, l2"],
        {
            "atlas": {
                "plate_file": "plate1.h5ad",
                "plate_column": "line",
                "train_plates": ["l9"],
                "test_plates": ["l1"],
            }
        },
    ),
    "no such value of the split column": (
        nothing,
        [
            "atlas: split: obs column 'line' has 'l0' (40 cells), 'l1' (40 cells), 'l2' (40 cells), which",
            "named neither under train nor under test",
        ],
        {"atlas": {"split": {"column": "line", "test": ["l9"]}, "test_plates": ...}},
    ),
    "no cell of a side": (
        nothing,
        ["atlas: split: the test split has no cells", "'line' has none of the test values l9 (it has: l0"],
        {
            "atlas": {
                "split": {"column": "line", "train": ["l0", "l1", "l2"], "test": ["l9"]},
                "test_plates": ...,
            }
        },
    ),
    "unnamed values of the split column": (
        lambda a: rewrite(
            a / "plate2.h5ad",
            obs=lambda o: o.assign(
                line=o["line"].cat.rename_categories({"l2": "L0 "}).where(np.arange(60) > 2)
            ),
        ),
        [
            "error: atlas: split: obs column 'line' has 'L0 ' (19 cells; 'l0' is named), 3 cells without a "
            "value, which are named",
        ],
        {
            "atlas": {
                "split": {"column": "line", "train": ["l0"], "test": ["l1"], "ignore": ["l2"]},
                "train_plates": [1, 2],
                "test_plates": ...,
            }
        },
    ),
    "unknown genes": (
        lambda a: (a / "genes.txt").write_text("g1\nTP53\n"),
        ["1 of 2 genes of atlas/genes.txt are not", "TP53", "the same of 2 more"],
        {"atlas": {"genes": "atlas/genes.txt"}},
    ),
    "no gene file": (
        nothing,
        ["genes.txt", "one gene a line"],
        {"atlas": {"genes": "atlas/genes.txt"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_labels_that_do_not_fit(sound, case):
    spoil, words, *changes = CASES[case]
    spoil(sound / "atlas")
    fails(words, sound, merged(SOUND, *changes or [{}]), "results/bad/checked.json", cores=1)
    made = [path for path in (sound / "results").rglob("*") if path.is_file()]
    assert {path.suffix for path in made} <= {".log"}


def test_unseen_classes_are_a_warning(sound):
    new = {"d0": "d8", "d1": "D2"}
    rewrite(
        sound / "atlas/plate3.h5ad",
        obs=lambda obs: obs.assign(drug=obs["drug"].astype(str).replace(new).astype("category")),
    )
    config = merged(SOUND, {"tasks": {"moa": ...}})
    done = snakemake(sound, config, "results/bad/checked.json", cores=1)
    warning = "2 of 4 classes of the test cells are never seen in training (50.0% of the test cells)"
    assert warning in done.stdout
    checked = json.loads((sound / "results/bad/checked.json").read_text())
    assert warning in checked["warnings"][0]
    assert "the classes 'd2' (45 cells) and 'D2' (15 cells) differ in spelling" in checked["warnings"][1]
    assert [row["n_cells"] for row in checked["plates"]] == [60] * 3
