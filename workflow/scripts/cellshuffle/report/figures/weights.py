"""Sampling weights, and how often rare and common combinations are drawn."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from cellshuffle.labels.weights import weight_of_count
from cellshuffle.loading.samplers import is_labelled, is_weighted
from cellshuffle.phrasing import join_words
from cellshuffle.report.figures import style

ENDS = 0.05  # share of the combinations that the rarest, and the commonest, are


def draw(results):
    """The figure, from combinations.csv and draws.csv of all strategies."""
    combinations, draws, config = results.combinations, results.draws, results.config
    shown = _shown(config, results.baseline)
    names = [style.lines(strategy, 18) for strategy in shown]
    lines = sum(name.count("\n") + 1 for name in names)
    figure = style.new_figure(max(3.1, 1 + 0.13 * lines) + style.legend_height(shown))
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.05])
    count = combinations["count"].to_numpy()
    styles = style.strategy_styles(results.strategies)
    _weights(left, count, combinations["weight"].to_numpy(), config)
    _draws(middle, draws, styles, shown)
    _ends(right, draws, styles, shown)
    right.set_yticks(range(len(shown)), names)
    parts = join_words([f"one {label}" for label in config["weights"]["balance"]])
    for axes in (left, middle):
        axes.set_xscale("log")
        _log_ticks(axes.xaxis, count)
        axes.set_xlabel(f"cells of the combination:\n{style.lines(parts, 30)}")
    style.legend(figure, results.strategies, shown=shown)
    return figure


def _shown(config, baseline):
    """The baseline and the weighted strategies, or all if none is weighted; at most eight."""
    weighted = [s for s, e in config["strategies"].items() if is_weighted(e) or is_labelled(e)]
    chosen = {baseline, *weighted} if weighted else set(config["strategies"])
    return [s for s in config["strategies"] if s in chosen][:8]


def _weights(axes, count, weight, config):
    order = np.argsort(count)
    baseline = config["weights"]["min_count_baseline"]
    curves = {0: weight_of_count(count, 0), baseline: weight}
    for (value, curve), colour in zip(curves.items(), (style.GREY, "#0072B2"), strict=False):
        axes.plot(count[order], curve[order], ".", color=colour, markersize=2.5, alpha=0.5,
                  rasterized=True)  # fmt: skip
        axes.plot([], [], ".", color=colour, markersize=5, alpha=0.5, label=f"baseline {value:,}")
    axes.set_yscale("log")
    _log_ticks(axes.yaxis, np.concatenate(list(curves.values())))
    axes.grid()
    axes.legend(loc="upper right", handletextpad=0.2)
    axes.set_ylabel("sampling weight of each cell")
    axes.set_title("Weight")


def _log_ticks(axis, values):
    """Labels at 1, 10, 100 ..., and between them where the values span little."""
    wide = values.max() >= 50 * values[values > 0].min()
    axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axis.set_major_formatter(style.short_number)
    axis.set_minor_formatter(NullFormatter())


def _draws(axes, draws, styles, shown):
    top = 1
    for strategy in shown:
        table = draws[strategy]
        colour, marker = styles[strategy]["color"], styles[strategy]["marker"]
        axes.plot(table["count"], table["drawn"], linestyle="none", color=colour, marker=marker,
                  markersize=1.8, alpha=0.2, markeredgewidth=0,
                  rasterized=True)  # fmt: skip
        axes.plot(*_binned(table), color=colour, marker=marker, markersize=4, linewidth=1.1,
                  markeredgecolor="white", markeredgewidth=0.4, zorder=3)  # fmt: skip
        top = max(top, table["drawn"].max(), table["count"].max())
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(-0.3, top * 1.5)
    axes.yaxis.set_major_formatter(style.short_number)
    axes.grid()
    axes.set_ylabel("cells drawn in an epoch")
    axes.set_title("Draws")
    handles = [
        Line2D([], [], color=style.GREY, marker="o", linestyle="none", markersize=1.8, alpha=0.5,
               markeredgewidth=0, label="one combination"),
        Line2D([], [], color=style.GREY, marker="o", markersize=4, linewidth=1.1, markeredgecolor="white",
               markeredgewidth=0.4, label="mean of similar size"),
    ]  # fmt: skip
    # Large combinations are drawn often: the corner below them is free.
    axes.legend(handles=handles, loc="lower right", handlelength=1.4, handletextpad=0.4)


def _binned(table, bins=8):
    """Mean count and mean draws of combinations of similar size: two (bins,) arrays."""
    edge = np.geomspace(1, table["count"].max() * 1.001, bins + 1)
    groups = table.groupby(np.digitize(table["count"], edge))
    means = groups[["count", "drawn"]].mean()
    return means["count"], means["drawn"]


def ends(table):
    """How often each cell of the rarest, and of the commonest, combinations is drawn in an epoch."""
    ranked = table.sort_values("count", kind="stable")
    n = max(1, round(ENDS * len(ranked)))
    return [part["drawn"].sum() / part["count"].sum() for part in (ranked[:n], ranked[-n:])]


def _ends(axes, draws, styles, shown):
    for row, strategy in enumerate(shown):
        rare, common = ends(draws[strategy])
        colour = styles[strategy]["color"]
        axes.plot([rare, common], [row, row], color=colour, linewidth=1.2, zorder=1)
        axes.plot(common, row, "o", color=colour, markersize=8, markeredgecolor="white")
        axes.plot(rare, row, "o", color=colour, markersize=4, markeredgecolor="white")
    axes.axvline(1, color=style.GREY, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, axes.dataLim.x1 * 1.1)
    axes.set_xlabel("draws of each cell in an epoch")
    axes.grid(axis="x")
    axes.set_title("Rarest and commonest")
    ranked = np.sort(draws[shown[0]]["count"])
    n = max(1, round(ENDS * len(ranked)))
    handles = [
        Line2D([], [], color=style.GREY, marker="o", linestyle="none", markersize=size, label=label)
        for size, label in (
            (4, f"rarest {ENDS:.0%} (cells: at most {ranked[n - 1]:,})"),
            (8, f"commonest {ENDS:.0%} (cells: at least {ranked[-n]:,})"),
        )
    ]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.4, -0.55 / axes.figure.get_figheight()),
        handletextpad=0.3,
    )
