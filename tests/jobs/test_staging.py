"""Copies on node-local storage: made once, shared, checked, whole, removed by the last user."""

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from cellshuffle.errors import InputError
from cellshuffle.jobs import staging
from cellshuffle.jobs.staging import stage
from runs import LIBRARY


@pytest.fixture
def plates(tmp_path):
    """Three files with different contents, two of the same name."""
    paths = [tmp_path / "a" / "plate1.h5ad", tmp_path / "a" / "plate2.h5ad"]
    paths.append(tmp_path / "b" / "plate1.h5ad")
    for i, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([i]) * 100_000)
    return paths


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def leftovers(scratch):
    return [path for path in scratch.rglob("*") if path.is_file()]


def user(plates, scratch, seconds):
    """Another process that stages the plates, says so, and uses them for a while."""
    code = (
        "import sys, time; from cellshuffle.jobs.staging import stage\n"
        "with stage(sys.argv[3:], sys.argv[1]) as local:\n"
        "    print(*local, flush=True); time.sleep(float(sys.argv[2]))\n"
        "    assert all(len(open(path, 'rb').read()) == 100_000 for path in local)\n"
    )
    command = [sys.executable, "-c", code, str(scratch), str(seconds), *map(str, plates)]
    env = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, text=True, stdout=pipe, stderr=pipe)


def test_copies_in_order_and_cleans_up(plates, scratch):
    with stage(plates, str(scratch)) as local:
        assert [Path(path).read_bytes() for path in local] == [p.read_bytes() for p in plates]
        assert all(path.startswith(str(scratch)) for path in local)
        assert len(set(local)) == 3  # the same name in two folders is two files
        for source, copy in zip(plates, local, strict=True):
            assert os.path.basename(copy) == source.name
            assert os.stat(copy).st_mtime_ns == source.stat().st_mtime_ns
    assert [path.name for path in scratch.rglob("*")] == [f"cellshuffle-{os.getuid()}"]


def test_without_scratch_nothing_is_copied(plates):
    with stage(plates, None) as local:
        assert local == [str(path) for path in plates]


def test_cleans_up_after_an_error(plates, scratch):
    with pytest.raises(KeyboardInterrupt), stage(plates, str(scratch)):
        raise KeyboardInterrupt
    assert leftovers(scratch) == []


def test_second_user_shares_the_copy_and_the_last_one_removes_it(plates, scratch):
    with stage(plates, str(scratch)) as first:
        made = [os.stat(path).st_ino for path in first]
        with stage(plates, str(scratch)) as second:
            assert second == first
            assert [os.stat(path).st_ino for path in second] == made
        assert all(map(os.path.exists, first))  # the first user is still there
    assert leftovers(scratch) == []


@pytest.mark.parametrize("change", ["size", "time"])
def test_stale_copy_of_a_killed_job_is_replaced(plates, scratch, change):
    process = user(plates, scratch, 60)
    copy = process.stdout.readline().split()[0]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert os.path.exists(copy)  # nobody was left to remove it
    if change == "size":
        plates[0].write_bytes(b"new")
    else:
        plates[0].write_bytes(b"x" * 100_000)
        os.utime(plates[0], ns=(0, 0))
    with stage(plates, str(scratch)) as local:
        assert Path(local[0]).read_bytes() == plates[0].read_bytes()
    assert leftovers(scratch) == []


def test_copy_of_a_killed_job_serves_the_next(plates, scratch):
    process = user(plates, scratch, 60)
    copy = process.stdout.readline().split()[0]
    made = os.stat(copy).st_ino
    process.kill()
    process.communicate()
    with stage(plates, str(scratch)) as local:
        assert local[0] == copy
        assert os.stat(copy).st_ino == made
    assert leftovers(scratch) == []


def test_many_jobs_at_once_copy_once_and_leave_nothing(plates, scratch):
    with stage(plates, str(scratch)):  # everybody overlaps with this one
        users = [user(plates, scratch, 0.05 * i) for i in range(4)]
        results = [process.communicate(timeout=60) for process in users]
        assert [process.returncode for process in users] == [0] * 4, results
        assert not any("copying" in stderr for _, stderr in results)
    users = [user(plates, scratch, 0.5) for _ in range(4)]
    results = [process.communicate(timeout=60) for process in users]
    assert [process.returncode for process in users] == [0] * 4, results
    assert leftovers(scratch) == []


def test_waits_for_a_copy_under_way(plates, scratch, monkeypatch):
    copy, copied = staging._copy, []

    def slow_copy(source, target):
        other = user([source], scratch, 0)
        time.sleep(0.5)
        assert other.poll() is None
        copied.append(other)
        copy(source, target)

    monkeypatch.setattr(staging, "_copy", slow_copy)
    with stage(plates[:1], str(scratch)):
        _, stderr = copied[0].communicate(timeout=60)
        assert (copied[0].returncode, stderr) == (0, "")
    assert leftovers(scratch) == []


def test_too_little_space_is_one_clear_line(plates, scratch, monkeypatch):
    usage = namedtuple("usage", "total used free")(100, 100, 10)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=r"0\.0 GB free.*leave atlas\.scratch out"):
        stage(plates, str(scratch)).__enter__()
    assert leftovers(scratch) == []


def test_disk_full_while_copying_leaves_nothing(plates, scratch, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.shutil, "copyfile", full)
    with pytest.raises(InputError, match="No space left"):
        stage(plates, str(scratch)).__enter__()
    assert [path for path in leftovers(scratch) if path.suffix != ".lock"] == []


@pytest.mark.parametrize("where", ["/no/such/folder", "$NO_SUCH_VARIABLE"])
def test_wrong_folder_is_named(plates, where):
    with pytest.raises(InputError, match=r"atlas\.scratch"):
        stage(plates, where).__enter__()
