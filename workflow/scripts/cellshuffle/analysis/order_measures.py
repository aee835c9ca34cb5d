"""How mixed an order of cells is beyond its single minibatches, in numbers: windows, differences, drift."""

from collections import deque

import numpy as np
import pandas as pd

from cellshuffle.analysis.diversity import entropy_bits

WINDOWS = (1, 4, 16, 64)  # neighbouring minibatches that are taken together
SAMPLED = 500  # windows of each size
AT_ONCE = 1_000_000  # cells that are counted together
LAST = 0.1  # of the epoch, whose labels are compared with those of all of it
PLATE = "plate"


class OrderMeasures:
    """Watches the minibatches of an epoch go by, and measures their order.

    labels: {name: (n_train,) codes} of the labels; plate_ends: (n_plates,) cumulative number of cells;
    n_batches: minibatches in the epoch. The plate counts as a label, the first.

    - `entropy`: of a label in windows of 1, 4, 16, 64 neighbouring minibatches, in bits: the mean over up to
      500 windows spread evenly over the epoch;
    - `differences`: entropy, in bits, of the absolute differences of successive cell numbers, which needs
      no labels (the simulator of MosaicML streaming measures shuffling so);
    - `drift`: distance between the shares of a label's classes in the last tenth of the minibatches and in
      the whole epoch, half the sum of absolute differences: 0 where they are the same, 1 where no class is
      in both.
    """

    def __init__(self, labels, plate_ends, n_batches):
        self.labels, self.plate_ends, self.n_batches = labels, plate_ends, n_batches
        self.names = [PLATE, *(f"{name}.1" if name == PLATE else name for name in labels)]
        self.sizes = [len(plate_ends), *(int(codes.max()) + 1 for codes in labels.values())]
        self.counts = [[np.zeros(n, np.int64) for n in self.sizes] for _ in ("before", "last")]
        self.differences = np.zeros(int(plate_ends[-1]), np.int32)
        self.ends, self.entropies = _window_ends(n_batches), {window: [] for window in WINDOWS}

    def watch(self, order):
        """Yield the minibatches of `order`, (batch,) cell numbers each, having counted them."""
        recent, pending, previous = deque(maxlen=max(WINDOWS)), [], np.zeros(0, np.int64)
        last = int((1 - LAST) * self.n_batches)
        for step, cells in enumerate(order):
            recent.append(cells)
            for window in self.ends.get(step, ()):
                together = np.concatenate([*recent][-window:])
                self.entropies[window].append([entropy_bits(counts) for counts in self._held(together)])
            if pending and (step == last or sum(map(len, pending)) >= AT_ONCE):
                previous = self._count(pending, previous, step - 1 >= last)
                pending = []
            pending.append(cells)
            yield cells
        if pending:
            self._count(pending, previous, self.n_batches - 1 >= last)

    def _held(self, cells):
        """Counts of the plates, and of the classes of every label, among these cells."""
        codes = [np.searchsorted(self.plate_ends, cells, side="right")]
        codes += [codes_of_label[cells] for codes_of_label in self.labels.values()]
        return [np.bincount(c, minlength=n) for c, n in zip(codes, self.sizes, strict=True)]

    def _count(self, pending, previous, in_last):
        """Add the cells of several minibatches to the counts; returns the last of them."""
        cells = np.concatenate(pending)
        for total, counts in zip(self.counts[in_last], self._held(cells), strict=True):
            total += counts
        steps = np.abs(np.diff(np.concatenate([previous, cells])))
        found, times = np.unique(steps, return_counts=True)
        self.differences[found] += times
        return cells[-1:]

    def _difference_entropy(self):
        """Entropy in bits of the differences; by how many are as frequent, since there may be one a cell."""
        alike = np.bincount(self.differences)
        times = np.flatnonzero(alike)
        times = times[times > 0]
        alike = alike[times]
        share = times / max(1, (times * alike).sum())
        return float(abs((alike * share * np.log2(share)).sum()))

    def table(self):
        """The measures as a table: measure, label (none of `differences`), window (minibatches), value."""
        rows = [
            ("entropy", name, window, values[k])
            for window, found in self.entropies.items()
            for values in [np.mean(found, axis=0)]
            for k, name in enumerate(self.names)
        ]
        rows.append(("differences", "", 0, self._difference_entropy()))
        before, last = self.counts
        for name, first, late in zip(self.names, before, last, strict=True):
            share, whole = late / max(late.sum(), 1), (first + late) / max((first + late).sum(), 1)
            rows.append(("drift", name, 0, np.abs(share - whole).sum() / 2))
        return pd.DataFrame(rows, columns=["measure", "label", "window", "value"]).round({"value": 5})


def _window_ends(n_batches):
    """{number of a minibatch: windows that end with it}; a window longer than the epoch is all of it."""
    ends = {}
    for window in WINDOWS:
        first = min(window, n_batches) - 1
        for step in np.unique(np.linspace(first, n_batches - 1, SAMPLED).round().astype(int)).tolist():
            ends.setdefault(step, []).append(window)
    return ends


def correlations(tables, scores):
    """Spearman's rank correlation of every measure with the score, over strategies.

    tables: {strategy: table of `OrderMeasures`}; scores: {strategy: score}. Returns a table with the columns
    measure, label, window and correlation, not a number where all strategies have the same value.
    """
    from scipy.stats import spearmanr

    keys = ["measure", "label", "window"]
    values = pd.concat({s: table.set_index(keys)["value"] for s, table in tables.items()}, axis=1, sort=False)
    scores = np.array([scores[s] for s in values.columns])
    found = [
        spearmanr(row, scores).statistic if np.ptp(row) > 0 and np.ptp(scores) > 0 else np.nan
        for row in values.to_numpy()
    ]
    return values.index.to_frame(index=False).assign(correlation=found)


def chance_correlation(n):
    """The correlation that a measure without bearing on n scores exceeds, either way, in one of 20 runs."""
    from scipy.stats import t

    quantile = t.ppf(0.975, n - 2)
    return float(quantile / np.sqrt(n - 2 + quantile**2))
