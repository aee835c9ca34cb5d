"""F1 of the classes on the test plates, a panel per task, and one of all in order where they are many."""

import numpy as np

from cellshuffle.phrasing import test_set_name
from cellshuffle.report.figures import style

FEW = 12  # up to so many classes are all named
NAMED = 5  # of more, so many best and as many worst
LONG = 28  # characters of a class's name that are shown


def draw(results):
    """The figure, from classes.csv."""
    classes = results.classes[results.classes["cells"] > 0]
    tables = {
        task: classes[classes["task"] == task].pivot_table(
            index=["class", "cells"], columns="strategy", values="f1", sort=False
        )
        for task in results.tasks
    }
    longest = max(len(_named(table, results.baseline)) for table in tables.values())
    n_panels = sum(2 if len(table) > FEW else 1 for table in tables.values())
    margin = 0.3 + style.legend_height(results.strategies)
    figure, grid = style.panels(n_panels, margin, 0.62 + 0.155 * longest)
    panels = iter(grid.flat)
    for task, table in tables.items():
        axes = next(panels)
        _classes(axes, table, results)
        style.title(axes, task)
        if len(table) > FEW:
            axes = next(panels)
            _ranks(axes, table, results.strategies)
            style.title(axes, f"{task}: all {len(table)} classes")
    where = f"classes with cells on {test_set_name(results.config)}, their number in brackets"
    style.footnote(figure, f"{where}; means over the seeds")
    style.legend(figure, results.strategies)
    return figure


def _named(table, baseline):
    """The classes that are named, best first, with a gap (None) where some are left out."""
    ranked = list(table[baseline].sort_values(ascending=False, kind="stable").index)
    return ranked if len(ranked) <= FEW else [*ranked[:NAMED], None, *ranked[-NAMED:]]


def _classes(axes, table, results):
    """F1 of each class that is named, a marker a strategy."""
    named = _named(table, results.baseline)
    for strategy, appearance in style.strategy_styles(results.strategies).items():
        rows = [row for row, name in enumerate(named) if name is not None]
        f1 = [table.loc[named[row], strategy] for row in rows]
        axes.plot(f1, rows, appearance["marker"], color=appearance["color"], markersize=4.5, clip_on=False,
                  markerfacecolor=(appearance["color"], 0.5), markeredgewidth=0.8, zorder=3)  # fmt: skip
    left_out = f"{len(table) - 2 * NAMED} more"
    names = [left_out if name is None else f"{_short(name[0])} ({name[1]:,})" for name in named]
    axes.set_yticks(range(len(named)), names, fontsize=6)
    axes.set_ylim(len(named) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    lowest = table.to_numpy().min()
    axes.set_xlim(max(0, np.floor(10 * lowest - 0.2) / 10), 1)
    axes.grid()
    axes.set_xlabel("F1 of the class")


def _short(name):
    name = style.drawn(name)
    return name if len(name) <= LONG else f"{name[: LONG - 12]}…{name[-11:]}"


def _ranks(axes, table, strategies):
    """F1 of all classes, each strategy's in the order of its own."""
    n = len(table)
    for strategy, appearance in style.strategy_styles(strategies).items():
        f1 = np.sort(table[strategy])[::-1]
        axes.plot(np.arange(1, n + 1), f1, **appearance, markevery=max(1, n // 12), markersize=3,
                  markeredgewidth=0, linewidth=1.1)  # fmt: skip
    axes.set_xlim(0.5, n + 0.5)
    axes.set_ylim(0, 1.02)
    axes.locator_params(axis="x", integer=True, nbins=7)
    axes.grid(axis="y")
    axes.set_xlabel("rank of the class for each strategy, best first")
    axes.set_ylabel("F1 of the class")
