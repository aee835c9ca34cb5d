"""Memory that is used again: never while somebody has the array, a part of it, or a tensor of it."""

import numpy as np
import torch
from cellshuffle.atlas import memory
from hypothesis import given, settings
from hypothesis import strategies as st

KEEP = {
    "array": lambda array: array,
    "part": lambda array: array[1:, ::3],
    "tensor": lambda array: torch.from_numpy(array)[2:],
    "array of a tensor": lambda array: torch.from_numpy(array).T.numpy(),
    "nothing": lambda array: None,
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(KEEP)), st.integers(4, 9), st.integers(0, 12)), max_size=30))
def test_what_somebody_has_is_left_alone(steps):
    kept = {}
    for number, (kind, rows, forget) in enumerate(steps, start=1):
        array = memory.empty((rows, 2**16), np.float32)
        assert array.shape == (rows, 2**16)
        array.fill(number)
        kept[number] = KEEP[kind](array)
        del array
        kept.pop(forget, None)
        for value, part in kept.items():
            assert part is None or bool((part == value).all())


def test_memory_is_used_again(monkeypatch):
    monkeypatch.setattr(memory, "_buffers", memory.deque())
    first = memory.empty((9, 2**16), np.float32)
    place = first.ctypes.data
    del first
    second = memory.empty((8, 2**16), np.float32)
    assert second.ctypes.data == place
    assert memory.empty((8, 2**16), np.float32).ctypes.data != place


def test_memory_that_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "_buffers", memory.deque())
    monkeypatch.setattr(memory, "KEPT", 3 * 2**21)
    held = [memory.empty((8, 2**16), np.float32) for _ in range(9)]
    assert len(memory._buffers) == 3 and len({array.ctypes.data for array in held}) == 9
    del held
    memory.empty((9, 2**16), np.float32)  # the smaller ones make way
    assert [len(buffer) for (buffer,) in memory._buffers] == [9 * 2**18]
