"""Heat maps over block size and fetch factor: throughput, diversity and score, side by side."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cellshuffle.configuration.sweep import is_swept
from cellshuffle.phrasing import test_set_name
from cellshuffle.report.figures import style

ENOUGH_RATES = 3  # measured, of passes or epochs, to tell a speed
NAMES = {
    "BlockShuffling": "Without replacement",
    "BlockWeightedSampling": "Weighted, with replacement",
}


def draw(results):
    """The figure, from the histories of all trainings, entropy.csv of all strategies and comparison.csv."""
    return heat_maps(sweep_table(results), results.headline_task, results.config)


def sweep_table(results):
    """One row per swept strategy: its sampler, block size and fetch factor, and what is drawn of it.

    Speed is that of loading alone where `make plan` has measured it, else that of training, epoch by epoch.
    `told`: whether it can be told from the middle of all swept strategies.
    """
    swept = [strategy for strategy, entry in results.config["strategies"].items() if is_swept(entry)]
    by_strategy = results.history.groupby("strategy")["cells_per_second"]
    epochs = {strategy: rates.to_numpy() for strategy, rates in by_strategy}
    passes = {strategy: (results.loading or epochs)[strategy] for strategy in swept}
    speed = {strategy: np.median(rates) for strategy, rates in passes.items()}
    middle = np.median(list(speed.values()))
    score = results.macro_f1(results.headline_task)["mean"]
    rows = [
        {"sampler": entry["sampler"], "block_size": entry["block_size"],
         "fetch_factor": entry["fetch_factor"], "cells_per_second": speed[strategy],
         "told": is_told(passes[strategy], middle),
         "plate_entropy": results.entropy[strategy]["plate"].mean(), "score": score[strategy]}
        for strategy, entry in results.config["strategies"].items() if is_swept(entry)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def is_told(rates, middle):
    """Whether measured rates differ from `middle`: enough of them, and all on one side of it.

    >>> is_told(np.array([5, 6, 7, 6]), 3), is_told(np.array([5, 2, 7, 6]), 3), is_told(np.array([5]), 3)
    (True, False, False)
    """
    return bool(len(rates) >= ENOUGH_RATES and (rates.min() > middle or rates.max() < middle))


def heat_maps(table, task, config):
    """The figure of a table as `sweep_table` returns it; task: whose macro F1 is its score."""
    samplers = list(dict.fromkeys(table["sampler"]))
    told = table.get("told", pd.Series(True, table.index))
    unit_of_speed = "cells per second" + "; grey: not told from the middle one" * (not told.all())
    quantities = [
        ("cells_per_second", "Throughput", unit_of_speed, LogNorm),
        ("plate_entropy", "Plate diversity", "entropy of a minibatch (bits)", Normalize),
        ("score", "Score", f"macro F1, {task}, {test_set_name(config)}", Normalize),
    ]  # fmt: skip
    figure = style.new_figure(0.5 + 2.2 * len(samplers))
    grid = figure.subplots(len(samplers), 3, squeeze=False, sharex=True, sharey=True)
    for k, (column, title, unit, scale) in enumerate(quantities):
        low, high = table[column].min(), table[column].max()
        norm = scale(low if scale is LogNorm else min(0, low), max(high, low * 1.001, 1e-6))
        for row, sampler in enumerate(samplers):
            part = table.assign(told=told if k == 0 else True)
            image = _map(grid[row, k], part[part["sampler"] == sampler], column, norm)
            if k == 0:
                grid[row, k].set_ylabel(f"{NAMES.get(sampler, sampler)}\nfetch factor")
        grid[0, k].set_title(title)
        grid[-1, k].set_xlabel("block size (cells)")
        unit = style.lines(unit, 40)
        bar = figure.colorbar(image, ax=grid[:, k], location="bottom", label=unit, aspect=25, shrink=0.9)
        if scale is LogNorm:
            bar.locator = LogLocator(10, subs=(1, 2, 5) if high < 30 * low else (1,))
            bar.minorlocator = NullLocator()
        bar.formatter = FuncFormatter(style.short_number)
        bar.update_ticks()
    return figure


def _map(axes, table, column, norm):
    pivot = table.pivot_table(index="fetch_factor", columns="block_size", values=column)
    values = pivot.to_numpy()
    shown = table.assign(told=table["told"].astype(float))
    told = shown.pivot_table(index="fetch_factor", columns="block_size", values="told").to_numpy() > 0
    axes.set_facecolor("0.85")
    image = axes.imshow(
        np.where(told, values, np.nan), origin="lower", aspect="auto", cmap="cividis", norm=norm
    )
    for y, x in np.ndindex(values.shape):
        if np.isfinite(values[y, x]):
            axes.text(x, y, _text(values[y, x]), ha="center", va="center", fontsize=6.5,
                      color="black" if not told[y, x] or norm(values[y, x]) > 0.55 else "white")  # fmt: skip
    axes.set_xticks(range(len(pivot.columns)), pivot.columns)
    axes.set_yticks(range(len(pivot.index)), pivot.index)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _text(value):
    return (
        style.short_number(float(f"{value:.2g}")) if value >= 100 else f"{value:z.{2 if value >= 1 else 3}f}"
    )
