"""Blocks are made in threads, come in their order, and no more of them are held than threads work on."""

import threading

import pytest
from cellshuffle.packing.ahead import ahead, in_turn
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers()), st.integers(1, 4))
def test_every_item_once_and_in_order(items, threads):
    assert list(in_turn(lambda item: item * 2, items, threads)) == [item * 2 for item in items]
    assert list(ahead(items)) == items


def test_no_more_than_the_threads_have_is_made_before_it_is_used():
    begun = []
    made = in_turn(begun.append, range(100), threads=2)
    next(made)
    made.close()
    assert len(begun) <= 3


def test_threads_work_at_the_same_time():
    both = threading.Barrier(2, timeout=30)
    assert sorted(in_turn(lambda _: both.wait(), range(2), threads=2)) == [0, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_ends_it_where_it_stands(threads):
    made = in_turn(lambda item: 1 // item, [2, 1, 0, 1, 1], threads)
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert list(made) == []
