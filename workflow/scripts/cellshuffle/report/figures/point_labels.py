"""Labels of points, placed so that they overlap neither each other nor the points."""

import numpy as np


def place_labels(figure, axes, points, texts, colours, whiskers=(), fontsize=6.5):
    """Write each text near its point, at the nearest free place, with a thin line when it is far.

    points: (n, 2) in data units; whiskers: ((x0, y0), (x1, y1)) lines to keep clear of.
    Call it last, after figure.draw_without_rendering(), because places are found in pixels.
    """
    renderer = figure.canvas.get_renderer()
    pixels = axes.transData.transform(points)
    scale = figure.dpi / 72
    dots = [_box(x, y, 4 * scale, 4 * scale) for x, y in pixels]
    for line in whiskers:
        (x0, y0), (x1, y1) = np.sort(axes.transData.transform(line), axis=0)
        dots.append(np.array([x0 - scale, y0 - scale, x1 + scale, y1 + scale]))
    inside, taken = axes.get_window_extent(renderer), []
    for k in np.argsort(-pixels[:, 1]):
        label = axes.annotate(texts[k], points[k], (0, 0), textcoords="offset points",
                              color=colours[k], fontsize=fontsize, ha="center", va="center",
                              annotation_clip=False)  # fmt: skip
        label.set_in_layout(False)
        size = label.get_window_extent(renderer)
        half = np.array([size.width / 2 + scale, size.height / 2 + 0.5 * scale])
        shift, box = _free_place(pixels[k], half, scale, dots, taken, inside)
        taken.append(box)
        label.set_position(tuple(shift / scale))
        edge = np.abs(shift) - half
        if max(edge) > 7 * scale:
            # From the point to the near edge of the text.
            end = pixels[k] + np.clip(-shift, -half, half) + shift
            line = axes.transData.inverted().transform([pixels[k], end])
            axes.plot(*line.T, color=colours[k], linewidth=0.5, alpha=0.7, zorder=1)


def _box(x, y, half_width, half_height):
    return np.array([x - half_width, y - half_height, x + half_width, y + half_height])


def _overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(high, 0)


def _free_place(point, half, scale, dots, taken, inside):
    """Offset in pixels and box of the nearest free place, else of the one that covers least."""
    best = None
    for distance in np.array([5, 8, 13, 19, 26, 34, 44, 56]) * scale:
        for angle in np.deg2rad([90, 270, 0, 180, 35, 145, 325, 215, 65, 115, 295, 245]):
            unit = np.array([np.cos(angle), np.sin(angle)])
            shift = unit * distance + np.sign(np.round(unit, 6)) * half * (np.abs(unit) > 0.2)
            box = _box(*(point + shift), *half)
            outside = np.maximum(0, [inside.x0 - box[0], inside.y0 - box[1],
                                     box[2] - inside.x1, box[3] - inside.y1]).sum()  # fmt: skip
            covered = sum(_overlap(box, other) for other in [*dots, *taken])
            cost = covered + 50 * outside
            if cost == 0:
                return shift, box
            if best is None or cost < best[0]:
                best = (cost, shift, box)
    return best[1:]
