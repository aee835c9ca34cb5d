"""Differences from the baseline strategy in macro F1, with their intervals, a panel per task."""

import numpy as np
from matplotlib.lines import Line2D

from cellshuffle.analysis.comparison import TOLD
from cellshuffle.phrasing import signed, test_set_name
from cellshuffle.report.answers import significant_differences
from cellshuffle.report.figures import style


def draw(results):
    """The figure, from comparison.csv."""
    tasks = results.tasks
    figure, grid = style.panels(len(tasks), 0.55, 0.62 + 0.2 * len(results.strategies), sharey=True)
    counted = significant_differences(results.comparison)
    for axes, task in zip(grid.flat, tasks, strict=False):
        _panel(axes, task, results, counted)
    where = f"macro F1 on {test_set_name(results.config)}"
    style.footnote(figure, f"difference from {results.baseline} in {where} (to the right: higher)")
    handles = [
        Line2D([], [], color=style.GREY, marker="o", markersize=4.5, label="difference, 95% interval"),
        Line2D([], [], color=style.GREY, marker="o", markersize=4.5, markerfacecolor="white",
               label="may be chance among all that are compared"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return figure


def _panel(axes, task, results, counted):
    rows, styles = results.macro_f1(task), style.strategy_styles(results.strategies)
    axes.axvline(0, color=style.GREY, linewidth=0.9)
    for row, strategy in enumerate(results.strategies):
        difference, low, high, verdict = rows.loc[strategy, ["difference", "low", "high", "verdict"]]
        if verdict not in TOLD:
            axes.annotate(verdict, (0, row), (4, 0), textcoords="offset points", va="center",
                          fontsize=6.5, style="italic")  # fmt: skip
            continue
        colour, marker = styles[strategy]["color"], styles[strategy]["marker"]
        counts = any(task in found for found in counted[strategy])
        axes.plot([low, high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(difference, row, marker, color=colour, markersize=5, zorder=3,
                  markerfacecolor=colour if counts else "white")  # fmt: skip
        style.value_label(axes, row, f"{signed(difference)} ({signed(low)} to {signed(high)})")
    style.strategy_rows(axes, results.strategies)
    reach = np.nanmax([0.01, *rows[["low", "high"]].abs().to_numpy().ravel()])
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    axes.locator_params(axis="x", nbins=4)
    style.title(axes, task)
