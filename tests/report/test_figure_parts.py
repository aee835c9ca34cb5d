"""Single figures and their parts, on data made for one question each."""

import itertools
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle.report.figures import (
    confusion,
    style,
    tradeoff,
    weights,
)
from cellshuffle.report.figures.sweep import heat_maps
from cellshuffle.report.results import Results
from runs import REPOSITORY


def test_the_same_data_gives_the_same_files(tmp_path):
    table = pd.DataFrame({"block_size": [1, 4], "fetch_factor": [1, 4], "sampler": "BlockShuffling"})
    table = table.assign(cells_per_second=5000.0, plate_entropy=[3.7, 2.0], score=0.3)
    for turn in ("one", "two"):
        figure = heat_maps(table, "drug", synthetic_run.make_config())
        style.save(figure, [tmp_path / f"{turn}.{suffix}" for suffix in ("svg", "pdf", "png")])
    for suffix in ("svg", "pdf", "png"):
        one, two = (tmp_path / f"{turn}.{suffix}" for turn in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


# Runs figure.py as Snakemake would, between two looks at Matplotlib's settings.
AS_A_RULE = """
import json, runpy, sys
from types import SimpleNamespace
script, library, rule = sys.argv[1:]
sys.path.insert(0, library)
rule = json.loads(rule)
rule["input"] = SimpleNamespace(**rule["input"])
rule["params"] = SimpleNamespace(config=rule.pop("config"))
runpy.run_path(script, {"snakemake": SimpleNamespace(**rule)})
import matplotlib
file = matplotlib.rc_params_from_file(matplotlib.matplotlib_fname())
changed = [key for key in file if key != "backend" and file[key] != matplotlib.rcParams[key]]
assert not changed, changed
"""


@pytest.mark.parametrize(
    "settings", ["text.usetex: True", "savefig.bbox: tight\nlines.linewidth: 4\nfont.family: serif"]
)
def test_settings_of_the_user_change_no_figure_and_are_not_changed(settings, tmp_path):
    """Neither those of a matplotlibrc nor the backend that Jupyter sets."""
    config = synthetic_run.make_config()
    run = synthetic_run.write_run(tmp_path, config)
    results = synthetic_run.results_of(run, config)
    suffixes = ("svg", "pdf", "png")
    style.save(weights.draw(results), [tmp_path / f"ours.{suffix}" for suffix in suffixes])
    (tmp_path / "matplotlibrc").write_text(settings + "\n")
    rule = {
        "rule": "figure_weights",
        "input": {
            "combinations": str(results.files.combinations),
            "draws": [str(path) for path in results.files.draws],
        },
        "output": [str(tmp_path / f"theirs.{suffix}") for suffix in suffixes],
        "config": config,
        "wildcards": [],
        "log": [],
    }
    scripts = REPOSITORY / "workflow/scripts"
    done = subprocess.run(
        [sys.executable, "-c", AS_A_RULE, scripts / "figure.py", scripts, json.dumps(rule)],
        env=os.environ
        | {
            "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for suffix in suffixes:
        ours, theirs = (tmp_path / f"{whose}.{suffix}" for whose in ("ours", "theirs"))
        assert ours.read_bytes() == theirs.read_bytes(), suffix


def test_strategies_look_alike_nowhere():
    styles = style.strategy_styles([f"s{k}" for k in range(64)])
    assert len({(v["color"], v["marker"], str(v["linestyle"])) for v in styles.values()}) == 64
    first = style.strategy_styles([f"s{k}" for k in range(8)])
    assert len({v["color"] for v in first.values()}) == 8


def test_colours_differ_without_colour_vision():
    """Neighbours of the six default strategies differ for deuteranopes (Machado et al. 2009)."""
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    seen = [deuteranopia @ matplotlib.colors.to_rgb(colour) for colour in style.COLOURS[:6]]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 0.12


def test_strategies_of_one_speed_stand_apart():
    """Also where the seeds of a strategy are equally fast to the last bit."""
    config = synthetic_run.make_config(3, 3, ("drug",))
    rows = [
        {"strategy": s, "seed": k, "cells_seen": 1000, "train_seconds": 0.1 + 0.002 * n,
         "wait_seconds": 0.0, "epoch_seconds": 0.1, "peak_memory_mib": 1.0}
        for n, s in enumerate(config["strategies"]) for k in range(3)
    ]  # fmt: skip
    scores = pd.DataFrame({"strategy": list(config["strategies"]), "task": "drug"})
    scores = scores.assign(metric="macro_f1", mean=0.9, sd=0.01)
    results = synthetic_run.results_with(config, history=pd.DataFrame(rows), comparison=scores)
    axes = tradeoff.draw(results).axes[0]
    markers = [line for line in axes.lines if line.get_marker() not in ("", "None")]
    x = sorted(axes.transData.transform([line.get_xydata()[0] for line in markers])[:, 0])
    size = markers[0].get_markersize() * axes.figure.dpi / 72
    assert len(x) == 3 and min(np.diff(x)) > 2 * size


def confusion_of(names, counts):
    """The names of the rows, and the matrix, of the figure of one strategy."""
    config = synthetic_run.make_config(1, 1, ("drug",))
    matrices = {"streaming": counts}
    results = synthetic_run.results_with(config, confusion=lambda task: (matrices, names))
    axes = confusion.draw(results, "drug").axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [label.get_text() for label in axes.get_xticklabels()]
    return shown, axes.images[0].get_array()


@pytest.mark.parametrize(
    "names", [["0", "1", "2", "10"], ["T 2", "T 10"], ["0.05", "0.25", "0.5"], ["5 x", "x²", "²"]]
)
def test_classes_go_in_natural_order(names):
    """The codes are in the order of text; each row and column of the matrix keeps its name."""
    codes = sorted(names)
    counts = np.eye(len(names), dtype=int)
    counts[codes.index(names[-1]), codes.index(names[0])] = 99
    shown, matrix = confusion_of(codes, counts)
    first, last = shown.index(names[0]), shown.index(names[-1])
    assert matrix[last, first] == pytest.approx(0.99)
    assert shown == names


def test_names_of_classes_are_no_mark_up():
    names = ["$", "$5", "$a$", r"a\$b$", "a_b^{c} 100%", "αβ T"]
    shown, _ = confusion_of(names, np.eye(len(names), dtype=int))
    assert shown == names and not matplotlib.rcParams["text.parse_math"]


def test_long_names_of_classes_are_cut_where_they_stay_apart():
    long = "CD8-positive, alpha-beta T cell, terminally differentiated, of memory"
    shown, _ = confusion_of([long, "T"], np.eye(2, dtype=int))
    assert len(shown[0]) == confusion.LONG and shown[0].startswith("CD8-positive, alpha")
    alike = [long, long.replace("terminally", "not yet")]
    assert set(confusion_of(alike, np.eye(2, dtype=int))[0]) == set(alike)


def test_divided_plates_have_the_names_of_the_configuration(tmp_path):
    config = synthetic_run.make_config(1, 1, ("drug",))
    config["atlas"]["split"] = {"fraction": 0.2, "seed": 0}
    strip = pd.DataFrame({"position": [0.25, 0.75], "all-train": 1.0})
    strip.to_csv(tmp_path / "plates.csv", index=False)
    files = SimpleNamespace(plates=[tmp_path / "plates.csv"])
    assert list(Results(files, config).plates["streaming"]) == ["position", "all"]
    config["atlas"].pop("split")
    assert list(Results(files, config).plates["streaming"])[1] == "all-train"
