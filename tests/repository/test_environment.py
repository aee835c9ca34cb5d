"""The Python that `make` creates .venv with, among stand-ins that install nothing."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
from runs import REPOSITORY

MAKE = shutil.which("make")
# A Python of some version that records its calls. The environment it creates holds a pip that does the same.
STAND_IN = """#!/bin/sh
case "$*" in
    *ensurepip*) {ensurepip} && echo {version} ;;
    -c*) echo {version} ;;
    "-m venv --clear .venv")
        rm -rf .venv && mkdir -p .venv/bin && echo "$0" >> created && {venv} || exit 1
        echo 'echo "$@" >> installed' > .venv/bin/pip && chmod +x .venv/bin/pip && touch .venv/bin/activate ;;
    *) exit 2 ;;
esac
"""
BROKEN = '#!/bin/sh\necho "pyenv: $0: command not found" >&2\nexit 127\n'


@pytest.fixture
def computer(tmp_path, monkeypatch):
    """A clone on a machine without any Python, and what puts one there and calls make."""
    (tmp_path / "clone/envs").mkdir(parents=True)
    shutil.copy(REPOSITORY / "Makefile", tmp_path / "clone")
    shutil.copy(REPOSITORY / "envs/create_venv.sh", tmp_path / "clone/envs")
    (tmp_path / "clone/requirements.txt").touch()
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "grep", "touch", "mkdir", "chmod", "rm"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("PYTHON", "MAKEFLAGS", "MAKELEVEL"):  # of the `make test` that runs this
        monkeypatch.delenv(name, raising=False)

    def put(name, version=None, ensurepip="true", venv="true"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        content = STAND_IN.format(version=version, ensurepip=ensurepip, venv=venv)
        path.write_text(content if version else BROKEN)
        path.chmod(0o755)
        return path

    def make(*arguments, folder="clone"):
        command = [MAKE, "env", *arguments]
        return subprocess.run(command, cwd=tmp_path / folder, capture_output=True, text=True, check=False)

    return SimpleNamespace(put=put, make=make, folder=tmp_path / "clone")


def created_by(computer, *arguments):
    """Names of the Pythons that created environments when `make` was called, which says nothing of others."""
    done = computer.make(*arguments)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert (computer.folder / ".venv/.complete").exists()
    return [line.rsplit("/", 1)[1] for line in (computer.folder / "created").read_text().split("\n")[:-1]]


def refusal(computer, *arguments, folder="clone"):
    """The one line with which `make` refuses to create an environment; make's own is left out."""
    done = computer.make(*arguments, folder=folder)
    assert done.returncode != 0 and not done.stdout
    assert not (computer.folder / ".venv").exists()
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    return line


def test_the_newest_python_is_taken(computer):
    for version in ("3.11", "3.13", "3.12"):
        computer.put(f"python{version}", version)
    computer.put("python3", "3.11")
    assert created_by(computer) == ["python3.13"]
    assert (computer.folder / "installed").read_text() == "install --quiet --requirement requirements.txt\n"


@pytest.mark.parametrize("version", [None, "3.14", "3.9"])
def test_a_python_that_does_not_run_or_is_another_is_skipped(computer, version):
    computer.put("python3.13", version)
    computer.put("python3.12")
    computer.put("python3.11", "3.11")
    computer.put("python3", "3.12")
    assert created_by(computer) == ["python3.11"]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_python3_will_do_if_it_is_one_of_these(computer, version):
    computer.put("python3.13")
    computer.put("python3", version)
    assert created_by(computer) == ["python3"]


@pytest.mark.parametrize("version", ["3.9", "3.14", "3.1", None, "absent"])
def test_without_a_suitable_python_one_line_says_so(computer, version):
    if version != "absent":
        computer.put("python3", version)
    assert refusal(computer).startswith("no Python 3.11, 3.12 or 3.13 is on PATH: install one")


@pytest.mark.parametrize("name", ["python3.13", "python3"])
def test_without_ensurepip_one_line_names_the_package(computer, name):
    computer.put(name, "3.13", ensurepip="false")
    assert "apt install python3.13-venv" in refusal(computer)
    computer.put(name, "3.13")
    assert created_by(computer) == [name]


def test_a_named_python_wins(computer, monkeypatch):
    computer.put("python3.13", "3.13")
    path = computer.put("my 'own' (a & b)/python", "3.11")
    assert created_by(computer, f"PYTHON={path}") == ["python"]
    shutil.rmtree(computer.folder / ".venv")
    computer.put("python3.11", "3.11")
    monkeypatch.setenv("PYTHON", "python3.11")
    assert created_by(computer) == ["python", "python3.11"]


@pytest.mark.parametrize("version", ["3.9", "3.14", None, "absent"])
def test_a_named_python_that_is_not_suitable_is_refused(computer, version):
    computer.put("python3.13", "3.13")
    if version != "absent":
        computer.put("mine", version)
    assert refusal(computer, "PYTHON=mine") == "PYTHON=mine is not Python 3.11, 3.12 or 3.13"


def test_an_environment_keeps_its_python(computer):
    computer.put("python3.11", "3.11")
    assert created_by(computer) == ["python3.11"]
    computer.put("python3.13", "3.13")
    assert created_by(computer) == ["python3.11"]
    assert len((computer.folder / "installed").read_text().splitlines()) == 1
    (computer.folder / ".venv/.complete").unlink()  # as when requirements.txt is newer
    (computer.folder / ".venv/of the user").touch()
    assert created_by(computer) == ["python3.11"]
    assert len((computer.folder / "installed").read_text().splitlines()) == 2
    assert (computer.folder / ".venv/of the user").exists()


def test_a_half_made_environment_is_made_anew(computer):
    computer.put("python3.11", "3.11", venv="false")
    assert computer.make().returncode != 0
    assert (computer.folder / ".venv/bin").exists()
    (computer.folder / ".venv/bin/python").touch()
    computer.put("python3.12", "3.12")
    assert created_by(computer) == ["python3.11", "python3.12"]
    assert not (computer.folder / ".venv/bin/python").exists()


def test_a_folder_with_a_space_is_refused(computer):
    computer.put("python3.13", "3.13")
    computer.folder.rename(computer.folder.parent / "my clone")
    assert 'move the clone out of "' in refusal(computer, folder="my clone")
    assert not (computer.folder.parent / "my clone/.venv").exists()
