"""Single figures and their parts, on data made for one question each."""

import itertools
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle.report.figures import (
    class_f1,
    confusion,
    style,
    tradeoff,
    why,
)
from cellshuffle.report.figures.sweep import heat_maps
from cellshuffle.report.results import Results
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
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


# Runs draw_figures.py as Snakemake would.
AS_A_RULE = """
import json, runpy, sys
from types import SimpleNamespace
script, library, rule = sys.argv[1:]
sys.path.insert(0, library)
rule = json.loads(rule)
rule["input"] = SimpleNamespace(**rule["input"])
rule["params"] = SimpleNamespace(**rule["params"])
runpy.run_path(script, {"snakemake": SimpleNamespace(**rule)})
assert "matplotlib.style" not in sys.modules  # it would read the user's styles
"""
SETTINGS = {
    "settings": "\n".join([
        "text.usetex: True", "savefig.bbox: tight", "lines.linewidth: 4", "font.family: serif",
        "font.size: 20", "figure.dpi: 30", "axes.formatter.use_locale: True", "axes.unicode_minus: False",
        "svg.fonttype: none", "axes.formatter.limits: 0, 0", "pdf.fonttype: 3", "svg.hashsalt: other",
        "text.hinting: native",
    ]),
    "no text": b"font.family: \xff\xfe",
    "no settings": "backend: no_such\nlines.linewidth: wide\nno_such: 1\n: :",
}  # fmt: skip
ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "SOURCE_DATE_EPOCH": "1000000000",
    "TZ": "Asia/Kathmandu",
    "LC_ALL": "de_DE.ISO-8859-1",
    "PYTHONHASHSEED": "7",
    "FREETYPE_PROPERTIES": "truetype:interpreter-version=35",
}


@pytest.fixture(scope="module")
def one_figure(tmp_path_factory):
    """The rule that draws a figure of names in many letters, and the files that it should make."""
    folder = tmp_path_factory.mktemp("figure")
    config = synthetic_run.make_config(2, 1, ("cell_line", "drug"))
    run = synthetic_run.write_run(folder, config)
    results = synthetic_run.results_of(run, config)
    table = results.classes
    table["class"] = table["class"].replace(
        {"cell_line 00": "T\u7d30\u80de \ud55c\uad6d", "cell_line 01": "\u0e17 αβ"}
    )
    table.to_csv(results.files.classes, index=False)
    ours = [folder / f"ours.{suffix}" for suffix in ("svg", "pdf", "png")]
    style.save(class_f1.draw(results), ours)
    rule = {
        "rule": "draw_figures",
        "input": {"classes": str(results.files.classes)},
        "params": {"config": json.dumps(config), "figures": {"class_f1": ["class_f1", "", ""]}},
        "wildcards": [],
        "log": [],
    }
    return rule, ours


@pytest.mark.parametrize("settings", SETTINGS)
def test_figures_depend_on_nothing_of_the_user(settings, one_figure, tmp_path):
    """Neither settings, wherever Matplotlib looks for them, nor styles, locale, time nor installed fonts."""
    rule, ours = one_figure
    text = SETTINGS[settings]
    places = {name: tmp_path / name for name in ("cwd", "set", "home")}
    for place in places.values():
        place.mkdir()
        (place / "matplotlibrc").write_bytes(text if isinstance(text, bytes) else text.encode())
    styles = places["home"] / "stylelib"
    styles.mkdir()
    (styles / "own.mplstyle").write_bytes(b"\xff")
    theirs = [tmp_path / path.name for path in ours]
    scripts = REPOSITORY / "workflow/scripts"
    rule = rule | {"output": {f"class_f1_{path.suffix[1:]}": str(path) for path in theirs}}
    variables = {"MATPLOTLIBRC": str(places["set"]), "MPLCONFIGDIR": str(places["home"])}
    done = subprocess.run(
        [sys.executable, "-c", AS_A_RULE, scripts / "draw_figures.py", scripts, json.dumps(rule)],
        env=os.environ | ENVIRONMENT | variables,
        cwd=places["cwd"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for one, other in zip(ours, theirs, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.suffix


def test_what_was_set_is_set_again():
    own = {"lines.linewidth": 4, "font.family": ["serif"], "text.usetex": False}
    with matplotlib.rc_context(own):
        before, fonts = dict(matplotlib.rcParams), list(font_manager.fontManager.ttflist)
        with style.figure_style():
            assert matplotlib.rcParams["lines.linewidth"] != 4
        assert dict(matplotlib.rcParams) == before
        assert not set(style.FONTS) & set(font_manager.fontManager.ttflist)
    font_manager.fontManager.ttflist[:] = [*fonts]


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


def test_a_figure_drawn_again_has_the_same_bytes(tmp_path):
    """The layout's last digits differ between draws: without rounding, `why.svg` did in three of ten."""
    config = synthetic_run.make_config(6, 1, ("cell_line", "drug"))
    results = synthetic_run.results_of(synthetic_run.write_run(tmp_path, config), config)
    drawn = set()
    for turn in range(8):
        path = tmp_path / f"{turn}.svg"
        style.save(why.draw(results), [path])
        drawn.add(path.read_bytes())
    assert len(drawn) == 1


def test_the_layout_is_rounded():
    figure = style.new_figure(2)
    axes = figure.subplots()
    style.settle(figure)
    assert all(round(value, 6) == value for value in axes.get_position(original=True).bounds)


@given(st.text())
def test_any_text_can_be_drawn(text):
    """In one line of characters that the fonts have; what they have stays as it is."""
    shown = style.drawn(text)
    assert set(shown) <= style._characters() | set("\u200c\u200d")
    assert "\n" not in shown
    if text.isascii() and text.isprintable():
        assert shown == " ".join(text.split())
    assert style.lines(text, 12).replace("\n", "").replace(" ", "") == shown.replace(" ", "")


def test_names_of_any_kind_in_all_formats(tmp_path):
    """A legend does not leave out what begins with `_`, and an SVG file stays XML."""
    names = ["_hidden", "$x_{", "-->", "]]>", "a\x00b", "\ud800", "\u202e", "&<>", "\\", "中文", "{}", "%s"]
    figure = style.new_figure(3)
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), [style.drawn(name) for name in names])
    style.title(axes, " ".join(names))
    lines = [axes.plot([0, 1], label=label)[0] for label in style.legend_labels(names)]
    figure.legend(handles=lines, loc="outside upper left", ncols=4)
    assert len(figure.legends[0].get_texts()) == len(names)
    style.save(figure, [tmp_path / f"names.{suffix}" for suffix in ("svg", "pdf", "png")])
    ElementTree.parse(tmp_path / "names.svg")
