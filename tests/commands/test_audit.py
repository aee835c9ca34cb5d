"""`cellshuffle audit`: what a recorded order is like, without training."""

import numpy as np
import pytest
import yaml
from cellshuffle import cli
from cellshuffle.atlas.plates import Plates
from cellshuffle.configuration import schema
from cellshuffle.packing.pack import pack_plate
from runs import REPOSITORY, SOUND, merged


@pytest.fixture
def audited(sound, monkeypatch, capsys):
    """Run the command in a folder with a sound atlas; returns what it prints, or what it ends with."""
    monkeypatch.chdir(sound)

    def run(cells, changes=(), *arguments):
        np.save("order.npy", cells)
        (sound / "config.yaml").write_text(yaml.safe_dump(merged(SOUND, dict(changes))))
        try:
            cli.main(["audit", "order.npy", "--atlas", "config.yaml", *arguments])
        except SystemExit as end:
            return end.code
        return capsys.readouterr().out

    return run


def n_train():
    return len(Plates(["atlas/plate1.h5ad", "atlas/plate2.h5ad"]))


def test_coverage_measures_and_figure(audited, sound):
    n_cells = n_train()
    text = audited(np.arange(n_cells - 5), (), "--figure", "order.png")
    assert (
        f"one row for all epochs, {n_cells - 5} cells each; sees " in text and " never; no cell comes" in text
    )
    assert f"{n_cells} train cells on 2 plates; minibatches of 64" in text
    rows = {line[:50].strip(): line.split()[-3:] for line in text.splitlines() if " of " in line}
    own, in_order, random = map(float, rows["entropy of plate in a minibatch"])
    assert own == pytest.approx(in_order, abs=0.1) and random > in_order
    assert {name.split(" of ")[1].split(" in ")[0] for name in rows if name[:5] == "drift"} == {
        "plate", "drug", "line",
    }  # fmt: skip
    assert (sound / "order.png").read_bytes()[:4] == b"\x89PNG"
    # Plates that another run has packed hold other cells.
    for plate in (1, 2):
        pack_plate(f"atlas/plate{plate}.h5ad", f"packed/plate{plate}.h5ad")
    end = audited(np.arange(n_cells), {"atlas": {"packed_dir": "packed"}})
    assert "packed/plate1.h5ad: was packed from other cells or genes by another run" in end


@pytest.mark.parametrize(
    ("cells", "changes", "words"),
    [
        ([0, 10**6], {}, "order.npy: has cell 1000000, but the"),
        ([0.5], {}, "order.npy: holds float64"),
        ([0], {"atlas": {"dir": "none"}}, "none/plate1.h5ad"),
        (
            [0],
            {"training": {"epoch": 3}},
            "config.yaml: training: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        ([0], {"atlas": {"test_plates": [2]}}, "plate 2 is in train_plates and in test_plates"),
        (
            [0],
            {"atlas": {"split": {"fraction": 0.5, "seed": 0}, "test_plates": ...}},
            "the plates are not packed yet",
        ),
    ],
)
def test_what_cannot_be_audited_ends_with_one_line(audited, cells, changes, words):
    end = audited(cells, changes)
    assert end.startswith("error: ") and words in end and end.count("\n") == 0


def test_a_figure_of_another_kind_is_refused(audited):
    assert "is not the name of an .svg, .pdf or .png" in audited([0], (), "--figure", "order.txt")


def test_the_schema_is_that_of_the_workflow():
    from cellshuffle.commands.audit import SCHEMA

    assert SCHEMA.read_text() == (REPOSITORY / "workflow/schemas/config.schema.yaml").read_text()
    assert schema.load_schema(SCHEMA, {}, {})
