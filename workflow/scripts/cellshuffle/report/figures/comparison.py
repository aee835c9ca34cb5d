"""Macro F1 by strategy and task: every seed a point, mean and standard deviation, values in numbers."""

import numpy as np
from matplotlib.lines import Line2D

from cellshuffle.phrasing import mean_sd, test_set_name
from cellshuffle.report.figures import style


def draw(results):
    """The figure, from metrics.csv, comparison.csv and, where asked for, published scores."""
    strategies, tasks = results.strategies, results.tasks
    figure, grid = style.panels(len(tasks), 0.5, 0.62 + 0.2 * len(strategies), sharey=True)
    marked = [_panel(axes, task, results) for axes, task in zip(grid.flat, tasks, strict=False)]
    style.footnote(figure, f"macro F1 on {test_set_name(results.config)} (0 to 1, higher is better)")
    _legend(figure, any(marked), len(results.config["training"]["seeds"]))
    return figure


def _panel(axes, task, results):
    """Draw one task; True when a published value was marked."""
    metrics = results.metrics
    scores = metrics[(metrics["task"] == task) & (metrics["metric"] == "macro_f1")]
    means = results.macro_f1(task)
    published = _published_values(results.published, task)
    reach = (means["mean"] + means["sd"].fillna(0)).max()
    top = max([scores["value"].max(), reach, *published.values(), 1e-3])
    for row, (strategy, appearance) in enumerate(style.strategy_styles(results.strategies).items()):
        colour, marker = appearance["color"], appearance["marker"]
        mean, sd = means.loc[strategy, ["mean", "sd"]]
        axes.barh(row, mean, height=0.62, color=colour, alpha=0.28, linewidth=0)
        axes.errorbar(mean, row, xerr=sd if sd == sd else None, color=colour, capsize=2, linewidth=1)
        axes.plot([mean, mean], [row - 0.31, row + 0.31], color=colour, linewidth=1.6)
        seeds = scores.loc[scores["strategy"] == strategy, "value"].to_numpy()
        offset = np.linspace(-0.17, 0.17, len(seeds)) if len(seeds) > 1 else [0]
        axes.scatter(
            seeds, row + np.array(offset), s=9, color=colour, marker=marker,
            edgecolor="white", linewidth=0.4, zorder=3, clip_on=False,
        )  # fmt: skip
        if strategy in published:
            axes.plot(published[strategy], row, "|", color="black", markersize=9, markeredgewidth=1.4,
                      zorder=4, clip_on=False)  # fmt: skip
        style.value_label(axes, row, mean_sd(mean, sd))
    chance = results.chance(task)
    if chance == chance:
        axes.axvline(chance, **style.CHANCE, zorder=2)
    style.strategy_rows(axes, results.strategies)
    axes.set_xlim(0, min(1, top * 1.05))
    axes.locator_params(axis="x", nbins=5)
    style.title(axes, task)
    return bool(published)


def _published_values(published, task):
    if published is None:
        return {}
    rows = published[(published["task"] == task) & (published["metric"] == "macro_f1")]
    return dict(zip(rows["strategy"], rows["value"], strict=True))


def _legend(figure, marked, n_seeds):
    handles = [
        Line2D([], [], color=style.GREY, marker="o", linestyle="none", markersize=3.5,
               label="one seed" if n_seeds > 1 else "the only seed"),
    ]  # fmt: skip
    if n_seeds > 1:
        handles.append(
            Line2D([], [], color=style.GREY, marker="|", markersize=9, markeredgewidth=1.6, linewidth=1,
                   label="mean ± standard deviation over seeds")
        )  # fmt: skip
    if marked:
        handles.append(
            Line2D([], [], color="black", marker="|", markersize=9, markeredgewidth=1.4,
                   linestyle="none", label="published for Tahoe-100M (real cells)")
        )  # fmt: skip
    handles.append(Line2D([], [], **style.CHANCE, label="chance"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
