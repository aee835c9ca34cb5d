"""Arrays are written to the bytes that NumPy has of them, wherever they begin and however they are cut."""

import errno
import fcntl
import os

import numpy as np
import pytest
from cellshuffle.packing import writing
from cellshuffle.packing.writing import ArrayWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PAGE = 4096
FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def is_direct(file):
    return bool(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT)


@pytest.fixture(params=["takes", "does not open", "opens, but does not take"])
def direct_writes(request, monkeypatch):
    """What the file system does with writes past the page cache."""

    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    write = os.pwrite
    monkeypatch.setattr(writing, "AT_ONCE", 2 * PAGE)
    if request.param == "does not open":
        monkeypatch.setattr(writing, "open_direct", refuse)
    elif request.param == "opens, but does not take":
        monkeypatch.setattr(
            os, "pwrite", lambda file, *rest: (refuse if is_direct(file) else write)(file, *rest)
        )
    return request.param


@FIXTURE
@given(
    offset=st.integers(0, 3 * PAGE),
    arrays=st.lists(st.tuples(st.integers(0, 2 * PAGE), st.booleans()), max_size=8),
    dtype=st.sampled_from(["uint16", "float32", "int64"]),
)
def test_the_bytes_are_those_of_the_arrays(tmp_path, direct_writes, offset, arrays, dtype):
    path, generator = tmp_path / "arrays", np.random.default_rng(0)
    before = generator.bytes(offset)
    path.write_bytes(before)
    expected = before
    with ArrayWriter(path, offset) as writer:
        for length, flushed in arrays:
            array = generator.integers(0, 255, length).astype(dtype)
            writer.write(array)
            expected += array.tobytes()
            if flushed:
                writer.flush()
                assert path.read_bytes() == expected
    assert path.read_bytes() == expected


@FIXTURE
@given(offset=st.integers(0, PAGE - 1), n_bytes=st.integers(0, 9 * PAGE))
def test_two_arrays_that_share_a_page_leave_each_other_as_they_are(tmp_path, offset, n_bytes):
    path = tmp_path / "arrays"
    path.write_bytes(bytes(offset))
    with ArrayWriter(path, offset) as first, ArrayWriter(path, offset + n_bytes) as second:
        for part in np.array_split(np.full(n_bytes, 1, np.uint8), 3):
            first.write(part)
            second.write(part + 1)
    assert path.read_bytes() == bytes(offset) + b"\1" * n_bytes + b"\2" * n_bytes


def test_all_but_the_last_pages_goes_past_the_page_cache(tmp_path, monkeypatch):
    path, write, written = tmp_path / "arrays", os.pwrite, {True: 0, False: 0}
    path.touch()

    def recorded(file, content, offset):
        written[is_direct(file)] += len(content)
        return write(file, content, offset)

    monkeypatch.setattr(writing, "AT_ONCE", 2 * PAGE)
    monkeypatch.setattr(os, "pwrite", recorded)
    with ArrayWriter(path, 0) as writer:
        if writer.direct is None:
            pytest.skip("this file system has no writes past the page cache")
        writer.write(np.zeros(11 * PAGE + 3, np.uint8))
    assert written == {True: 10 * PAGE, False: PAGE + 3}


def test_a_write_that_fails_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "arrays").touch()
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"), ArrayWriter(tmp_path / "arrays", 0) as writer:
        writer.write(np.zeros(10, np.uint8))
