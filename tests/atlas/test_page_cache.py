"""Plates are read into memory before an epoch in random order: those wanted, and where memory holds them."""

import os

import pytest
from atlases import sound_plate
from cellshuffle.atlas import page_cache
from cellshuffle.atlas.page_cache import into_memory
from cellshuffle.atlas.plates import Plates

PAGE = 4096


def is_in_memory(path):
    with open(path, "rb", buffering=0) as file:
        found = [page_cache._is_in_memory(file.fileno(), n) for n in range(0, path.stat().st_size, PAGE)]
    return all(found)


def forget(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.fixture
def plate(tmp_path):
    path = tmp_path / "plate1.h5ad"
    sound_plate(1).write_h5ad(path)
    with open(path, "ab") as file:
        file.write(bytes(50 * PAGE))
    known = is_in_memory(path)
    forget(path)
    if not known or is_in_memory(path):
        pytest.skip("this file system does not say what is in memory, or has all of it there")
    return path


@pytest.mark.parametrize(
    ("options", "limit", "expected"),
    [
        ({}, 2**40, True),
        ({"max_cells": 30}, 2**40, True),
        ({"max_cells": 29}, 2**40, False),
        ({"where": {"drug": "d0"}}, 2**40, False),
        ({}, 100 * PAGE, False),
    ],
)
def test_a_plate_is_read_where_most_cells_are_wanted_and_memory_holds_it(
    plate, monkeypatch, options, limit, expected
):
    monkeypatch.setattr(page_cache, "memory_limit", lambda: limit)
    plates = Plates([plate], read_depth=0, **options)
    forget(plate)
    assert not is_in_memory(plate)
    into_memory(plates)
    assert is_in_memory(plate) is expected


def test_what_is_in_memory_is_not_read_again(plate, monkeypatch, capsys):
    plates, read, preadv = Plates([plate], read_depth=0), [], os.preadv
    into_memory(plates)
    monkeypatch.setattr(os, "preadv", lambda *of: (read.append(of), preadv(*of))[1])
    into_memory(plates)
    assert read and all(len(of) == 4 for of in read)  # those that ask alone, by RWF_NOWAIT
    assert capsys.readouterr().err == ""
