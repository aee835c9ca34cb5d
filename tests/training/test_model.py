"""The fused model is four linear heads with four cross-entropies, and scores are scikit-learn's."""

import copy
import json

import numpy as np
import pytest
import torch
from cellshuffle.analysis.scores import SCORES, class_counts, scores_from_counts
from cellshuffle.atlas.plates import Rows
from cellshuffle.training.adam import Adam
from cellshuffle.training.counts import DenseCounts, SparseCounts, transformed
from cellshuffle.training.loop import take_step
from cellshuffle.training.model import criterion_of, heads_of, initial_parameters, losses_and_gradient
from cellshuffle.training.settings import Recipe
from cellshuffle.training.state import new_state
from hypothesis import given
from hypothesis import strategies as st
from independent import assert_layers_equal, plain_model, sklearn_scores
from runs import SMALL
from torch.nn.functional import cross_entropy

CLASSES = {
    "cell_line": list("abcde"),
    "drug": [str(k) for k in range(9)],
    "moa": ["x"],
    "fine": ["p", "q"],
}


def counts(n_cells=33, n_genes=70, seed=0):
    """Random counts as a dense array and as CSR rows; the first cell and some genes are empty."""
    rng = np.random.default_rng(seed)
    dense = rng.poisson(0.4, (n_cells, n_genes)) * rng.integers(1, 30, (n_cells, n_genes))
    dense[0] = 0
    dense[:, ::7] = 0
    cell, gene = np.nonzero(dense)
    indptr = np.r_[0, np.cumsum(np.bincount(cell, minlength=n_cells))]
    return dense, Rows(dense[cell, gene].astype(np.uint16), gene.astype(np.uint16), indptr)


@pytest.mark.parametrize("kind", [SparseCounts, DenseCounts])
def test_loss_and_gradient_equal_separate_heads(kind):
    dense, rows = counts()
    tasks = heads_of(CLASSES)
    weight, bias = initial_parameters(dense.shape[1], tasks, seed=3)[0]
    bias += torch.linspace(-1, 1, len(bias))
    rng = np.random.default_rng(1)
    labels = torch.from_numpy(np.stack([rng.integers(0, len(c), 33) for c in CLASSES.values()], 1))
    linears, expected = [], 0
    for position, head in enumerate(tasks):
        linear = torch.nn.Linear(dense.shape[1], head.columns.stop - head.columns.start)
        with torch.no_grad():
            linear.weight.copy_(weight[:, head.columns].T)
            linear.bias.copy_(bias[head.columns])
        expected += cross_entropy(linear(torch.from_numpy(dense).float()), labels[:, position])
        linears.append(linear)
    expected.backward()

    batch = kind(rows, "none", dense.shape[1])
    losses, gradient = losses_and_gradient(batch.times(weight) + bias, labels, len(labels), tasks)
    stale = kind(counts(seed=9)[1], "none", dense.shape[1])
    written = torch.zeros_like(weight)
    stale.times(weight)
    stale.write_gradient(gradient, written, None)
    batch.write_gradient(gradient, written, stale)
    torch.testing.assert_close(losses.sum() / len(labels), expected.detach(), rtol=1e-5, atol=0)
    for head, linear in zip(tasks, linears, strict=True):
        scale = linear.weight.grad.abs().max().item()
        torch.testing.assert_close(
            written[:, head.columns].T, linear.weight.grad, rtol=1e-5, atol=1e-6 * scale
        )
        torch.testing.assert_close(gradient[:, head.columns].sum(0), linear.bias.grad, rtol=1e-5, atol=1e-6)


def test_initial_weights_are_xavier_uniform_per_head():
    tasks = heads_of({"few": ["a", "b"], "many": [str(k) for k in range(300)]})
    weight, bias = initial_parameters(500, tasks, seed=0)[0]
    for head, n_classes in zip(tasks, (2, 300), strict=True):
        bound = (6 / (500 + n_classes)) ** 0.5
        block = weight[:, head.columns]
        assert block.abs().max() <= bound and block.abs().max() > 0.95 * bound
        assert abs(block.std() - bound / 3**0.5) < 0.05 * bound
    assert not bias.any()
    assert not torch.equal(weight, initial_parameters(500, tasks, seed=1)[0][0])


def test_transforms():
    dense, rows = counts()
    cells = np.repeat(np.arange(len(dense)), np.diff(rows.indptr))
    np.testing.assert_array_equal(transformed(rows, "none"), rows.data)
    np.testing.assert_allclose(transformed(rows, "log1p"), np.log1p(rows.data), rtol=1e-6)
    per_10k = rows.data / dense.sum(1)[cells] * 1e4
    np.testing.assert_allclose(transformed(rows, "cp10k_log1p"), np.log1p(per_10k), rtol=1e-6)


