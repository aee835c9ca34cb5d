"""docs/images/{orders,other_orders}.png out, the order of cells of every sampler: `make docs`."""

import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.orders import PlateSizes
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
# Buffers, blocks and chunks in proportion to so small an atlas.
OTHERS = {
    "ClassBalancedSampling": {"sampler": "ClassBalancedSampling", "task": "kind", "block_size": 4},
    "ShuffleBuffer": {"sampler": "ShuffleBuffer", "buffer_size": 24},
    "with shuffle_plates": {"sampler": "ShuffleBuffer", "buffer_size": 24, "shuffle_plates": True},
    "ShardShuffle: py1s": {"sampler": "ShardShuffle", "algorithm": "py1s"},
    "py1br": {"sampler": "ShardShuffle", "algorithm": "py1br", "shuffle_block_size": 100},
    "py1e, shards of 16": {
        "sampler": "ShardShuffle", "algorithm": "py1e", "shard_size": 16, "shuffle_block_size": 100,
    },
    "PreShuffled": {"sampler": "PreShuffled", "chunk_size": 8},
    "OrderFile": {"sampler": "OrderFile"},
}  # fmt: skip


def order(entry):
    """(n_cells,) cell numbers as the model sees them."""
    weights = np.where(RARE, 7.0, 1.0) if is_weighted(entry) else None
    plates = PlateSizes(np.full(N_PLATES, N_CELLS // N_PLATES))
    with tempfile.TemporaryDirectory() as folder:
        if entry["sampler"] == "OrderFile":
            entry = entry | {"path": Path(folder) / "order.npy"}
            np.save(entry["path"], by_threads())
        sampler = sampler_of(entry, weights, {"kind": RARE.astype(int)})
        return np.concatenate(list(cell_order(sampler, plates, BATCH, FETCH, seed=0, epoch=0)))


def by_threads():
    """The cells as threads of different speed yield them, each going through one plate."""
    speed = np.array([1.0, 0.8, 0.6, 0.4])
    ready = (np.arange(N_CELLS // N_PLATES) + 1) / speed[:, None]
    return np.argsort(ready.reshape(-1), kind="stable")


def draw(strategies, shape):
    """A panel a strategy: place in the file against time, a colour a plate, rare cells dark."""
    from matplotlib import pyplot as plt

    colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7"]
    size = round(2.8 * shape[1], 1), round(2.4 * shape[0], 1)
    figure, axes = plt.subplots(*shape, figsize=size, sharex=True, sharey=True)
    for axis, (name, entry) in zip(axes.flat, strategies.items(), strict=True):
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
    folder = REPOSITORY / "docs/images"
    folder.mkdir(parents=True, exist_ok=True)
    draw(STRATEGIES, (2, 3)).savefig(folder / "orders.png", dpi=120)
    draw(OTHERS, (2, 4)).savefig(folder / "other_orders.png", dpi=120)


if __name__ == "__main__":
    sys.exit(main())
