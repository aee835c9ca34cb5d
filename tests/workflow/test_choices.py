"""What a configuration can choose, through the real workflow on the plates of the small run."""

import os
import re

import pandas as pd
from runs import SMALL, on_existing_atlas, snakemake, training_files

SAME = ["metrics.json", "predictions.npz", "model.pt"]
ONE = training_files(["block_weighted"], [0])
# Found by every Python that starts: notes the threads that prepare batches ahead of the model.
NOTE_LOADERS = """
import threading
start = threading.Thread.start
def noted(thread):
    if thread.name == "loader":
        open({record!r}, "a").write("started\\n")
    start(thread)
threading.Thread.start = noted
"""


def is_as_in(small_run, folder):
    for name in SAME:
        path = ONE[0].replace("metrics.json", name)
        assert (folder / path).read_bytes() == (small_run / path).read_bytes(), name


def test_one_core_starts_no_thread_beside_the_model(small_run, tmp_path, monkeypatch):
    """`prefetch` is left open: on two cores one training alone has such a thread; the same numbers."""
    watch, record = tmp_path / "watch", tmp_path / "record"
    watch.mkdir()
    (watch / "sitecustomize.py").write_text(NOTE_LOADERS.format(record=str(record)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(watch), os.environ.get("PYTHONPATH", "")]))
    one = {name: SMALL["strategies"][name] for name in ["block_weighted"]}
    config = on_existing_atlas(small_run, atlas={"pack": False}, training={"seeds": [0]}) | {
        "strategies": one
    }
    for cores in (1, 2):
        folder = tmp_path / str(cores)
        snakemake(folder, config, *ONE, cores=cores)
        assert record.exists() == (cores == 2)
        is_as_in(small_run, folder)


def test_plates_on_a_disk_of_the_node(small_run, tmp_path):
    """`atlas: scratch`: copied there, used, removed; the same bytes."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    snakemake(tmp_path, on_existing_atlas(small_run, atlas={"scratch": str(scratch)}), *ONE)
    assert "copying" in (tmp_path / "results/small/logs/train/block_weighted/seed0.log").read_text()
    assert next(scratch.iterdir()).is_dir()
    assert not [path for path in scratch.rglob("*") if path.is_file()]
    is_as_in(small_run, tmp_path)


def test_a_sweep_to_its_figure_and_the_task_of_the_figures(small_run, tmp_path):
    config = on_existing_atlas(
        small_run,
        atlas={"pack": False},
        sweep={"block_size": [1, 8], "fetch_factor": [2], "samplers": ["BlockShuffling"]},
        training={"seeds": [0], "epochs": 1},
    )
    config["strategies"] = {"streaming": {"sampler": "Streaming"}}
    figures = [f"results/small/figures/{name}.svg" for name in ("sweep", "cost")]
    for task, words, others in (("cell_line", "cell_line", "drug"), ("drug", "drug", "cell line")):
        config["figures"] = {"task": task}
        snakemake(tmp_path, config, *figures)
        for path in figures:  # Matplotlib notes every text in a comment
            texts = " ".join(re.findall(r"<!-- (.*?) -->", (tmp_path / path).read_text()))
            assert "macro F1" in texts and words in texts and others not in texts, path
    table = pd.read_csv(tmp_path / "results/small/metrics.csv")
    swept = ["block_shuffling_b1_f2", "block_shuffling_b8_f2"]
    assert list(table["strategy"].unique()) == ["streaming", *swept]
