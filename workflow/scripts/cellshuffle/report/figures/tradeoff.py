"""Score against throughput, one point per strategy."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cellshuffle.phrasing import display_name, test_set_name
from cellshuffle.report.figures import style
from cellshuffle.report.figures.point_labels import place_labels

# Points carry their names up to this many strategies with names up to this long; else a legend names them.
FEW, SHORT = 8, 26


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
        axes.set_ylabel(f"macro F1 ({test_set_name(results.config)})")
    figure.align_ylabels(grid)
    edge = Line2D([], [], color=style.GREY, linewidth=4, alpha=0.2,
                  label="no strategy is both faster and better than this edge")  # fmt: skip
    figure.legend(handles=[edge], loc="outside lower right")
    if many:
        style.legend(figure, strategies, lines=False)
        return figure
    names = [display_name(strategy) for strategy in strategies]
    appearances = style.strategy_styles(strategies).values()
    colours = [_text_colour(appearance["color"]) for appearance in appearances]
    figure.draw_without_rendering()
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
    axes.set_ylim(0, np.clip(1.15 * max(y for line in whiskers for _, y in line), 1e-3, 1.05))
    style.short_ticks(axes.yaxis, 5)
    axes.grid()
    style.title(axes, display_name(task))
    return points, whiskers


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
