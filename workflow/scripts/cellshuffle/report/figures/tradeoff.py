"""Score against throughput, one point a strategy: the picture a person chooses by."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cellshuffle.phrasing import display_name, test_set_name
from cellshuffle.report.figures.labels import place_labels
from cellshuffle.report.figures.read import totals
from cellshuffle.report.figures.style import (
    GREY,
    grid_of,
    legend,
    legend_height,
    looks,
    new_figure,
    short,
    short_ticks,
    title,
)

# Up to this many strategies, with names up to this long, every point carries its name; else a legend does.
FEW, SHORT = 8, 26


def draw(history, comparison, config):
    """history: as `read.histories` gives; comparison: the run's table."""
    strategies, tasks = list(config["strategies"]), list(config["tasks"])
    speed = totals(history).groupby("strategy")["cells_per_second"].agg(["mean", "min", "max"])
    rows, columns = grid_of(len(tasks))
    many = len(strategies) > FEW or max(map(len, strategies)) > SHORT
    figure = new_figure(0.5 + (legend_height(strategies) if many else 0) + rows * 2.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    panels = list(zip(grid.flat, tasks, strict=False))
    drawn = [_panel(axes, task, strategies, speed, comparison) for axes, task in panels]
    for axes in grid.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(tasks) - columns) : len(tasks)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("throughput (training cells per second)")
    for axes in grid[:, 0]:
        axes.set_ylabel(f"macro F1 ({test_set_name(config)})")
    figure.align_ylabels(grid)
    edge = Line2D([], [], color=GREY, linewidth=4, alpha=0.2,
                  label="no strategy is both faster and better than this edge")  # fmt: skip
    figure.legend(handles=[edge], loc="outside lower right")
    if many:
        legend(figure, strategies, lines=False)
        return figure
    names = [display_name(strategy) for strategy in strategies]
    colours = [_ink(look["color"]) for look in looks(strategies).values()]
    figure.draw_without_rendering()
    for (axes, _), (points, whiskers) in zip(panels, drawn, strict=True):
        place_labels(figure, axes, points, names, colours, whiskers)
    return figure


def _panel(axes, task, strategies, speed, comparison):
    """Draw one task; returns the points (n, 2) and the ends of their whiskers."""
    scores = comparison[(comparison["task"] == task) & (comparison["metric"] == "macro_f1")]
    scores = scores.set_index("strategy")
    points = np.array([[speed.loc[s, "mean"], scores.loc[s, "mean"]] for s in strategies])
    whiskers = []
    _front(axes, points)
    for (x, y), (strategy, look) in zip(points, looks(strategies).items(), strict=True):
        low, high = speed.loc[strategy, ["min", "max"]]
        sd = np.nan_to_num(scores.loc[strategy, "sd"])
        whiskers += [((low, y), (high, y)), ((x, y - sd), (x, y + sd))]
        for line in whiskers[-2:]:
            axes.plot(*zip(*line, strict=True), color=look["color"], linewidth=0.9, zorder=2)
        # Seen through, so that one marker does not hide another.
        axes.plot(x, y, look["marker"], color=look["color"], markersize=5.5, zorder=3,
                  markerfacecolor=(look["color"], 0.5), markeredgewidth=0.9)  # fmt: skip
    _speed_axis(axes, speed["min"].min(), speed["max"].max())
    axes.set_ylim(0, np.clip(1.15 * max(y for line in whiskers for _, y in line), 1e-3, 1.05))
    short_ticks(axes.yaxis, 5)
    axes.grid()
    title(axes, display_name(task))
    return points, whiskers


def _speed_axis(axes, low, high):
    """Around the speeds, logarithmic where the fastest is more than eight times the slowest."""
    if high <= 8 * low:
        margin = max(0.15 * (high - low), 0.02 * high)
        axes.set_xlim(low - margin, high + margin)
        short_ticks(axes.xaxis, 5)
        return
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _front(axes, points):
    """The edge beyond which no strategy is both faster and better."""
    order = points[np.lexsort((-points[:, 1], -points[:, 0]))]
    best = np.maximum.accumulate(order[:, 1])
    front = order[np.append(True, best[1:] > best[:-1])]
    x, y = front.T
    axes.step([x[0], *x, x.min() / 100], [0, *y, y[-1]], where="post", color=GREY, linewidth=4, alpha=0.2,
              zorder=1)  # fmt: skip


def _ink(colour):
    """A shade of the colour dark enough for small text."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(colour))
    return tuple(rgb * min(1.0, 0.45 / (rgb @ [0.3, 0.59, 0.11])))
