"""Confusion matrices of one task, one per strategy."""

import numpy as np
from matplotlib.colors import PowerNorm

from cellshuffle.phrasing import natural_key, test_set_name
from cellshuffle.report.figures import style

NAMED, FEW = 60, 9  # every class is named up to this many classes and strategies
LONG = 40  # characters of a class name that are shown


def draw(results, task):
    """The figure of one task, from the saved predictions of all trainings.

    Rows are the classes of the test cells, each summing to 1. Columns are all classes: first those of
    the test cells, then, after a line, those that no test cell has; each part in natural order.
    """
    strategies = results.strategies
    counts, names = results.confusion(task)
    present = next(iter(counts.values())).sum(1) > 0
    order = natural_order(names)
    rows = order[present[order]]
    columns = np.concatenate([rows, order[~present[order]]])
    named = len(names) <= NAMED and len(strategies) <= FEW
    shown = _shown(names)
    across, side, label = _layout(len(strategies), len(columns), shown if named else [])
    down = -(-len(strategies) // across)
    tall = max(side * len(rows) / len(columns), 0.55)
    height = down * (tall + (0.3 if len(strategies) <= FEW else 0.4)) + label + 0.75
    figure = style.new_figure(height, max(7.2, across * side + label + 0.9))
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes, strategy in zip(grid.flat, strategies, strict=False):
        matrix = counts[strategy][np.ix_(rows, columns)]
        image = axes.imshow(
            matrix / np.maximum(matrix.sum(1, keepdims=True), 1), aspect="auto", cmap="Blues",
            norm=PowerNorm(0.5, 0, 1), interpolation="antialiased",
        )  # fmt: skip
        if len(rows) < len(columns):
            axes.axvline(len(rows) - 0.5, color="#D55E00", linewidth=1)
        axes.set_title(style.lines(strategy, side * 13), fontsize=7)
        axes.spines[:].set(visible=True, linewidth=0.4)
    for axes in grid.flat[len(strategies) :]:
        axes.set_visible(False)
    shown = [shown[c] for c in columns]
    _name_axes(figure, grid, len(strategies), shown, len(rows), named, task, results.config)
    bar = figure.colorbar(image, ax=grid, shrink=min(1.0, 1.6 / height + 0.25), aspect=25, pad=0.01)
    bar.set_label("share of the class's cells")
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1])
    return figure


def _layout(n, n_columns, names):
    """Number of panels in a row, then their side and the space for class names in inches."""
    if n > FEW:
        return (4, 1.5, 0.2) if n <= 16 else (5, 1.2, 0.2)
    side = max(1.5, 0.085 * n_columns) if names else 2.0
    label = min(2.2, 0.055 * max(map(len, names))) if names else 0.2
    # The width of a page where the names allow it.
    widest = 6.3 if side < 2.5 else 15 if side > 3 else 11
    down = -(-n // max(1, int((widest - label) // side)))
    across = -(-n // down)
    return across, max(side, (6.1 - label) / max(across, 3)), label


def _name_axes(figure, grid, n, names, n_rows, named, task, config):
    test_set = test_set_name(config)
    across = grid.shape[1]
    for k, axes in enumerate(grid.flat[:n]):
        bottom = k + across >= n
        if named:
            axes.set_yticks(range(n_rows), names[:n_rows], fontsize=6)
            axes.set_xticks(range(len(names)), names, fontsize=6, rotation=90)
        else:
            axes.set_yticks([])
            axes.set_xticks([])
        axes.tick_params(length=0, labelbottom=bottom and named)
    rest = f" | {_classes(len(names) - n_rows)} not on {test_set}" if n_rows < len(names) else ""
    predicted = f"predicted {task}: {_classes(n_rows)} on {test_set}{rest}"
    figure.supxlabel(style.lines(predicted, 17 * figure.get_figwidth()), fontsize=8)
    figure.supylabel(style.lines(f"true {task}", 17 * figure.get_figheight()), fontsize=8)


def _classes(n):
    return "1 class" if n == 1 else f"{n} classes"


def natural_order(names):
    """Positions that sort the classes: numbers by value, else text so that `type 2` precedes `type 10`."""
    try:
        return np.argsort([float(name) for name in names], kind="stable")
    except ValueError:
        return np.array(sorted(range(len(names)), key=lambda code: natural_key(names[code])))


def _shown(names):
    """The classes' names in one line each, long names cut."""
    lines = list(map(style.drawn, names))
    cut = [line if len(line) <= LONG else f"{line[:24]}…{line[-15:]}" for line in lines]
    return cut if len(set(cut)) == len(set(lines)) else lines
