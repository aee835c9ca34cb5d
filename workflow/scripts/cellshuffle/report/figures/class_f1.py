"""F1 of every class on the test plates, sorted, a panel per task."""

import numpy as np

from cellshuffle.phrasing import display_name, test_set_name
from cellshuffle.report.figures.style import (
    footnote,
    grid_of,
    legend,
    legend_height,
    looks,
    new_figure,
    title,
)


def f1_of_confusion(counts):
    """(n, n) truth x prediction counts -> F1 of the classes present in truth, best first."""
    true, predicted = counts.sum(1), counts.sum(0)
    f1 = 2 * np.diag(counts) / np.maximum(true + predicted, 1)
    return np.sort(f1[true > 0])[::-1]


def draw(confusions, config):
    """confusions: {task: {strategy: (n, n) counts summed over seeds}}."""
    strategies = list(config["strategies"])
    rows, columns = grid_of(len(confusions))
    figure = new_figure(0.25 + legend_height(strategies) + 1.75 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (task, counts) in zip(grid.flat, confusions.items(), strict=False):
        n = 1
        for strategy, look in looks(strategies).items():
            f1 = f1_of_confusion(counts[strategy])
            n = len(f1)
            every = max(1, n // 12)
            axes.plot(np.arange(1, n + 1), f1, color=look["color"], linestyle=look["linestyle"],
                      marker=look["marker"], markevery=every, markersize=3,
                      markeredgewidth=0, linewidth=1.1)  # fmt: skip
        axes.set_xlim(0.5, n + 0.5)
        axes.set_ylim(0, 1.02)
        axes.locator_params(axis="x", integer=True, nbins=7)
        axes.grid(axis="y")
        title(axes, display_name(task))
        axes.set_xlabel(f"rank of the class, best first (of {n})")
        axes.set_ylabel("F1 of the class")
    for axes in grid.flat[len(confusions) :]:
        axes.set_visible(False)
    figure.align_ylabels(grid)
    on = test_set_name(config)
    footnote(figure, f"classes present on {on}; predictions of all seeds together")
    legend(figure, strategies)
    return figure
