"""Cost of each strategy: throughput, time to a score, waiting for data, memory."""

import numpy as np
from matplotlib.lines import Line2D

from cellshuffle.phrasing import duration
from cellshuffle.report.figures import style

ONCE = {"linewidth": 5, "alpha": 0.35, "solid_capstyle": "butt"}


def draw(results):
    """The figure, from the histories of all trainings and comparison.csv."""
    strategies, cost, reached = results.strategies, results.totals, results.time_to_target
    target = f"macro F1 {results.target_score:.2f} on {results.headline_task}"
    seconds, seconds_unit = style.time_unit(reached["seconds"].max())
    mib, mib_unit = style.memory_unit(cost["peak_memory_mib"].max())
    panels = [
        ("Throughput", "cells per second (higher is better)", cost, "cells_per_second", 1),
        (f"Time to {target}", f"training time ({seconds_unit})", reached, "seconds", seconds),
        ("Waiting for data", "share of training time (%)", cost, "waiting", 0.01),
        ("Peak memory", f"of the training process ({mib_unit})", cost, "peak_memory_mib", mib),
    ]  # fmt: skip
    figure, grid = style.panels(len(panels), 0.3, 0.66 + 0.19 * len(strategies), sharey=True)
    for axes, (heading, label, table, column, divisor) in zip(grid.flat, panels, strict=True):
        values = {s: t[column].to_numpy() / divisor for s, t in table.groupby("strategy")}
        _bars(axes, strategies, values)
        if column == "seconds" and results.rewriting:
            _rewriting(axes, values, {s: t / divisor for s, t in results.rewriting.items()}, strategies)
        style.title(axes, heading)
        axes.set_xlabel(label)
    if results.rewriting:
        once = duration(next(iter(results.rewriting.values())))
        key = Line2D([], [], color=style.GREY, label=f"and, once, the atlas rewritten: {once}", **ONCE)
        figure.legend(handles=[key], loc="outside lower right")
    return figure


def _rewriting(axes, values, once, strategies):
    """Beyond the bars of strategies that suppose a rewritten atlas, the time that writing it takes, once."""
    styles, top = style.strategy_styles(strategies), axes.get_xlim()[1]
    for strategy, time in once.items():
        reached = values[strategy][np.isfinite(values[strategy])]
        if len(reached):
            ends = reached.mean() + np.array([0, time])
            axes.plot(ends, [strategies.index(strategy)] * 2, color=styles[strategy]["color"], **ONCE)
            top = max(top, 1.05 * ends[1])
    axes.set_xlim(0, top)


def _bars(axes, strategies, values):
    """A bar per strategy from zero to the mean, a point per seed, the mean in numbers."""
    every = np.concatenate([values[s] for s in strategies])
    top = np.nanmax(every) if np.isfinite(every).any() else 1.0
    for row, (strategy, appearance) in enumerate(style.strategy_styles(strategies).items()):
        seeds = values[strategy]
        reached = seeds[np.isfinite(seeds)]
        if len(reached) == 0:
            axes.annotate("not reached", (0, row), (3, 0), textcoords="offset points", va="center",
                          fontsize=6.5, style="italic")  # fmt: skip
            continue
        axes.barh(row, reached.mean(), height=0.62, color=appearance["color"], alpha=0.85, linewidth=0)
        offset = np.linspace(-0.17, 0.17, len(reached)) if len(reached) > 1 else [0]
        axes.scatter(reached, row + np.array(offset), s=7, color="white", edgecolor="black",
                     linewidth=0.5, zorder=3, clip_on=False)  # fmt: skip
        text = style.three_digits(reached.mean())
        if len(reached) < len(seeds):
            text += f" ({len(reached)} of {len(seeds)} seeds)"
        style.value_label(axes, row, text)
    style.strategy_rows(axes, strategies)
    axes.set_xlim(0, top * 1.05 if top > 0 else 1)
    style.short_ticks(axes.xaxis, 5)
