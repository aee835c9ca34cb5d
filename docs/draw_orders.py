"""docs/images/orders.png out, the order of cells of every strategy on a small atlas: `make docs`."""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.samplers import is_weighted, sampler_of

matplotlib.use("Agg")

REPOSITORY = Path(__file__).parents[1]
N_CELLS, N_PLATES, BATCH, FETCH = 256, 4, 8, 4
# A rare kind of cells, an eighth of each plate, that the weighted strategies draw seven times as often.
RARE = np.arange(N_CELLS) % 64 >= 56
STRATEGIES = {
    "streaming": {"sampler": "Streaming", "shuffle": False},
    "streaming_buffer": {"sampler": "Streaming", "shuffle": True},
    "block_shuffling": {"sampler": "BlockShuffling", "block_size": 4},
    "random_sampling": {"sampler": "BlockShuffling", "block_size": 1},
    "block_weighted": {"sampler": "BlockWeightedSampling", "block_size": 4},
    "true_weighted": {"sampler": "BlockWeightedSampling", "block_size": 1},
}


def order(entry):
    """(n_cells,) cell numbers as the model sees them, from scDataset itself."""
    weights = np.where(RARE, 7.0, 1.0) if is_weighted(entry) else None
    batches = cell_order(sampler_of(entry, weights), N_CELLS, BATCH, FETCH, seed=0, epoch=0)
    return np.concatenate(list(batches))


def draw():
    """A panel a strategy: place in the file against time, a colour a plate, rare cells dark."""
    from matplotlib import pyplot as plt

    colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7"]
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 4.8), sharex=True, sharey=True)
    for axis, (name, entry) in zip(axes.flat, STRATEGIES.items(), strict=True):
        cells = order(entry)
        colour = np.array(colours)[cells * N_PLATES // N_CELLS]
        colour[RARE[cells]] = "black"
        axis.scatter(np.arange(len(cells)), cells, c=colour, s=3, linewidths=0)
        for edge in range(0, N_CELLS + 1, BATCH * FETCH):
            axis.axvline(edge, color="0.88", linewidth=0.5, zorder=0)
        axis.set_title(name, fontsize=9, family="monospace")
        axis.set_xticks([])
        axis.set_yticks((np.arange(N_PLATES) + 0.5) * N_CELLS / N_PLATES)
        axis.set_yticklabels([f"plate {k + 1}" for k in range(N_PLATES)], fontsize=8)
        axis.tick_params(length=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("order in which the model sees the cells (lines: fetches)", fontsize=9)
    figure.supylabel("place in the files", fontsize=9)
    figure.tight_layout()
    return figure


def main():
    target = REPOSITORY / "docs/images/orders.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    draw().savefig(target, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
