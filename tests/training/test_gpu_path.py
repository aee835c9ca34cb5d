"""What runs on a GPU, as far as it can be told without one: the same numbers on the CPU, GPUs shared out."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from cellshuffle.atlas.plates import Rows
from cellshuffle.training.counts import DenseCounts, SparseCounts
from cellshuffle.training.model import (
    FusedLosses,
    heads_of,
    initial_parameters,
    losses_and_gradient,
    padded,
)
from hypothesis import given
from hypothesis import strategies as st
from runs import REPOSITORY


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 7), st.integers(0, 99))
def test_all_tasks_at_once_are_the_tasks_one_by_one(sizes, batch, seed):
    tasks = heads_of({f"task{k}": range(size) for k, size in enumerate(sizes)})
    weight = padded(initial_parameters(5, tasks, seed)[0][0])
    generator = torch.Generator().manual_seed(seed)
    logits = 9 * torch.rand(batch, weight.shape[1], generator=generator)
    logits[:, sum(sizes) :] = 0
    labels = torch.stack([torch.randint(n, (batch,), generator=generator) for n in sizes], dim=1)
    fused = FusedLosses(tasks, weight.shape[1], "cpu")
    losses, gradient = fused(logits.clone(), labels, batch)
    expected = losses_and_gradient(logits, labels, batch, tasks)
    torch.testing.assert_close(losses, expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, expected[1], rtol=1e-5, atol=1e-6)


def test_columns_of_no_task_are_and_stay_zero():
    tasks = heads_of({"a": range(3), "b": range(2)})
    weight, bias = map(padded, initial_parameters(7, tasks, 0)[0])
    assert weight.shape == (7, 8) and bias.shape == (8,)
    assert not weight[:, 5:].any() and weight[:, :5].all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("kind", [SparseCounts, DenseCounts])
def test_gene_indices_of_every_type(kind, dtype):
    rows = Rows(np.array([2.0, 3.0]), np.array([0, 3], dtype), np.array([0, 1, 2]))
    product = kind(rows, "none", 4).times(torch.eye(4))
    assert product.tolist() == [[2, 0, 0, 0], [0, 0, 0, 3]]


@pytest.mark.parametrize("kind", [SparseCounts, DenseCounts])
def test_a_gene_twice_adds_up(kind):
    rows = Rows(np.array([3.0, 4.0, 1.0]), np.array([2, 2, 2]), np.array([0, 2, 3]))
    assert kind(rows, "none", 4).times(torch.eye(4))[:, 2].tolist() == [7, 1]


CLAIM = """
import os, sys
from cellshuffle.jobs.gpus import claim_gpus
claim_gpus(int(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES", ""), flush=True)
sys.stdin.read()
"""


def test_trainings_on_one_machine_take_gpus_of_their_own(tmp_path):
    def claim(n):
        process = subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PYTHONPATH": str(REPOSITORY / "workflow/scripts"), "TMPDIR": str(tmp_path),
                 "CUDA_VISIBLE_DEVICES": "0,1,GPU-2"},
        )  # fmt: skip
        return process, process.stdout.readline().strip()

    first, a = claim(1)
    second, b = claim(2)
    third, c = claim(1)
    assert (a, b) == ("0", "1,GPU-2")
    assert c == "0,1,GPU-2"  # none is free: all are left in sight
    second.kill()
    second.wait()
    fourth, d = claim(2)
    assert d == "1,GPU-2"
    for process in (first, third, fourth):
        process.communicate()
