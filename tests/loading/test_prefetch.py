"""Items prepared ahead, by a thread or by a process: the same, in order, whatever ends it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cellshuffle.errors import InputError
from cellshuffle.loading.prefetch import by_process, by_thread, tensors_of
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import REPOSITORY


def array(dtype, shape, seed):
    """Random whole numbers; from a seed, since Hypothesis draws few numbers at a time."""
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(dtype)


ARRAYS = st.builds(
    array,
    st.sampled_from(["int16", "int32", "int64", "float32"]),
    st.tuples(st.integers(0, 20_000)) | st.tuples(st.integers(0, 3000), st.integers(0, 9)),
    st.integers(0, 99),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(ARRAYS, min_size=1, max_size=4), max_size=9), st.integers(1, 4))
def test_a_process_hands_over_every_array(items, depth):
    found = list(by_process(iter(items), depth))
    assert len(found) == len(items)
    for (whole, layout), arrays in zip(found, items, strict=True):
        for tensor, array in zip(tensors_of(whole, layout), arrays, strict=True):
            assert str(tensor.dtype) == f"torch.{array.dtype}"
            np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("ahead", [by_thread, by_process])
def test_errors_are_handed_on_and_the_end_comes_early(ahead):
    def failing():
        yield [np.arange(3)]
        raise InputError("plate 7 is damaged")

    items = ahead(failing(), 2)
    next(items)
    with pytest.raises(InputError, match="plate 7 is damaged"):
        next(items)
    endless = ahead(iter(lambda: [np.zeros(2)], None), 2)
    next(endless)
    endless.close()
    assert not multiprocessing.active_children()


class Odd(Exception):
    """An exception that cannot be made again from its words."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def test_the_story_of_an_error_comes_along():
    def failing(error):
        yield [np.zeros(1)]
        raise error

    for error, kind in ((ValueError("bad"), ValueError), (Odd("this", "that"), RuntimeError)):
        items = by_process(failing(error), 2)
        next(items)
        with pytest.raises(kind) as told:
            next(items)
        assert str(told.value) in ("bad", "Odd: this and that")
        assert "in failing" in "".join(told.value.__notes__)


def test_a_process_that_was_killed_is_told():
    def killed():
        yield [np.arange(3)]
        os.kill(os.getpid(), signal.SIGKILL)

    items = by_process(killed(), 2)
    next(items)
    with pytest.raises(InputError, match=r"was killed .* out of memory"):
        next(items)


CONSUMER = """
import os, sys
import numpy as np
from cellshuffle.loading.prefetch import by_process, tensors_of

def items():
    while True:
        yield [np.array([os.getpid()])]

for whole, layout in by_process(items(), 3):
    print(int(tensors_of(whole, layout)[0]), flush=True)
    sys.stdin.readline()
"""


def test_the_process_ends_with_a_consumer_that_was_killed():
    with subprocess.Popen(
        [sys.executable, "-c", CONSUMER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(REPOSITORY / "workflow/scripts")},
    ) as consumer:
        process = Path("/proc", consumer.stdout.readline().decode().strip())
        assert process.exists()
        consumer.kill()
        for _ in range(100):
            if not process.exists():
                return
            time.sleep(0.1)
    raise AssertionError(f"{process} still runs")
