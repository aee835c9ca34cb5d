"""Why the order matters: plates over an epoch and how mixed a minibatch is, a row per strategy."""

import numpy as np
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cellshuffle.analysis.diversity import entropy_bits, entropy_bounds
from cellshuffle.loading.samplers import is_weighted, loading_of
from cellshuffle.phrasing import test_set_name
from cellshuffle.report.figures import style


def draw(results):
    """The figure, from plates.csv and entropy.csv of all strategies, combinations.csv and comparison.csv.

    Without a headline task, as of orders that nothing was trained in, it has no panel of scores.
    """
    strategies, labels = results.strategies, list(results.config["weights"]["balance"])
    task, entropy = results.headline_task, results.entropy
    lines = max(_title(label).count("\n") for label in [*labels, f"Outcome: {task or ''}"])
    figure = style.new_figure(1.35 + 0.36 * len(strategies) + 0.13 * max(0, lines - 1))
    widths = [2.9, *[1.0] * (1 + len(labels) + (task is not None))]
    grid = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    _plate_shares(grid[0], results)
    _plate_entropy(grid[1], results)
    for column, (axes, label) in enumerate(zip(grid[2:], labels, strict=False), start=2):
        counts = results.combinations.groupby(label)["count"].sum()
        # By position, after `position` and `plate`: a label may be called `plate`, too.
        values = {s: entropy[s].iloc[:, column] for s in strategies}
        _entropy(axes, values, label, counts)
    if task is not None:
        _scores(grid[-1], results)
    for axes in grid[1:]:
        axes.tick_params(axis="y", labelleft=False)
    _legend(figure, results.plates[strategies[0]].columns[1:])
    return figure


def _plate_shares(axes, results):
    """Shares of the plates in the minibatches over the epoch: a stacked strip per strategy."""
    for row, strategy in enumerate(results.strategies):
        share = results.plates[strategy].drop(columns="position").to_numpy()
        edges = np.hstack([np.zeros((len(share), 1)), share.cumsum(1)])
        fine = np.linspace(0.005, 0.995, 100)
        plate = (edges[:, 1:, None] < fine).sum(1).clip(0, share.shape[1] - 1)
        axes.imshow(
            _plate_colours(share.shape[1])[plate.T], extent=(0, 100, row + 0.38, row - 0.38),
            aspect="auto", interpolation="nearest", zorder=2,
        )  # fmt: skip
        if share.shape[1] > 1:
            _name_plates(axes, share, row, results.plates[strategy].columns[1:])
    style.strategy_rows(axes, results.strategies)
    axes.grid(False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the epoch done (%)")
    axes.set_title("Plates in the minibatches", fontsize=7.5)


def _name_plates(axes, share, row, names):
    """Write the plates' names on a strip that they fill one after the other."""
    alone = np.where(share.max(1) > 0.9, share.argmax(1), -1)
    starts = np.flatnonzero(np.diff(alone, prepend=-2))
    ends = np.append(starts[1:], len(alone))
    room = 0.02 + 0.018 * max(map(len, names))
    if ((ends - starts) / len(alone))[alone[starts] >= 0].min(initial=1) < room / 2:
        return  # names on some of the plates only would be confusing
    for start, end in zip(starts, ends, strict=True):
        plate = alone[start]
        if plate >= 0 and (end - start) / len(alone) > room:
            dark = _plate_colours(share.shape[1])[plate][:3] @ [0.3, 0.59, 0.11] < 0.55
            name = style.drawn(names[plate])
            axes.text(50 * (start + end) / len(alone), row, name, ha="center", va="center", fontsize=6,
                      color="white" if dark else "black", zorder=3)  # fmt: skip


def _plate_colours(n):
    return colormaps["cividis"](np.linspace(0, 1, n))


def _plate_entropy(axes, results):
    """Entropy of the plates, with the bounds of theory for block sampling."""
    entries = results.config["strategies"]
    share = {s: table.drop(columns="position").mean().to_numpy() for s, table in results.plates.items()}
    unweighted = next((s for s, e in entries.items() if not is_weighted(e)), results.strategies[0])
    values = {s: table["plate"] for s, table in results.entropy.items()}
    _entropy(axes, values, "Plate", share[unweighted])
    for row, (strategy, entry) in enumerate(entries.items()):
        if "block_size" in entry:
            batch = loading_of(entry, results.config["training"])["batch_size"]
            low, high = entropy_bounds(share[strategy], batch, entry["block_size"])
            axes.plot([low, high], [row + 0.28] * 2, color="black", linewidth=0.9, marker="|",
                      markersize=5, solid_capstyle="butt", zorder=2)  # fmt: skip


def _entropy(axes, values, title, counts):
    """Mean entropy of the minibatches and the range of the middle 90%; counts: of all training cells."""
    for row, (strategy, appearance) in enumerate(style.strategy_styles(list(values)).items()):
        low, high = np.quantile(values[strategy], [0.05, 0.95])
        axes.plot([low, high], [row, row], color=appearance["color"], linewidth=3.5, alpha=0.35)
        axes.plot(values[strategy].mean(), row, color=appearance["color"], marker=appearance["marker"],
                  markeredgecolor="white", markeredgewidth=0.5, markersize=5.5)  # fmt: skip
    total = float(entropy_bits(np.asarray(counts, dtype=float)))
    axes.axvline(total, color=style.GREY, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    style.strategy_rows(axes, list(values), labels=False)
    most = max(0.1, total, *(np.quantile(bits, 0.95) for bits in values.values()))
    axes.set_xlim(-0.04 * most, most * 1.1)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.set_xlabel("bits")
    axes.set_title(_title(title), fontsize=7.5)


def _title(text):
    """A title in lines as narrow as the panel."""
    return style.lines(text, 12)


def _scores(axes, results):
    strategies, task = results.strategies, results.headline_task
    scores = results.macro_f1(task)["mean"]
    for row, (strategy, appearance) in enumerate(style.strategy_styles(strategies).items()):
        axes.barh(row, scores[strategy], height=0.5, color=appearance["color"])
        style.value_label(axes, row, f"{scores[strategy]:.2f}")
    style.strategy_rows(axes, strategies, labels=False)
    axes.set_xlim(0, np.clip(1.05 * scores.max(), 1e-3, 1))
    axes.locator_params(axis="x", nbins=3)
    axes.set_xlabel(f"macro F1,\n{style.lines(test_set_name(results.config), 18)}")
    axes.set_title(f"Outcome:\n{_title(task)}", fontsize=7.5)


def _legend(figure, plates):
    names = ["the only plate"] if len(plates) == 1 else style.legend_labels(plates)
    colours = _plate_colours(len(names))
    step = max(1, -(-len(names) // 14))
    shown = sorted({*range(0, len(names), step), len(names) - 1})
    handles = [Patch(color=colours[k], label=names[k]) for k in shown]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=0.9,
                  handleheight=0.9, columnspacing=0.8, handletextpad=0.3,
                  title="plate, in the order on disk", alignment="left")  # fmt: skip
    marks = [
        Line2D([], [], color=style.GREY, marker="o", linewidth=3.5, alpha=0.6, markersize=5,
               label="entropy of minibatches: mean, middle 90%"),
        Line2D([], [], color="black", marker="|", markersize=5, linewidth=0.9,
               label="bounds for block sampling (theory)"),
        Line2D([], [], color=style.GREY, linewidth=0.9, linestyle=(0, (2, 2)),
               label="all training cells mixed"),
    ]  # fmt: skip
    figure.legend(handles=marks, loc="outside lower right", ncols=3)
