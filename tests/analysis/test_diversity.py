"""Entropy of minibatches and scDataset's bounds on it."""

import numpy as np
import pytest
from cellshuffle.analysis import diversity
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.samplers import sampler_of
from scipy import stats


def test_entropy_is_scipys():
    counts = np.random.default_rng(0).integers(0, 9, (20, 7))
    counts[:, 0] += 1
    np.testing.assert_allclose(diversity.entropy_bits(counts), stats.entropy(counts, base=2, axis=1))
    assert diversity.entropy_bits(np.bincount([3, 3, 3], minlength=5)) == 0


def test_expected_entropy_is_the_mean_over_draws():
    share = np.array([0.5, 0.3, 0.15, 0.05])
    counts = np.random.default_rng(0).multinomial(16, share, size=40_000)
    simulated = diversity.entropy_bits(counts).mean()
    assert diversity.expected_entropy(share, 16) == pytest.approx(simulated, abs=0.005)


def test_bounds_agree_with_the_first_order_of_the_paper():
    share = np.full(14, 1 / 14)
    low, high = diversity.entropy_bounds(share, 4096, 16)
    whole = np.log2(14)
    assert high == pytest.approx(whole - 13 / (2 * 4096 * np.log(2)), abs=1e-4)
    assert low == pytest.approx(whole - 13 * 16 / (2 * 4096 * np.log(2)), abs=1e-2)
    # Where a minibatch is one block there is one plate, though the first order would be negative.
    assert diversity.entropy_bounds(share, 64, 64)[0] == 0


@pytest.mark.parametrize("fetch_factor", [1, 16])
def test_block_shuffling_stays_within_the_bounds(fetch_factor):
    plates, cells = 13, 1000
    entry = {"sampler": "BlockShuffling", "block_size": 8}
    n = plates * cells
    order = cell_order(sampler_of(entry), n, 64, fetch_factor, 0, 0)
    labels = (np.arange(n) % 5)[:, None]
    ends = np.arange(1, plates + 1) * cells
    position, entropy, share, drawn = diversity.measure(order, labels, (5,), ends, -(-n // 64))
    low, high = diversity.entropy_bounds(np.full(plates, 1 / plates), 64, 8)
    assert low - 0.05 < entropy[:, 0].mean() < high + 0.05
    if fetch_factor == 1:
        assert entropy[:, 0].mean() == pytest.approx(low, abs=0.05)
    assert (np.diff(position) > 0).all()
    np.testing.assert_allclose(share.sum(1), 1)
    assert drawn.tolist() == [n // 5] * 5


def test_streaming_sees_plate_after_plate():
    order = cell_order(sampler_of({"sampler": "Streaming"}), 1000, 10, 4, 0, 0)
    labels = np.zeros((1000, 1), int)
    measured = diversity.measure(order, labels, (1,), np.array([500, 1000]), 100, bins=10)
    _, entropy, share, _ = measured
    assert share.argmax(1).tolist() == [0] * 5 + [1] * 5
    assert entropy[:, 0].max() == 0


def test_long_epochs_are_sampled_evenly():
    steps = diversity.sampled_steps(1_000_000, most=2000)
    assert len(steps) == 2000 and steps[0] == 0 and steps[-1] == 999_999
    assert np.diff(steps).max() - np.diff(steps).min() <= 1
    assert diversity.sampled_steps(5).tolist() == [0, 1, 2, 3, 4]
