"""Score and loss against cells seen and against training time, a row of panels per task."""

from matplotlib.ticker import MaxNLocator

from cellshuffle.phrasing import test_set_name
from cellshuffle.report.figures import style

MANY = 8  # with more strategies than this, bands of the seeds' range would cover the lines


def draw(results):
    """The figure, from the histories of all trainings."""
    strategies, tasks, history = results.strategies, results.tasks, results.history
    figure = style.new_figure(0.6 + style.legend_height(strategies) + 1.32 * len(tasks))
    grid = figure.subplots(len(tasks), 4, squeeze=False, sharex="col")
    divisor, unit = style.time_unit(history["train_seconds"].max())
    history = history.assign(time=history["train_seconds"] / divisor)
    for task, row in zip(tasks, grid, strict=True):
        columns = [(f"{task}/macro_f1", "cells_seen"), (f"{task}/macro_f1", "time"),
                   (f"{task}/loss", "cells_seen"), (f"{task}/loss", "time")]  # fmt: skip
        for axes, (y, x) in zip(row, columns, strict=True):
            for strategy, appearance in style.strategy_styles(strategies).items():
                table = history[history["strategy"] == strategy]
                _curve(axes, table, x, y, appearance, len(strategies))
            if y.endswith("macro_f1") and results.chance(task) == results.chance(task):
                axes.axhline(results.chance(task), **style.CHANCE)
            axes.grid(axis="y")
            axes.set_xlim(left=0)
            style.short_ticks(axes.xaxis, 4)
        _score_axes(row[:2], task)
        _loss_axes(row[2:])
    for column, axes in enumerate(grid[-1]):
        axes.set_xlabel("cells seen" if column % 2 == 0 else f"training time ({unit})")
    figure.align_ylabels(grid)
    style.footnote(figure, f"macro F1 and loss on {test_set_name(results.config)}; dotted: chance")
    style.legend(figure, strategies)
    return figure


def _curve(axes, table, x, y, appearance, n_strategies):
    """Mean over seeds, with the seeds' range as a band; x is the seeds' mean at each epoch."""
    epochs = table.groupby("epoch")
    along, mean = epochs[x].mean(), epochs[y].mean()
    one = len(along) == 1
    if n_strategies <= MANY and table["seed"].nunique() > 1:
        axes.fill_between(
            along, epochs[y].min(), epochs[y].max(), color=appearance["color"],
            alpha=0.3 if one else 0.16, linewidth=1.2 if one else 0,
        )  # fmt: skip
    few = len(along) <= 12 and n_strategies <= MANY
    axes.plot(
        along, mean, **appearance, linewidth=1.2, markevery=1 if few else [len(along) - 1],
        markersize=4 if one else 2.6, markeredgewidth=0,
    )  # fmt: skip


def _score_axes(pair, task):
    top = max(axes.dataLim.y1 for axes in pair) * 1.06
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top)
    for axes in pair:
        axes.set_ylim(0, max(top, 1e-3))
        axes.set_yticks([tick for tick in ticks if 0 <= tick <= min(top, 1.0)])
    style.title(pair[0], task, 42)
    pair[0].set_ylabel("macro F1")
    pair[1].tick_params(labelleft=False)


def _loss_axes(pair):
    low = min(axes.dataLim.y0 for axes in pair)
    high = max(axes.dataLim.y1 for axes in pair)
    margin = max(0.06 * (high - low), 0.01 * high, 1e-3)
    for axes in pair:
        axes.set_ylim(low - margin, high + margin)
        style.short_ticks(axes.yaxis, 4)
    pair[0].set_ylabel("loss (nats)")
    pair[1].tick_params(labelleft=False)
