"""One look for all figures: size, colours of the strategies, shared axes furniture, saving."""

from pathlib import Path

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cellshuffle.files import whole
from cellshuffle.words import words

WIDTH = 7.2  # inches: two columns of a journal page
GREY = "#777777"
# After Okabe and Ito (2008), told apart with any colour vision; the yellow gave way to darker tones
# that hold on white paper. The order pairs neighbours that differ in lightness as well.
COLOURS = ["#D55E00", "#E69F00", "#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#3B3B3B", "#8C6D31"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "p"]
LINES = ["-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2))]

matplotlib.style.use(Path(__file__).with_name("cellshuffle.mplstyle"))


def looks(strategies):
    """Colour, marker and line of every strategy, by its place in the config: the same in every figure.

    Past eight strategies colours come round again with other markers and lines: 64 differ.
    """
    result = {}
    for k, strategy in enumerate(strategies):
        turn, place = divmod(k, len(COLOURS))
        marker, line = MARKERS[(place + turn) % len(MARKERS)], LINES[turn % len(LINES)]
        result[strategy] = {"color": COLOURS[place], "marker": marker, "linestyle": line}
    return result


def new_figure(height, width=WIDTH):
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def grid_of(n, columns=2):
    """Rows and columns for n panels."""
    columns = min(columns, n)
    return -(-n // columns), columns


def legend_grid(strategies, width=WIDTH):
    """Rows and columns of the legend of the strategies, by the length of their names."""
    longest = max(len(words(s)) for s in strategies)
    columns = int(np.clip(width * 15 / (longest + 6), 1, len(strategies)))
    return grid_of(len(strategies), -(-len(strategies) // -(-len(strategies) // columns)))


def legend_height(strategies):
    """Room for the legend above the panels, in inches."""
    return 0.1 + 0.16 * legend_grid(strategies)[0]


def legend(figure, strategies, lines=True):
    """One legend for the figure, above the panels."""
    no_line = {} if lines else {"linestyle": "none"}
    handles = [
        Line2D([], [], label=words(strategy), **(look | no_line))
        for strategy, look in looks(strategies).items()
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=legend_grid(strategies)[1],
        handlelength=2.2 if lines else 1, columnspacing=1.4,
    )  # fmt: skip


def strategy_rows(axes, strategies, labels=True):
    """Make y a list of strategies, the first on top; labels False: named by the panel it shares y with."""
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    if labels:
        axes.set_yticks(range(len(strategies)), [words(s) for s in strategies])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def short(value, _=None):
    """1500 -> `1.5k`, 2000000 -> `2M`: tick labels that stay short."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def short_ticks(axis, n=5, steps=(1, 2, 2.5, 5, 10)):
    axis.set_major_locator(MaxNLocator(n, steps=list(steps)))
    axis.set_major_formatter(FuncFormatter(short))


def time_unit(seconds):
    """(divisor, `s`/`min`/`h`) that suits times up to `seconds`."""
    if seconds >= 3 * 3600:
        return 3600, "h"
    return (60, "min") if seconds >= 180 else (1, "s")


def memory_unit(mib):
    return (1024, "GiB") if mib >= 2048 else (1, "MiB")


def save(figure, paths):
    """Save a figure to paths ending in .svg, .pdf and .png; the same figure gives the same bytes."""
    for path in paths:
        kind = Path(path).suffix[1:]
        no_date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        with whole(path) as partial:
            figure.savefig(partial, format=kind, metadata=no_date)
