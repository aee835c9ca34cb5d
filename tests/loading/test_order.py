"""The order of cells is scDataset's own, index by index, for every strategy and epoch."""

import json

import numpy as np
import pytest
from cellshuffle.atlas.plates import Rows
from cellshuffle.errors import InputError
from cellshuffle.loading.minibatches import cell_order, epoch_batches
from cellshuffle.loading.prefetch import by_thread
from cellshuffle.loading.samplers import sampler, sampler_of
from hypothesis import given, settings
from hypothesis import strategies as st
from independent import digest_of, plain_order
from runs import SMALL, on_existing_atlas, snakemake, training_files

ENTRIES = SMALL["strategies"]
# Keys of the samplers that no strategy of the small run has.
OTHERS = {
    "whole_blocks": {"sampler": "BlockShuffling", "block_size": 3, "drop_last": True},
    "as_many_draws": {"sampler": "BlockWeightedSampling", "block_size": 2, "total_size": 90},
    "rounds_without_replacement": {
        "sampler": "BlockWeightedSampling",
        "block_size": 3,
        "replace": False,
        "sampling_size": 50,
        "total_size": 120,
    },
    "balanced": {"sampler": "ClassBalancedSampling", "task": "cell_line", "block_size": 4},
    "balanced_rounds": {
        "sampler": "ClassBalancedSampling",
        "task": "cell_line",
        "block_size": 2,
        "replace": False,
        "sampling_size": 40,
        "total_size": 90,
    },
}


class CountedPlates:
    """Stands in for Plates: cell k has the single count k + 1; remembers what was fetched."""

    read_depth = 0

    def __init__(self, n_cells):
        self.n_cells, self.fetched = n_cells, []

    def __len__(self):
        return self.n_cells

    def fetch(self, cells):
        self.fetched.append(cells)
        return self

    def take(self, rows):
        cells = self.fetched[-1][rows]
        return Rows(cells + 1, np.zeros(len(cells), int), np.arange(len(cells) + 1))


@pytest.mark.parametrize("name", [*ENTRIES, *OTHERS])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_order_is_scdatasets(name, data):
    entry = (ENTRIES | OTHERS)[name]
    fewest = entry.get("sampling_size", entry["block_size"] if entry.get("drop_last") else 1)
    n_cells = data.draw(st.integers(fewest, 700))
    batch_size, fetch_factor = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 5))
    seed, first = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(0, 20))
    weights = np.random.default_rng(seed).random(n_cells) + 1e-3
    labels, codes = np.arange(n_cells)[:, None], {"cell_line": np.arange(n_cells) ** 2 % 7}
    expected = plain_order(entry, n_cells, weights, batch_size, fetch_factor, seed, 3, codes["cell_line"])
    for epoch in range(3):
        order = cell_order(sampler_of(entry, weights, codes), n_cells, batch_size, fetch_factor, seed, epoch)
        for ours, theirs in zip(order, expected[epoch], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        # the training's own batches: entered anywhere, with counts and labels of the right cells
        batches = epoch_batches(
            CountedPlates(n_cells), sampler_of(entry, weights, codes), labels, batch_size=batch_size,
            fetch_factor=fetch_factor, seed=seed, epoch=epoch, first_batch=first,
        )  # fmt: skip
        for step, (batch, theirs) in enumerate(zip(by_thread(batches, 4), expected[epoch], strict=True)):
            np.testing.assert_array_equal(batch.cells, theirs)
            if step < first:
                assert batch.rows is None and batch.labels is None
            else:
                np.testing.assert_array_equal(batch.rows.data, theirs + 1)
                np.testing.assert_array_equal(batch.labels[:, 0], theirs)


def test_skipped_fetches_are_not_read():
    plates = CountedPlates(1000)
    sampler = sampler_of(ENTRIES["random_sampling"])
    options = {"batch_size": 10, "fetch_factor": 5, "first_batch": 57}
    list(epoch_batches(plates, sampler, np.zeros((1000, 1), int), **options))
    assert len(plates.fetched) == 1000 / 50 - 57 // 5


def test_a_strategy_without_cells_is_told():
    sampler = sampler_of({"sampler": "BlockShuffling", "block_size": 500, "drop_last": True})
    with pytest.raises(InputError, match="none of the 80 cells"):
        list(cell_order(sampler, 80, 8, 4, seed=0, epoch=0))


def test_a_sampler_or_option_that_there_is_not_is_told():
    with pytest.raises(InputError, match="no sampler 'Blocks'; there are Streaming, BlockShuffling"):
        sampler("Blocks")
    with pytest.raises(InputError, match="no option 'block'; it has block_size, drop_last"):
        sampler("BlockShuffling", block=4)
    with pytest.raises(InputError, match="takes no weights; those that do: BlockWeightedSampling"):
        sampler("Streaming", weights=np.ones(3))


def test_every_epoch_has_another_order():
    orders = [
        np.concatenate(list(cell_order(sampler_of(ENTRIES["random_sampling"]), 500, 32, 4, 0, epoch)))
        for epoch in range(3)
    ]
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[1], orders[2])


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("name", [name for name in ENTRIES if "weighted" not in name])
def test_ranks_share_an_epoch(name, world_size):
    seen = []
    for rank in range(world_size):
        batches = epoch_batches(
            CountedPlates(499), sampler_of(ENTRIES[name]), batch_size=16, fetch_factor=3, seed=5,
            epoch=1, rank=rank, world_size=world_size,
        )  # fmt: skip
        seen += [batch.cells for batch in batches]
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(499))


def recorded_hash_is_scdatasets(folder, name, entry, seed):
    """The workflow's own training reports the SHA-256 of the order that scDataset itself yields."""
    weights = np.load(folder / "results/small/weights/cells.npy")
    result = json.loads((folder / training_files([name], [seed])[0]).read_text())
    lines = np.load(folder / "results/small/labels/train.npy")[:, 0]  # of the first task, cell_line
    expected = plain_order(entry, 1200, weights, 32, entry.get("fetch_factor", 4), seed, 2, lines)
    assert result["order_sha256"] == [digest_of(batches) for batches in expected]


@pytest.mark.parametrize("name", ENTRIES)
def test_recorded_hash_is_of_that_order(small_run, name):
    for seed in SMALL["training"]["seeds"]:
        recorded_hash_is_scdatasets(small_run, name, ENTRIES[name], seed)


def test_recorded_hash_of_other_samplers(small_run, tmp_path):
    config = on_existing_atlas(small_run, atlas={"pack": False}) | {"strategies": OTHERS}
    snakemake(tmp_path, config, *training_files(OTHERS, [0]))
    for name, entry in OTHERS.items():
        recorded_hash_is_scdatasets(tmp_path, name, entry, 0)
