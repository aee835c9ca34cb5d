"""How mixed the minibatches of a strategy are, from the order of cells and their labels alone."""

import numpy as np
import pandas as pd

from cellshuffle.labels.weights import count_combinations

BATCHES_AT_ONCE = 10_000


def entropy_bits(counts):
    """Shannon entropy in bits of counts along the last axis: (..., n) -> (...)."""
    counts = np.asarray(counts, dtype=np.float64)
    share = counts / np.maximum(counts.sum(-1, keepdims=True), 1)
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    return np.abs((share * logs).sum(-1))  # abs: no negative zero


def expected_entropy(share, draws):
    """Expected entropy (bits) of the labels of `draws` independent draws from `share`, exactly.

    share: (n_classes,) probabilities. The k-th count is binomial, so the expectation is
    -sum_k E[(X_k / m) log2(X_k / m)]. To first order it is H(share) - (n_classes - 1) / (2 m ln 2).
    """
    from scipy.stats import binom

    share = np.asarray(share, dtype=np.float64)
    x = np.arange(1, draws + 1)
    term = x / draws * np.log2(x / draws)
    return float(abs(sum(binom.pmf(x, draws, p) @ term for p in share if p > 0)))


def entropy_bounds(share, batch_size, block_size):
    """Bounds of scDataset's theory on the expected plate entropy of a minibatch: (low, high) in bits.

    D'Ascenzo and Cultrera di Montesano, "scDataset: Scalable Data Loading for Deep Learning on
    Large-Scale Single-Cell Omics", arXiv:2506.01883. With K plates in proportions p, minibatches
    of m cells and blocks of b cells of one plate, to first order

        H(p) - (K - 1) b / (2 m ln 2)  <=  E[H]  <=  H(p) - (K - 1) / (2 m ln 2).

    Low: the minibatch is m / b whole blocks (fetch factor 1). High: m independent cells (fetch
    factor to infinity). Both are expectations of independent draws, computed here exactly by
    `expected_entropy`, because the first order falls below 0 where m / b is small. They hold for block
    sampling in large collections, not for streaming, and for labels that are constant in a block.
    """
    blocks = max(1, batch_size // block_size)
    return expected_entropy(share, blocks), expected_entropy(share, batch_size)


def sampled_steps(n_batches, most=2000):
    """Indices of the minibatches to measure: all, or `most` spread evenly. Sorted (k,) int."""
    return np.unique(np.linspace(0, n_batches - 1, min(n_batches, most)).round().astype(np.int64))


def measure(order, labels, n_classes, plate_ends, n_batches, bins=200, most=2000):
    """Go through an epoch's minibatches and measure what they hold.

    order: iterator of int arrays, cell indices of every minibatch; labels: (n_train, k) codes of
    the tasks whose entropy is measured; n_classes: k numbers; plate_ends: (n_plates,) cumulative
    number of cells; n_batches: minibatches in the epoch.
    Returns position (s,) in 0..1 and entropy (s, 1 + k) in bits (plate first) of the sampled
    minibatches; plate_share (bins, n_plates), rows summing to 1; drawn, how often each label
    combination was drawn, (prod(n_classes),) int.
    """
    wanted = set(sampled_steps(n_batches, most).tolist())
    bins = min(bins, n_batches)
    seen = np.zeros((bins, len(plate_ends)))
    position, entropy, pending = [], [], []
    drawn = np.zeros(int(np.prod(n_classes)), np.int64)
    for step, cells in enumerate(order):
        plate = np.searchsorted(plate_ends, cells, side="right")
        counts = np.bincount(plate, minlength=len(plate_ends))
        seen[min(step * bins // n_batches, bins - 1)] += counts
        pending.append(cells)
        if len(pending) == BATCHES_AT_ONCE:
            drawn += count_combinations(labels[np.concatenate(pending)], n_classes)
            pending = []
        if step in wanted:
            held = [np.bincount(labels[cells, t], minlength=n) for t, n in enumerate(n_classes)]
            position.append((step + 0.5) / n_batches)
            entropy.append([float(entropy_bits(counts_of)) for counts_of in (counts, *held)])
    if pending:
        drawn += count_combinations(labels[np.concatenate(pending)], n_classes)
    share = seen / np.maximum(seen.sum(1, keepdims=True), 1)
    return np.array(position), np.array(entropy), share, drawn


def diversity_tables(order, codes, balance, n_classes, plates, n_batches):
    """What an epoch's minibatches hold, as three pandas tables: entropy.csv, plates.csv and draws.csv.

    balance: names of the k columns of `codes`; plates: table of the train plates in order, with columns
    plate and n_cells; order, codes, n_classes and n_batches: as in `measure`.
    Entropy has a row per sampled minibatch, plates a row per part of the epoch, draws a row per label
    combination that cells have.
    """
    ends = plates["n_cells"].cumsum().to_numpy()
    position, entropy, share, drawn = measure(order, codes, n_classes, ends, n_batches)
    entropy = pd.DataFrame(entropy, columns=["plate", *balance])
    entropy.insert(0, "position", position, allow_duplicates=True)
    shares = pd.DataFrame(share, columns=plates["plate"].tolist())
    middle = (np.arange(len(share)) + 0.5) / len(share)
    shares.insert(0, "position", middle, allow_duplicates=True)
    count = count_combinations(codes, n_classes)
    present = count > 0
    draws = pd.DataFrame({"count": count[present], "drawn": drawn[present]})
    return entropy.round(5), shares.round(5), draws