@pytest.mark.parametrize("transform", ["none", "log1p", "cp10k_log1p"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.int64])
def test_dense_on_the_device_equals_sparse_on_the_cpu(transform, dtype):
    dense, rows = counts(n_genes=65_536)
    rows.data = (rows.data * 700).astype(dtype)  # up to the last bit of 16
    if transform != "none":
        rows.data = np.abs(rows.data)
    weight = torch.rand(dense.shape[1], 11, generator=torch.Generator().manual_seed(0))
    sparse = SparseCounts(rows, transform, dense.shape[1]).times(weight)
    ours = DenseCounts(rows, transform, dense.shape[1]).times(weight)
    torch.testing.assert_close(ours, sparse, rtol=1e-4, atol=1e-3)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60),
)
def test_scores_equal_scikit_learns(pairs):
    truth, prediction = np.array(pairs).T
    ours = scores_from_counts(*class_counts(truth, prediction, 9))
    np.testing.assert_allclose(ours, sklearn_scores(truth, prediction), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("strategy", SMALL["strategies"])
def test_scores_of_a_run_are_those_of_its_predictions(small_run, strategy):
    folder = small_run / f"results/small/train/{strategy}/seed1"
    result = json.loads((folder / "metrics.json").read_text())
    saved = np.load(folder / "predictions.npz", allow_pickle=False)
    labels = np.load(small_run / "results/small/labels/test.npy")
    np.testing.assert_array_equal(saved["truth"], labels)
    for position, task in enumerate(saved["tasks"]):
        expected = sklearn_scores(saved["truth"][:, position], saved["prediction"][:, position])
        np.testing.assert_allclose([result["scores"][task][name] for name in SCORES], expected, rtol=1e-12)


def test_saved_model_makes_the_saved_predictions(small_run):
    """model.pt, applied with plain torch to the published plate, gives the loss and the predictions."""
    import anndata

    folder = small_run / "results/small/train/block_weighted/seed0"
    model = torch.load(folder / "model.pt", weights_only=True)
    saved = np.load(folder / "predictions.npz", allow_pickle=False)
    plate = anndata.read_h5ad(next((small_run / "data/small").glob("plate14_*")))
    assert list(plate.var_names) == model["genes"]
    logits = torch.from_numpy(plate.X.toarray()) @ model["weight"] + model["bias"]
    result = json.loads((folder / "metrics.json").read_text())
    for position, head in enumerate(heads_of(model["classes"])):
        block = logits[:, head.columns]
        np.testing.assert_array_equal(block.argmax(1), saved["prediction"][:, position])
        loss = cross_entropy(block, torch.from_numpy(saved["truth"][:, position].astype(np.int64)))
        assert result["scores"][head.task]["loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_losses_of_large_batches_do_not_depend_on_threads():
    """torch sums more than 32,767 numbers by as many threads as there are."""
    tasks, generator = heads_of({"a": list("xyz")}), torch.Generator().manual_seed(0)
    logits = torch.rand(70_001, 3, generator=generator)
    labels = torch.randint(3, (70_001, 1), generator=generator)
    threads, found = torch.get_num_threads(), []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.append(losses_and_gradient(logits.clone(), labels, 70_001, tasks)[0].item())
    torch.set_num_threads(threads)
    assert len(set(found)) == 1


def test_the_optimiser_is_that_of_pytorch_to_the_bit():
    """Also once its state has been saved and read."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((30, 8), (8,))]
    ours, theirs = ([part.clone() for part in start] for _ in range(2))
    optimiser, reference = Adam(ours, 1e-2), torch.optim.Adam(theirs, lr=1e-2, fused=True)
    for step in range(6):
        if step == 3:
            again = Adam(ours, 1e-2)
            again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
            optimiser = again
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=generator) * 10.0**step
            other.grad = own.grad.clone()
        optimiser.step()
        reference.step()
    assert all(map(torch.equal, ours, theirs)) and not torch.equal(ours[0], start[0])


@pytest.mark.parametrize("hidden", [[16], [7], [12, 5, 9]])
@pytest.mark.parametrize("kind", [SparseCounts, DenseCounts])
def test_a_model_with_hidden_layers_trains_as_plain_torch(kind, hidden):
    """Against nn.Sequential and torch.optim.Adam on dense batches of several sizes, one of them empty."""
    tasks = heads_of(CLASSES)
    state = new_state(70, tasks, Recipe("test", {}, 5, 1, 33, 1, 1e-3, device="cpu", hidden=hidden))
    model = plain_model(initial_parameters(70, tasks, 5, hidden))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion, previous = criterion_of(tasks, state.parameters[-1]), None
    for step, n_cells in enumerate([33, 9, 0, 33, 1] * 4):
        dense, rows = counts(n_cells + 1, seed=step)
        dense, rows = dense[1:], Rows(rows.data, rows.indices, rows.indptr[1:])  # without the empty cell
        rng = np.random.default_rng(step)
        labels = torch.from_numpy(np.stack([rng.integers(0, len(c), n_cells) for c in CLASSES.values()], 1))
        batch = kind(rows, "none", 70)
        before = state.losses.clone()
        with torch.no_grad():
            take_step(
                state, batch, labels, criterion, 40, previous
            )  # 40: as if others had the rest of the batch
        previous = batch
        logits = model(torch.from_numpy(dense).float())
        expected = [
            cross_entropy(logits[:, head.columns], labels[:, k], reduction="sum")
            for k, head in enumerate(tasks)
        ]
        torch.testing.assert_close(
            state.losses - before, torch.stack(expected).double(), rtol=1e-5, atol=1e-5
        )
        adam.zero_grad()
        (sum(expected) / 40).backward()
        adam.step()
    ours = [(state.weight[:, : hidden[0]], state.bias[: hidden[0]]), *state.layers]
    assert_layers_equal(ours, model, rtol=1e-5, atol=1e-5)
    assert not state.weight[:, hidden[0] :].any()


def test_initial_hidden_layers_are_xavier_uniform_in_the_order_of_the_layers():
    tasks = heads_of({"few": ["a", "b"], "many": [str(k) for k in range(300)]})
    layers = initial_parameters(500, tasks, 0, [64, 32])
    generator = torch.Generator().manual_seed(0)
    for (weight, bias), shapes in zip(layers, ([(500, 64)], [(64, 32)], [(32, 2), (32, 300)]), strict=True):
        blocks = [torch.nn.init.xavier_uniform_(torch.empty(s), generator=generator) for s in shapes]
        assert torch.equal(weight, torch.cat(blocks, dim=1)) and not bias.any()
