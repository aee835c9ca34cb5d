"""What all benchmarks share: interleaved repetitions, medians, a table and a figure."""

import csv
import os
import platform
import statistics
import time
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results" / "bench"


def interleaved(contenders, repeats):
    """{name: [value of every repetition]}: all contenders once, then all again, and so on.

    contenders: {name: function without arguments that returns its rate}.
    """
    values = {name: [] for name in contenders}
    for repeat in range(repeats):
        for name, run in contenders.items():
            values[name].append(run())
            print(f"  {repeat + 1}/{repeats} {name}: {values[name][-1]:,.0f}", flush=True)
    return values


def rate(batches, seconds, fetch=16):
    """Cells/s of an iterable of batch sizes; stops at a fetch's end after `seconds`."""
    cells, began = 0, time.perf_counter()
    for number, n_cells in enumerate(batches, 1):
        cells += n_cells
        if number % fetch == 0 and time.perf_counter() - began > seconds:
            break
    return cells / (time.perf_counter() - began)


def median_row(name, values, unit, **more):
    """A row of a table: median and extremes of the repetitions."""
    return {
        "what": name,
        "median": round(statistics.median(values), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
        "repetitions": len(values),
        "unit": unit,
    } | more


def bar(what, ratio, least):
    """A row of the table of targets (benchmarks/README.md says whose they are)."""
    met = "met" if ratio >= least else "NOT MET"
    return {"target": what, "measured": f"{ratio:.3g}", "required": f"{least:.3g}", "verdict": met}


def ceiling(what, value, most):
    """A row of the table of targets, for what must not be larger."""
    met = "met" if value <= most else "NOT MET"
    return {
        "target": what,
        "measured": f"{value:.3g}",
        "required": f"at most {most:.3g}",
        "verdict": met,
    }


def write_tables(name, rows, bars):
    """Write results/bench/<name>.csv and .md (both tables) and print them."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with open(RESULTS / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    parts = [f"# {name}", machine(), markdown(rows), *([markdown(bars)] if bars else [])]
    text = "\n\n".join(parts)
    (RESULTS / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n", flush=True)


def markdown(rows):
    """A markdown table of dicts with the same keys."""
    shown = [list(rows[0]), ["---"] * len(rows[0])]
    shown += [[_readable(value) for value in row.values()] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in shown)


def _readable(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def draw_bars(name, groups, label, title):
    """Write results/bench/<name>.svg and .png: a bar a value, together by row.

    groups: {legend: {row: value}}; a legend has one colour. The axis is logarithmic where the largest
    value is more than ten times the smallest.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    every = [value for values in groups.values() for value in values.values()]
    scale = "log" if max(every) > 10 * min(every) else "linear"
    rows = list(dict.fromkeys(row for values in groups.values() for row in values))
    colours = dict(zip(groups, mpl.color_sequences["tab20"], strict=False))
    n_bars = sum(map(len, groups.values())) + len(rows)
    figure, axes = plt.subplots(figsize=(8, 1.5 + 0.16 * n_bars + 0.2 * len(groups)))
    place, middles = 0, []
    for row in rows:
        first = place
        for legend, values in groups.items():
            if row in values:
                bar = axes.barh(place, values[row], 0.9, color=colours[legend])
                axes.bar_label(bar, [f"{values[row]:,.0f}"], padding=2, fontsize=6)
                place += 1
        middles.append((first + place - 1) / 2)
        place += 1
    axes.set(yticks=middles, yticklabels=rows, xscale=scale, xlabel=label, title=title)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.15, y=0.01)
    if len(groups) > 1:
        handles = [mpl.patches.Patch(color=colours[legend], label=legend) for legend in groups]
        figure.legend(handles=handles, fontsize=7, loc="outside lower center", ncols=3)
    figure.set_layout_engine("constrained")
    for suffix in ("svg", "png"):
        figure.savefig(RESULTS / f"{name}.{suffix}", dpi=150)
    plt.close(figure)


def machine():
    """One line: processor, cores, memory, versions, load."""
    import numpy as np
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}; "
        f"load before the end {os.getloadavg()[1]:.1f}"
    )


def drop_from_cache(paths):
    """Make the next read of `paths` come from the disk; they must not be mapped by this process."""
    os.sync()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read_rate(paths, cells):
    """Cells/s of a plain sequential read of whole files that hold `cells` cells."""
    buffer, began = bytearray(2**23), time.perf_counter()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return cells / (time.perf_counter() - began)
