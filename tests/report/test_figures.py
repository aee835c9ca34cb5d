"""Every figure at the smallest and the largest configuration: drawn, legible, honest."""

import copy
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import synthetic_run
from cellshuffle.configuration import sweep
from cellshuffle.loading.samplers import sweep_prefixes
from cellshuffle.report import pages
from cellshuffle.report.figures import (
    class_f1,
    comparison,
    confusion,
    cost,
    differences,
    learning_curves,
    order,
    tradeoff,
    weights,
    why,
)
from cellshuffle.report.figures.sweep import heat_maps, is_told, sweep_table
from cellshuffle.report.results import Results
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from runs import REPOSITORY

FOUR = ("cell_line", "drug", "moa_broad", "moa_fine")
TEN = tuple(f"task_{k}" for k in range(10))
LONG = "sub_class_of_the_cells_by_the_second_annotation_of_the_atlas"
# strategies, seeds, tasks, training plates, classes, and what else `make_config` is told
SIZES = {
    "2 strategies, 1 seed, 2 plates": (2, 1, ("phase", "louvain_group"), 2, (3, 9)),
    "6 strategies, 3 seeds, 95 drugs": (6, 3, FOUR, 13, (12, 95, 4, 27)),
    "20 strategies, 3 seeds, 380 drugs": (20, 3, FOUR, 13, (50, 380, 4, 27)),
    "3 strategies, 2 seeds, 1 task, 30 plates": (3, 2, ("drug",), 30, (95,)),
    "4 strategies, 1 seed, 10 tasks": (4, 1, TEN, 14, (12, 95, 4, 27, 2, 3, 5, 6, 7, 8)),
    "one of everything": (1, 1, ("drug",), 1, (9,), {"epochs": 1}),
    "12 long names, a long task": (
        12,
        2,
        ("line", LONG),
        13,
        (9, 24),
        {"suffix": "_with_a_long_name"},
    ),
}


@pytest.fixture(scope="module", params=SIZES)
def figures(request, tmp_path_factory):
    """{name: figure} of a synthetic run of one size."""
    n_strategies, n_seeds, tasks, plates, n_classes, *more = SIZES[request.param]
    config = synthetic_run.make_config(n_strategies, n_seeds, tasks, plates, **dict(*more))
    run = synthetic_run.write_run(tmp_path_factory.mktemp("run"), config, n_classes, n_test=400)
    results = synthetic_run.results_of(run, config)
    published = [REPOSITORY / "results/published/scdataset_tahoe100m.csv"]
    return {
        "comparison": comparison.draw(results),
        "published": comparison.draw(synthetic_run.results_of(run, config, published)),
        "differences": differences.draw(results),
        "learning curves": learning_curves.draw(results),
        "cost": cost.draw(results),
        "cost of a rewritten atlas": cost.draw(rewritten(results)),
        "trade-off": tradeoff.draw(results),
        "why": why.draw(results),
        "order": order.draw(results),
        "weights": weights.draw(results),
        "class F1": class_f1.draw(results),
        **{f"confusion {task}": confusion.draw(results, task) for task in tasks},
    }


def rewritten(results):
    """The same results with a strategy that supposes the atlas written once more."""
    results = copy.copy(results)
    results.rewriting = {results.strategies[-1]: 2 * results.time_to_target["seconds"].max()}
    return results


