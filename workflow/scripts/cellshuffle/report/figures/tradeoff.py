"""Score against throughput, one point per strategy."""

from functools import partial

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from cellshuffle.phrasing import test_set_name
from cellshuffle.report.figures import style
from cellshuffle.report.figures.point_labels import place_labels

# Points carry their names up to this many strategies with names up to this long; else a legend names them.
FEW, SHORT = 8, 26
# A gap between scores that is more than this share of their range is shortened, to this share of the height.
GAP, GAP_HEIGHT, SHORTENED = 0.3, 0.1, "#efefef"


def draw(results):
    """The figure, from the histories of all trainings and comparison.csv."""
    strategies, tasks = results.strategies, results.tasks
    speed = results.totals.groupby("strategy")["cells_per_second"].agg(["mean", "min", "max"])
    many = len(strategies) > FEW or max(map(len, strategies)) > SHORT
    margin = 0.5 + (style.legend_height(strategies) if many else 0)
    figure, grid = style.panels(len(tasks), margin, 2.3, sharex=True)
    panels = list(zip(grid.flat, tasks, strict=False))
    drawn = [_panel(axes, task, results, speed) for axes, task in panels]
    for axes in grid.flat[max(0, len(tasks) - grid.shape[1]) : len(tasks)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("throughput (training cells per second)")
    for axes in grid[:, 0]:
        axes.set_ylabel(style.lines(f"macro F1 ({test_set_name(results.config)})", 40))
    figure.align_ylabels(grid)
    edge = Line2D([], [], color=style.GREY, linewidth=4, alpha=0.2,
                  label="no strategy is both faster and better than this edge")  # fmt: skip
    gap = Patch(color=SHORTENED, label="scale shortened")
    figure.legend(handles=[gap, edge], loc="outside lower right", ncols=2)
    if many:
        style.legend(figure, strategies, lines=False)
        return figure
    names = list(map(style.drawn, strategies))
    appearances = style.strategy_styles(strategies).values()
    colours = [_text_colour(appearance["color"]) for appearance in appearances]
    style.settle(figure)
    for (axes, _), (points, whiskers) in zip(panels, drawn, strict=True):
        place_labels(figure, axes, points, names, colours, whiskers)
    return figure


def _panel(axes, task, results, speed):
    """Draw one task; returns the points (n, 2) and the ends of their whiskers."""
    strategies, scores = results.strategies, results.macro_f1(task)
    points = np.array([[speed.loc[s, "mean"], scores.loc[s, "mean"]] for s in strategies])
    styles, whiskers = style.strategy_styles(strategies), []
    _pareto_front(axes, points)
    for (x, y), (strategy, appearance) in zip(points, styles.items(), strict=True):
        low, high = speed.loc[strategy, ["min", "max"]]
        sd = np.nan_to_num(scores.loc[strategy, "sd"])
        whiskers += [((low, y), (high, y)), ((x, y - sd), (x, y + sd))]
        for line in whiskers[-2:]:
            axes.plot(*zip(*line, strict=True), color=appearance["color"], linewidth=0.9, zorder=2)
        # Translucent, so that one marker does not hide another.
        axes.plot(x, y, appearance["marker"], color=appearance["color"], markersize=5.5, zorder=3,
                  markerfacecolor=(appearance["color"], 0.5), markeredgewidth=0.9)  # fmt: skip
    _speed_axis(axes, speed["min"].min(), speed["max"].max())
    _score_axis(axes, whiskers[1::2])
    axes.grid()
    style.title(axes, task)
    return points, whiskers


def _score_axis(axes, whiskers):
    """Limits around the scores; wide gaps between groups of strategies are shortened, and grey.

    whiskers: of the scores, ((x, low), (x, high)) each.
    """
    spans = sorted((max(0, low), min(1, high)) for (_, low), (_, high) in whiskers)
    whole = max(max(high for _, high in spans) - spans[0][0], 0.01)
    groups = [[*spans[0], 1]]  # lowest, highest, number of strategies
    for low, high in spans[1:]:
        if low - groups[-1][1] > GAP * whole:
            groups.append([low, high, 1])
        else:
            groups[-1][1:] = max(groups[-1][1], high), groups[-1][2] + 1
    margin = max(0.04 * whole, 0.004)
    scores, heights, ticks = [], [], []
    for low, high, n in groups:
        if scores:
            axes.fill_between((0, 1), scores[-1], low - margin, transform=axes.get_yaxis_transform(),
                              color=SHORTENED, linewidth=0, zorder=0)  # fmt: skip
            heights.append(heights[-1] + GAP_HEIGHT)
        scores += [low - margin, high + margin]
        # Half by the range of scores, half by the number of strategies.
        share = (
            n / len(spans) + (high - low + 2 * margin) / sum(b - a + 2 * margin for a, b, _ in groups)
        ) / 2
        heights += [0, share] if not heights else [heights[-1] + share]
        locator = MaxNLocator(max(1, round(5 * share)), steps=[1, 2, 2.5, 5, 10])
        ticks += [
            t
            for t in locator.tick_values(low - margin, high + margin)
            if low - margin <= t <= min(1, high + margin)
        ]
    functions = (
        partial(_interpolate, old=scores, new=heights),
        partial(_interpolate, old=heights, new=scores),
    )
    axes.set_yscale("function", functions=functions)
    axes.set_ylim(*functions[1](np.array([-0.08, 1.08]) * heights[-1]))
    apart = np.diff(functions[0](ticks), prepend=-1) > 0.08 * heights[-1]
    axes.set_yticks(np.array(ticks)[apart])
    axes.yaxis.set_major_formatter(FuncFormatter(style.short_number))


def _interpolate(values, old, new):
    """Piecewise linear from the points `old` to `new`, both ascending; beyond them at the outer slopes."""
    values = np.asarray(values, dtype=float)
    first = (new[1] - new[0]) / (old[1] - old[0])
    last = (new[-1] - new[-2]) / (old[-1] - old[-2])
    beyond = first * np.minimum(values - old[0], 0) + last * np.maximum(values - old[-1], 0)
    return np.interp(values, old, new) + beyond


def _speed_axis(axes, low, high):
    """Limits around the speeds; a logarithmic axis where the fastest exceeds eight times the slowest."""
    if high <= 8 * low:
        margin = max(0.15 * (high - low), 0.02 * high)
        axes.set_xlim(low - margin, high + margin)
        style.short_ticks(axes.xaxis, 5)
        return
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(style.short_number))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _pareto_front(axes, points):
    """Draw the Pareto front: no strategy is both faster and better than a point on it."""
    order = points[np.lexsort((-points[:, 1], -points[:, 0]))]
    best = np.maximum.accumulate(order[:, 1])
    front = order[np.append(True, best[1:] > best[:-1])]
    x, y = front.T
    axes.step([x[0], *x, x.min() / 100], [0, *y, y[-1]], where="post", color=style.GREY, linewidth=4,
              alpha=0.2, zorder=1)  # fmt: skip


def _text_colour(colour):
    """A shade of the colour dark enough for small text."""
    rgb = np.array(to_rgb(colour))
    return tuple(rgb * min(1.0, 0.45 / (rgb @ [0.3, 0.59, 0.11])))
