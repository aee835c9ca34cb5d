"""Entropy of minibatches and scDataset's bounds on it."""

import numpy as np
import pandas as pd
import pytest
from cellshuffle.analysis import diversity, order_measures
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


def plain_measures(order, labels, plate_ends, window):
    """Mean entropy of windows, entropy of differences, drift, by numpy and scipy on the whole order."""
    cells = np.concatenate(order)
    codes = {"plate": np.searchsorted(plate_ends, np.arange(plate_ends[-1]), "right")} | labels
    entropy = lambda values: stats.entropy(np.unique(values, return_counts=True)[1], base=2)  # noqa: E731
    last = np.concatenate(order[int(0.9 * len(order)) :])
    return {
        "differences": entropy(np.abs(np.diff(cells))),
        **{
            ("entropy", name): np.mean(
                [
                    entropy(c[np.concatenate(order[k : k + window])])
                    for k in range(max(1, len(order) - window + 1))
                ]
            )
            for name, c in codes.items()
        },
        **{
            ("drift", name): np.abs(
                np.bincount(c[last], minlength=c.max() + 1) / len(last)
                - np.bincount(c[cells], minlength=c.max() + 1) / len(cells)
            ).sum()
            / 2
            for name, c in codes.items()
        },
    }


@pytest.mark.parametrize("n_cells", [9, 700, 3000])
@pytest.mark.parametrize("entry", [{"sampler": "Streaming"}, {"sampler": "BlockShuffling", "block_size": 2}])
def test_measures_of_an_order(monkeypatch, entry, n_cells):
    monkeypatch.setattr(order_measures, "AT_ONCE", 256)
    ends = np.array([n_cells // 3, n_cells])
    labels = {"drug": np.arange(n_cells) * 5 // n_cells, "line": np.arange(n_cells) % 4}
    order = list(cell_order(sampler_of(entry), n_cells, 10, 4, 0, 0))
    measures = order_measures.OrderMeasures(labels, ends, len(order))
    assert len(list(measures.watch(iter(order)))) == len(order)
    table = measures.table().set_index(["measure", "label", "window"])["value"]
    assert len(table) == 3 * 4 + 1 + 3
    for window in order_measures.WINDOWS:
        expected = plain_measures(order, labels, ends, window)
        assert table["differences", "", 0] == pytest.approx(expected["differences"], abs=1e-5)
        for name in ("plate", "drug", "line"):
            assert table["entropy", name, window] == pytest.approx(expected["entropy", name], abs=1e-5)
            assert table["drift", name, 0] == pytest.approx(expected["drift", name], abs=1e-5)
    if entry["sampler"] == "Streaming" and n_cells > 9:
        assert table["drift", "plate", 0] > 0.3 and table["differences", "", 0] == 0


def test_which_measure_goes_with_the_score():
    keys = ["measure", "label", "window"]
    rows = lambda *values: pd.DataFrame(  # noqa: E731
        [("entropy", "plate", 1, values[0]), ("drift", "plate", 0, values[1]), ("differences", "", 0, 3.0)],
        columns=[*keys, "value"],
    )
    scores = {"a": 0.1, "b": 0.2, "c": 0.4, "d": 0.3}
    tables = {"a": rows(0, 9), "b": rows(1, 5), "c": rows(3, 2), "d": rows(2, 3)}
    found = order_measures.correlations(tables, scores).set_index(keys)["correlation"]
    assert found["entropy", "plate", 1] == pytest.approx(1) and found["drift", "plate", 0] == pytest.approx(
        -1
    )
    assert np.isnan(found["differences", "", 0])
    # The table of critical values for n = 10 has 0.632 (Pearson's, which is the approximation used).
    assert order_measures.chance_correlation(10) == pytest.approx(0.632, abs=5e-4)
