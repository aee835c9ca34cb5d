"""F1 of every class on the test plates, sorted, a panel per task."""

import numpy as np

from cellshuffle.phrasing import display_name, test_set_name
from cellshuffle.report.figures import style


def f1_of_confusion(counts):
    """(n, n) truth x prediction counts -> F1 of the classes present in truth, best first."""
    true, predicted = counts.sum(1), counts.sum(0)
    f1 = 2 * np.diag(counts) / np.maximum(true + predicted, 1)
    return np.sort(f1[true > 0])[::-1]


def draw(results):
    """The figure, from the saved predictions of all trainings."""
    strategies, tasks = results.strategies, results.tasks
    figure, grid = style.panels(len(tasks), 0.25 + style.legend_height(strategies), 1.75)
    for axes, task in zip(grid.flat, tasks, strict=False):
        counts, _ = results.confusion(task)
        for strategy, appearance in style.strategy_styles(strategies).items():
            f1 = f1_of_confusion(counts[strategy])
            n = len(f1)
            axes.plot(np.arange(1, n + 1), f1, **appearance, markevery=max(1, n // 12), markersize=3,
                      markeredgewidth=0, linewidth=1.1)  # fmt: skip
        axes.set_xlim(0.5, n + 0.5)
        axes.set_ylim(0, 1.02)
        axes.locator_params(axis="x", integer=True, nbins=7)
        axes.grid(axis="y")
        style.title(axes, display_name(task))
        axes.set_xlabel(f"rank of the class, best first (of {n})")
        axes.set_ylabel("F1 of the class")
    figure.align_ylabels(grid)
    where = f"classes present on {test_set_name(results.config)}"
    style.footnote(figure, f"{where}; predictions of all seeds together")
    style.legend(figure, strategies)
    return figure
