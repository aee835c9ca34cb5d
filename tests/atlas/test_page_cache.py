"""Plates are read into memory before an epoch in random order: those wanted, and where memory holds them."""

import os

import pytest
from atlases import sound_plate
from cellshuffle.atlas import page_cache
from cellshuffle.atlas.page_cache import into_memory
from cellshuffle.atlas.plates import Plates

STRETCH = 4096


@pytest.fixture
def plate(tmp_path, monkeypatch):
    monkeypatch.setattr(page_cache, "AT_ONCE", STRETCH)
    sound_plate(1).write_h5ad(tmp_path / "plate1.h5ad")
    return tmp_path / "plate1.h5ad"


@pytest.fixture
def read(monkeypatch):
    """(offset, bytes) of what is read, in order; what only asks whether a byte is there is left out."""
    stretches, preadv = [], os.preadv

    def recorded(file, buffers, offset, flags=0):
        n_bytes = preadv(file, buffers, offset, flags)
        stretches.extend([] if flags else [(offset, n_bytes)])
        return n_bytes

    monkeypatch.setattr(os, "preadv", recorded)
    return stretches


@pytest.mark.parametrize(
    ("options", "limit", "is_read"),
    [
        ({}, 2**40, True),
        ({"max_cells": 30}, 2**40, True),
        ({"max_cells": 29}, 2**40, False),
        ({"where": {"drug": "d0"}}, 2**40, False),
        ({}, 2 * STRETCH, False),
    ],
)
def test_a_plate_is_read_where_most_cells_are_wanted_and_memory_holds_it(
    plate, read, monkeypatch, options, limit, is_read
):
    monkeypatch.setattr(page_cache, "memory_limit", lambda: limit)
    monkeypatch.setattr(page_cache, "is_in_memory", lambda file, offset: False)
    plates = Plates([plate], read_depth=0, **options)
    read.clear()
    into_memory(plates)
    size = plate.stat().st_size
    all_of_it = [(low, min(STRETCH, size - low)) for low in range(0, size, STRETCH)]
    assert read == (all_of_it if is_read else []) and len(all_of_it) > 2


def test_whatis_in_memory_is_not_read_again(plate, read, monkeypatch):
    plates, there = Plates([plate], read_depth=0), plate.stat().st_size - STRETCH
    monkeypatch.setattr(page_cache, "is_in_memory", lambda file, offset: offset < there)
    read.clear()
    into_memory(plates)
    assert sum(n_bytes for _, n_bytes in read) < 2 * STRETCH and read[-1][0] + read[-1][1] == there + STRETCH


def test_the_system_is_asked_whatis_in_memory(plate):
    with open(plate, "rb", buffering=0) as file:
        content, last = file.read(), plate.stat().st_size - 1
        if not page_cache.is_in_memory(file.fileno(), 0):
            pytest.skip("this file system does not say what is in memory")
        assert page_cache.is_in_memory(file.fileno(), last) and len(content) == last + 1
        assert not page_cache.is_in_memory(file.fileno(), last + 1)  # beyond the end
