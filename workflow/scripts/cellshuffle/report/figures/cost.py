"""What each strategy costs: throughput, time to a score, waiting for data, memory."""

import numpy as np

from cellshuffle.phrasing import in_sentence
from cellshuffle.report.figures.read import target_score, time_to, totals
from cellshuffle.report.figures.style import (
    beside,
    grid_of,
    looks,
    memory_unit,
    new_figure,
    short_ticks,
    strategy_rows,
    three_figures,
    time_unit,
    title,
)


def draw(history, comparison, config, task):
    """history: as `read.histories` gives; task: whose macro F1 the time to a score refers to."""
    strategies = list(config["strategies"])
    cost = totals(history)
    target = target_score(comparison, config, task)
    reached = time_to(history, f"{task}/macro_f1", target)
    seconds, time_word = time_unit(reached["seconds"].max())
    mib, memory_word = memory_unit(cost["peak_memory_mib"].max())
    panels = [
        ("Throughput", "cells per second (higher is better)", cost, "cells_per_second", 1),
        (f"Time to macro F1 {target:.2f} on {in_sentence(task)}", f"training time ({time_word})",
         reached, "seconds", seconds),
        ("Waiting for data", "share of training time (%)", cost, "waiting", 0.01),
        ("Peak memory", f"of the training process ({memory_word})", cost, "peak_memory_mib", mib),
    ]  # fmt: skip
    rows, columns = grid_of(len(panels))
    figure = new_figure(0.3 + rows * (0.66 + 0.19 * len(strategies)))
    grid = figure.subplots(rows, columns, sharey=True)
    for axes, (heading, label, table, column, divisor) in zip(grid.flat, panels, strict=True):
        values = {s: t[column].to_numpy() / divisor for s, t in table.groupby("strategy")}
        _bars(axes, strategies, values)
        title(axes, heading)
        axes.set_xlabel(label)
    return figure


def _bars(axes, strategies, values):
    """A bar per strategy from zero to the mean, every seed a point, the mean in figures."""
    every = np.concatenate([values[s] for s in strategies])
    top = np.nanmax(every) if np.isfinite(every).any() else 1.0
    for row, (strategy, look) in enumerate(looks(strategies).items()):
        own = values[strategy]
        done = own[np.isfinite(own)]
        if len(done) == 0:
            axes.annotate("not reached", (0, row), (3, 0), textcoords="offset points", va="center",
                          fontsize=6.5, style="italic")  # fmt: skip
            continue
        axes.barh(row, done.mean(), height=0.62, color=look["color"], alpha=0.85, linewidth=0)
        offset = np.linspace(-0.17, 0.17, len(done)) if len(done) > 1 else [0]
        axes.scatter(done, row + np.array(offset), s=7, color="white", edgecolor="black",
                     linewidth=0.5, zorder=3, clip_on=False)  # fmt: skip
        text = three_figures(done.mean())
        if len(done) < len(own):
            text += f" ({len(done)} of {len(own)} seeds)"
        beside(axes, row, text)
    strategy_rows(axes, strategies)
    axes.set_xlim(0, top * 1.05 if top > 0 else 1)
    short_ticks(axes.xaxis, 5)
