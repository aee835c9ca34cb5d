"""Order files through the real workflow: a recorded order trains as the sampler did; files that cannot be."""

import json

import numpy as np
import pandas as pd
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.samplers import sampler_of
from runs import SMALL, finished, numbers, on_existing_atlas, prepare, snakemake, training_files

NAME = "block_shuffling"
TRAINED = training_files([NAME], [0])


def recorded(path, epochs=2):
    """The epochs of the small run's block shuffling, seed 0, as a file."""
    training = SMALL["training"]
    loading = training["batch_size"], training["fetch_factor"]
    orders = (cell_order(sampler_of(SMALL["strategies"][NAME]), 1200, *loading, 0, e) for e in range(epochs))
    np.save(path, np.stack([np.concatenate(list(order)) for order in orders]))


def test_a_recorded_order_trains_as_its_sampler_did(small_run, tmp_path):
    recorded(tmp_path / "order.npy")
    config = on_existing_atlas(small_run, atlas={"pack": False}, training={"seeds": [0]})
    file = {"sampler": "OrderFile", "path": "order.npy"}
    config["strategies"] = {NAME: file, "drawn": SMALL["strategies"][NAME]}
    config["strategies"]["store"] = {"sampler": "PreShuffled", "chunk_size": 8}
    diversity = tmp_path / "results/small/diversity"
    others = ["rewrite.csv", f"diversity/{NAME}/entropy.csv"]
    snakemake(tmp_path, config, *TRAINED, *(f"results/small/{name}" for name in others))
    for name in ("metrics.json", "predictions.npz", "model.pt"):
        path = TRAINED[0].replace("metrics.json", name)
        assert numbers(tmp_path / path) == numbers(small_run / path), name
    for table in (diversity / NAME).iterdir():
        assert table.read_bytes() == (diversity / "drawn" / table.name).read_bytes(), table.name
    (rewritten,) = pd.read_csv(tmp_path / "results/small/rewrite.csv").to_dict("records")
    assert rewritten["cells"] == rewritten["measured_cells"] == 1200
    assert rewritten["seconds"] == rewritten["measured_seconds"] > 0
    assert not list(tmp_path.rglob("rewriting.partial"))
    checked = json.loads((tmp_path / "results/small/checked.json").read_text())
    assert not [line for line in checked["warnings"] if "order file" in line]
    # Another file in its place, even one of the same time, is trained on.
    before = (tmp_path / TRAINED[0]).read_bytes()
    np.save(tmp_path / "order.npy", np.arange(1116))
    snakemake(tmp_path, config, *TRAINED)
    assert (tmp_path / TRAINED[0]).read_bytes() != before
    checked = json.loads((tmp_path / "results/small/checked.json").read_text())
    assert any("sees 93% of the cells, 7% never" in line for line in checked["warnings"])


def test_order_files_that_cannot_be_end_before_a_training(small_run, tmp_path):
    np.save(tmp_path / "far.npy", np.arange(1201))
    recorded(tmp_path / "short.npy")
    config = on_existing_atlas(small_run, atlas={"pack": False}, training={"seeds": [0], "epochs": 3})
    config["strategies"] = {
        name: {"sampler": "OrderFile", "path": f"{name}.npy"} for name in ("far", "short")
    }
    wanted = training_files(["far"], [0])
    run = finished(prepare(tmp_path, config, *wanted, cores=1), tmp_path, check=False)
    assert run.returncode and "Traceback" not in run.stdout
    assert "strategies: far: path: far.npy: has cell 1200, but the 1,200 train cells" in run.stdout
    assert "strategies: short: path: short.npy: has rows for 2 epochs, the training has 3" in run.stdout
    config["strategies"]["none"] = {"sampler": "OrderFile", "path": "none.npy"}
    run = finished(prepare(tmp_path, config, *wanted, cores=1), tmp_path, check=False)
    assert run.returncode and "Traceback" not in run.stdout
    assert "strategies: none: path: none.npy: there is no such order file" in run.stdout
