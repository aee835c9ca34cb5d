"""Measures of order against the score: a panel a measure, a point a strategy, with the rank correlation."""

import numpy as np

from cellshuffle.analysis.order_measures import WINDOWS
from cellshuffle.phrasing import signed, test_set_name
from cellshuffle.report.figures import style
from cellshuffle.report.orders import FEWEST, measured

TITLES = [
    "entropy in\na minibatch",
    *(f"entropy in\n{window} minibatches" for window in WINDOWS[1:]),
    "drift in the\nlast tenth",
    "differences of\ncell numbers",
]


def draw(results):
    """The figure, from order.csv of all strategies and comparison.csv."""
    table = measured(results)
    labels = list(dict.fromkeys(label for label in table["label"] if label))
    figure = style.new_figure(0.75 + style.legend_height(results.strategies) + 1.15 * len(labels))
    grid = figure.subplots(len(labels), 2 + len(WINDOWS), squeeze=False, sharey=True)
    for row, label in enumerate(labels):
        of_label = table[table["label"] == label]
        for axes, (_, measure) in zip(grid[row], of_label.iterrows(), strict=False):
            _panel(axes, results, measure)
        grid[row, 0].set_ylabel(style.lines(label, 16), fontweight="bold")
        grid[row, -1].set_visible(row == 0)
    _panel(grid[0, -1], results, table[table["measure"] == "differences"].iloc[0])
    for axes, heading in zip(grid[0], TITLES, strict=True):
        axes.set_title(heading, fontsize=7)
    for column in range(grid.shape[1]):
        bottom = grid[0 if column == grid.shape[1] - 1 else -1, column]
        bottom.set_xlabel("distance" if column == len(WINDOWS) else "bits")
    score = f"macro F1 on {results.headline_task} ({test_set_name(results.config)})"
    figure.supylabel(style.lines(score, 40 if len(labels) > 1 else 20), fontsize=7)
    style.legend(figure, results.strategies, lines=False)
    return figure


def _panel(axes, results, measure):
    """Points of a measure; its correlation with the score in the corner where fewest points are."""
    scores = results.macro_f1(results.headline_task)["mean"]
    keys = ["measure", "label", "window"]
    x = [table.set_index(keys)["value"][tuple(measure[keys])] for table in results.order.values()]
    y = [scores[strategy] for strategy in results.strategies]
    dot = {"linestyle": "none", "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    for place, score, appearance in zip(
        x, y, style.strategy_styles(results.strategies).values(), strict=True
    ):
        axes.plot(place, score, **appearance | dot, clip_on=False, zorder=3)
    low, high = min(x), max(x)
    margin = 0.08 * (high - low) or 0.1
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(0, np.clip(1.3 * max(y), 1e-3, 1.2))
    axes.locator_params(axis="x", nbins=2)
    axes.locator_params(axis="y", nbins=3)
    known = len(y) >= FEWEST and np.isfinite(measure["correlation"])
    text = (
        f"corr. {signed(measure['correlation'], 2)}"
        if known
        else "cannot tell"
        if len(y) < FEWEST
        else "all alike"
    )
    axes.annotate(
        text, (0.5, 1), (0, -2), "axes fraction", "offset points", ha="center", va="top", fontsize=6.5
    )
