"""What all figures share: style, colours of the strategies, legends, axes, tick labels, saving."""

import functools
import re
from contextlib import contextmanager
from pathlib import Path
from textwrap import TextWrapper

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cellshuffle.console import say
from cellshuffle.files import atomic_write
from cellshuffle.phrasing import JOINERS, one_line

WIDTH = 7.2  # inches: two columns of a journal page
GREY = "#777777"
CHANCE = {"color": "black", "linewidth": 0.9, "linestyle": ":"}  # of lines at what is scored by chance
LONG = 34  # characters of a strategy's name before it takes two lines
# After Okabe and Ito (2008), distinguishable with any colour vision; darker tones replace their yellow, which
# is too light on white paper. Neighbours differ in lightness as well.
COLOURS = ["#D55E00", "#E69F00", "#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#3B3B3B", "#8C6D31"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "p"]
# Fonts by file, in the family names of cellshuffle.mplstyle: installed ones may be of another version.
# DejaVu Sans comes with Matplotlib; Droid Sans Fallback has the letters of Chinese, Japanese and Korean.
DEJAVU = Path(matplotlib.get_data_path(), "fonts", "ttf")
DROID = Path(__file__).with_name("fonts") / "DroidSansFallback.ttf"
FONTS = [
    font_manager.FontEntry(fname=str(file), name=name, style=slant, weight=weight)
    for file, name, slant, weight in (
        (DEJAVU / "DejaVuSans.ttf", "cellshuffle", "normal", 400),
        (DEJAVU / "DejaVuSans-Bold.ttf", "cellshuffle", "normal", 700),
        (DEJAVU / "DejaVuSans-Oblique.ttf", "cellshuffle", "italic", 400),
        (DROID, "cellshuffle CJK", "normal", 400),
        (DROID, "cellshuffle CJK", "normal", 700),
        (DROID, "cellshuffle CJK", "italic", 400),
    )
]
LINES = ["-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2))]


@contextmanager
def figure_style():
    """Context manager in which figures are drawn and saved: the style of cellshuffle.mplstyle.

    It starts from Matplotlib's defaults, so that a user's matplotlibrc changes nothing, and takes no
    font but its own. Matplotlib is then as it was.
    """
    own = matplotlib.rc_params_from_file(
        Path(__file__).with_name("cellshuffle.mplstyle"), use_default_template=False
    )
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
    fonts = font_manager.fontManager.ttflist
    with matplotlib.rc_context(defaults | own):
        fonts += FONTS
        try:
            yield
        finally:
            fonts[:] = [entry for entry in fonts if entry not in FONTS]


@functools.cache
def _characters():
    """All characters that the fonts have."""
    files = {entry.fname for entry in FONTS if entry.weight == 400 and entry.style == "normal"}
    return {chr(code) for file in files for code in font_manager.get_font(file).get_charmap()}


@functools.cache
def _say_lacking(characters):
    codes = ", ".join(f"U+{ord(character):04X}" for character in characters)
    say(f"warning: the fonts of figures lack characters, which are drawn as their codes: {codes}")


def drawn(text):
    """A text as figures show it: in one line, characters that the fonts lack as their codes, `\\u0e01`."""
    text = one_line(text)
    lacking = sorted(set(text) - _characters() - set(JOINERS))
    if lacking:
        _say_lacking(tuple(lacking))
    codes = {ord(character): character.encode("unicode_escape").decode() for character in lacking}
    return text.translate(codes)


class _Wrapper(TextWrapper):
    """Breaks lines at blanks and after the `_` and `-` of names."""

    wordsep_re = re.compile(r"(\s+|[^\s_-]*[_-]+)")


def lines(text, width):
    """A text as figures show it, in lines of at most `width` characters."""
    return "\n".join(_Wrapper(max(1, int(width))).wrap(drawn(text)))


def legend_labels(names):
    """Names as labels of a legend, in which Matplotlib would leave out those that begin with `_`."""
    return [f" {name}" if name.startswith("_") else name for name in map(drawn, names)]


def strategy_styles(strategies):
    """{strategy: colour, marker and line style}, by its place in the config: the same in every figure.

    After eight strategies the colours repeat, with other markers and lines: 64 strategies differ.
    """
    result = {}
    for k, strategy in enumerate(strategies):
        turn, place = divmod(k, len(COLOURS))
        marker, line = MARKERS[(place + turn) % len(MARKERS)], LINES[turn % len(LINES)]
        result[strategy] = {"color": COLOURS[place], "marker": marker, "linestyle": line}
    return result


def new_figure(height, width=WIDTH):
    """A figure of this size in inches, drawn by Agg whatever backend the user has chosen."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def grid_of(n, columns=2):
    """Rows and columns for n panels."""
    columns = min(columns, n)
    return -(-n // columns), columns


def panels(n, margin, height, **sharing):
    """(figure, grid of axes) with room for n panels, two in a row; sizes in inches; sharing: of axes."""
    rows, columns = grid_of(n)
    figure = new_figure(margin + rows * height)
    grid = figure.subplots(rows, columns, squeeze=False, **sharing)
    for axes in grid.flat[n:]:
        axes.set_visible(False)
    return figure, grid


def legend_grid(strategies, width=WIDTH):
    """Rows and columns of the legend of the strategies, by the length of their names."""
    longest = max(map(len, strategies))
    columns = int(np.clip(width * 17 / (longest + 8), 1, len(strategies)))
    return grid_of(len(strategies), -(-len(strategies) // -(-len(strategies) // columns)))


def legend_height(strategies):
    """Room for the legend above the panels, in inches."""
    return 0.1 + 0.16 * legend_grid(strategies)[0]


def legend(figure, strategies, lines=True, shown=None):
    """One legend for the figure, above the panels, of all the strategies or those shown."""
    no_line = {} if lines else {"linestyle": "none"}
    shown = shown or strategies
    styles = strategy_styles(strategies)
    labels = legend_labels(shown)
    handles = [
        Line2D([], [], label=label, **(styles[s] | no_line)) for s, label in zip(shown, labels, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=legend_grid(shown)[1],
        handlelength=2.2 if lines else 1, columnspacing=1.4,
    )  # fmt: skip


def title(axes, text, width=38):
    """Set the title of a panel, wrapped to half the width of the page."""
    axes.set_title(lines(text, width))


def footnote(figure, text):
    """Write a text that concerns all panels below them."""
    figure.supxlabel(lines(text, 120), fontsize=7)


def value_label(axes, row, text):
    """Write a value to the right of the panel, level with a row, where no bar or point reaches."""
    axes.annotate(drawn(text), (1, row), (5, 0), axes.get_yaxis_transform(), "offset points",
                  va="center", fontsize=6.5, annotation_clip=False)  # fmt: skip


def strategy_rows(axes, strategies, labels=True):
    """Make the y axis a list of strategies, the first on top; labels=False: without their names."""
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    if labels:
        names = [lines(s, LONG) for s in strategies]
        axes.set_yticks(range(len(strategies)), names, linespacing=0.9)
        if any("\n" in name for name in names):
            axes.tick_params(axis="y", labelsize=6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def short_number(value, _=None):
    """1500 -> `1.5k`, 2000000 -> `2M`: short tick labels; the second argument is for FuncFormatter."""
    size, unit = unit_of(value)
    return f"{value / size:zg}{unit}"


def three_digits(value):
    """35000 -> `35.0k`, 0.5 -> `0.500`: three significant digits."""
    value = float(f"{value:.3g}")
    size, unit = unit_of(value)
    return f"{value / size:#.3g}".rstrip(".") + unit


def unit_of(value):
    units = ((1e9, "B"), (1e6, "M"), (1e3, "k"))
    return next((unit for unit in units if abs(value) >= unit[0]), (1, ""))


def short_ticks(axis, n=5, steps=(1, 2, 2.5, 5, 10)):
    axis.set_major_locator(MaxNLocator(n, steps=list(steps)))
    axis.set_major_formatter(FuncFormatter(short_number))


def time_unit(seconds):
    """(divisor, `s`/`min`/`h`) that suits times up to `seconds`."""
    if seconds >= 3 * 3600:
        return 3600, "h"
    return (60, "min") if seconds >= 180 else (1, "s")


def memory_unit(mib):
    return (1024, "GiB") if mib >= 2048 else (1, "MiB")


def settle(figure):
    """Fix the place of every panel, the same whenever the figure is drawn again.

    The solver of Matplotlib's layout adds numbers in an order that differs between runs; their last digits
    would come into the names that an SVG file gives its clipping rectangles.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))


def save(figure, paths):
    """Save a figure to paths ending in .svg, .pdf and .png; the same figure gives the same bytes."""
    settle(figure)
    for path in paths:
        format = Path(path).suffix[1:]
        no_date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
        with atomic_write(path) as partial:
            figure.savefig(partial, format=format, metadata=no_date)