def visible_texts(figure):
    """Text, box of every text that is seen, in pixels."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    unseen = {id(label) for axes in figure.axes for label in _hidden_tick_labels(axes)}
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in unseen
    ]


def _hidden_tick_labels(axes):
    """Labels that exist but are never drawn: of hidden axes, and of ticks beyond the limits."""
    for axis, bounds in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(bounds)
        slack = 1e-6 * (high - low)
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            within = low - slack <= tick.get_loc() <= high + slack
            if not (within and tick.get_visible() and axes.get_visible()):
                yield from (tick.label1, tick.label2)


def test_no_text_overlaps_another_or_leaves_the_page(figures):
    found = []
    for name, figure in figures.items():
        texts = visible_texts(figure)
        width, height = figure.bbox.width, figure.bbox.height
        for text, box in texts:
            if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
                found.append(f"{name}: '{text}' leaves the page")
        for (a, one), (b, other) in itertools.combinations(texts, 2):
            wide = min(one.x1, other.x1) - max(one.x0, other.x0)
            high = min(one.y1, other.y1) - max(one.y0, other.y0)
            if wide > 1.5 and high > 2.5:
                found.append(f"{name}: '{a}' and '{b}' overlap by {wide:.0f} x {high:.0f} pixels")
    assert not found, "\n".join(found[:40])


def test_bars_start_at_zero(figures):
    for name, figure in figures.items():
        for axes in figure.axes:
            bars = [p for p in axes.patches if isinstance(p, Rectangle)]
            if bars and axes.get_visible():
                assert axes.get_xlim()[0] == 0, name
                assert all(bar.get_x() == 0 for bar in bars), name


def test_scores_end_at_one(figures):
    for name in ("comparison", "published"):
        assert all(axes.get_xlim()[1] <= 1 for axes in figures[name].axes), name
    assert figures["why"].axes[-1].get_xlim()[1] <= 1
    assert all(axes.get_ylim()[1] <= 1.05 for axes in figures["trade-off"].axes)


def test_values_stand_clear_of_bars_and_points(figures):
    for name in ("comparison", "cost"):
        figures[name].draw_without_rendering()
        for axes in figures[name].axes:
            right = axes.get_window_extent().x1
            values = [t for t in axes.texts if t.get_text() != "not reached"]
            assert all(t.get_window_extent().x0 > right for t in values), name


def test_panels_of_learning_curves_stand_close(figures):
    """A long name over a panel leaves no gap beside it."""
    axes = figures["learning curves"].axes[:2]
    figures["learning curves"].draw_without_rendering()
    left, right = (one.get_window_extent() for one in axes)
    assert right.x0 - left.x1 < 0.2 * left.width


def says_what_it_shows(figure, axes, direction):
    """Whether an axis has a label or names for numbers: its own, the figure's, or those it is read with.

    It is read with axes that it shares; with panels in line with it (of its row for y) that have the
    same limits where it leaves its own numbers out; and with all of them where they have one label.
    """
    side, span = {"x": ("bottom", "colspan"), "y": ("left", "rowspan")}[direction]
    label, limits = f"get_{direction}label", f"get_{direction}lim"
    panels = [other for other in figure.axes if other.get_visible() and other.get_subplotspec()]
    place = getattr(axes.get_subplotspec(), span)
    in_line = [other for other in panels if getattr(other.get_subplotspec(), span) == place]
    if len({getattr(other, label)() for other in in_line} - {""}) == 1:
        return True
    alike = list(getattr(axes, f"get_shared_{direction}_axes")().get_siblings(axes))
    if not getattr(axes, f"{direction}axis").get_tick_params().get(f"label{side}", True):
        alike += [o for o in in_line if getattr(o, limits)() == getattr(axes, limits)()]
    ticks = [getattr(other, f"get_{direction}ticklabels")() for other in alike]
    names = [tick.get_text() for tick in itertools.chain(*ticks)]
    labels = [getattr(figure, f"get_sup{direction}label")(), *(getattr(o, label)() for o in alike)]
    return any(labels) or any(re.search(r"[^\W\d]{3}", name) for name in names)


def test_axes_are_labelled(figures):
    for name, figure in figures.items():
        shown = [axes for axes in figure.axes if axes.get_visible() and axes.has_data()]
        assert shown, name
        for axes in shown:
            if axes.get_label() == "<colorbar>":
                assert axes.get_xlabel() or axes.get_ylabel(), name
                continue
            for direction in "xy":
                where = f"{name}: {direction} of '{axes.get_title(loc='left') or axes.get_title()}'"
                assert says_what_it_shows(figure, axes, direction), where


def test_a_legend_names_the_strategies_that_are_drawn(figures):
    drawn = {text.get_text() for text in figures["weights"].legends[0].get_texts()}
    panels = figures["weights"].axes
    rows = {text.get_text().replace("\n", "") for text in panels[2].get_yticklabels()}
    assert drawn == rows


def test_heat_maps_of_a_sweep():
    grid = [1, 4, 16, 64, 256]
    both = {
        "block_size": grid,
        "fetch_factor": grid,
        "samplers": ["BlockShuffling", "BlockWeightedSampling"],
    }
    strategies = sweep.expand(both, sweep_prefixes())
    assert len(strategies) == 50
    assert strategies["block_weighted_b4_f64"] == {
        "sampler": "BlockWeightedSampling", "block_size": 4, "fetch_factor": 64,
    }  # fmt: skip
    assert sweep.expand(None, {}) == {}
    table = pd.DataFrame(strategies.values())
    table["cells_per_second"] = 5000.0 * table["block_size"]
    table["plate_entropy"] = 3.7 / table["block_size"]
    table["score"] = 0.3
    table["told"] = table["block_size"] != 16
    figure = heat_maps(table, "drug", synthetic_run.make_config())
    drawn = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    assert np.isnan(drawn[:, grid.index(16)]).all() and np.isfinite(drawn[:, 0]).all()  # left grey
    assert np.isfinite(np.ma.filled(figure.axes[2].images[0].get_array(), np.nan)).all()
    test_no_text_overlaps_another_or_leaves_the_page({"sweep": figure})
    test_axes_are_labelled({"sweep": figure})


def test_speeds_of_a_sweep_are_told_from_enough_measurements_on_one_side():
    assert is_told(np.array([5, 6, 7.0]), 3) and is_told(np.array([1, 2, 2.5]), 3)
    assert not is_told(np.array([5, 2, 7.0]), 3) and not is_told(np.array([50.0]), 3)


def test_a_sweep_is_drawn_from_loading_alone_where_it_was_measured(tmp_path):
    config = synthetic_run.make_config()
    strategies = sweep.expand(
        {"block_size": [1, 8], "fetch_factor": [2, 4], "samplers": ["BlockShuffling"]}, sweep_prefixes()
    )
    files = SimpleNamespace(loading=[tmp_path / "loading.csv"])
    speed = dict(zip(strategies, (100, 100, 900, 1000), strict=True))
    rows = [(name, rate * (1 + k / 100)) for name, rate in speed.items() for k in range(4)]
    pd.DataFrame(rows, columns=["strategy", "cells_per_second"]).to_csv(files.loading[0], index=False)
    results = Results(files, config | {"strategies": strategies})
    results.history = pd.DataFrame({"strategy": list(strategies), "cells_per_second": 5.0})
    results.entropy = {name: pd.DataFrame({"plate": [1.0]}) for name in strategies}
    results.headline_task = "drug"
    results.macro_f1 = lambda task: pd.DataFrame({"mean": 0.5}, index=list(strategies))
    table = sweep_table(results)
    assert table["cells_per_second"].tolist() == [101.5, 101.5, 913.5, 1015.0] and table["told"].all()
    files.loading, results = [], None
    alone = Results(files, config | {"strategies": strategies})
    alone.history = pd.DataFrame({"strategy": list(strategies), "cells_per_second": [5.0, 50, 500, 5000]})
    alone.entropy, alone.headline_task = {n: pd.DataFrame({"plate": [1.0]}) for n in strategies}, "drug"
    alone.macro_f1 = lambda task: pd.DataFrame({"mean": 0.5}, index=list(strategies))
    assert not sweep_table(alone)["told"].any()  # one epoch and one seed


def test_the_report_gives_loading_rates_where_they_were_measured(tmp_path):
    files = SimpleNamespace(loading=[tmp_path / "loading.csv"])
    config = synthetic_run.make_config()
    rows = [(name, 1000.0 + k) for name in config["strategies"] for k in (0, 2, 9)]
    pd.DataFrame(rows, columns=["strategy", "cells_per_second"]).to_csv(files.loading[0], index=False)
    text = "".join(pages._loading(Results(files, config)))
    assert text.count("1,002") == len(config["strategies"]) and "1,000 to 1,009" in text
    run = synthetic_run.write_run(tmp_path / "run", config, n_test=60)
    files.loading, files.history = [], sorted(run.glob("train/*/seed*/history.csv"))
    results = Results(files, config)
    text = "".join(pages._loading(results))
    rates = results.totals.groupby("strategy")["cells_per_second"].max()
    assert "by loading, at least" in text and "make plan measures it" in text
    assert all(f"{rates[name]:,.0f}" in text for name in config["strategies"])
