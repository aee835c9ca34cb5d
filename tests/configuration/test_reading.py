"""Configuration files that are none, or more than they seem: one line each, and nothing of them is run."""

import subprocess
import sys

import pytest
from cellshuffle.configuration.reading import read_config
from cellshuffle.errors import InputError
from runs import LIBRARY, fails

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 9)
)
MAPPINGS = "a0: &a0 {a: 1, b: 1}\n" + "".join(
    f"a{k}: &a{k} {{a: *a{k - 1}, b: *a{k - 1}}}\n" for k in range(1, 30)
)
FILES = {
    "aliases nine wide, eight deep": (LAUGHS, "aliases unfold to more than 100,000 values"),
    "mappings of aliases": (MAPPINGS, "aliases unfold to more than 100,000 values"),
    "a list that holds itself": ("a: &a [1, *a]\n", "an alias holds itself"),
    "a mapping that holds itself": ("a: &a {b: *a}\n", "an alias holds itself"),
    "Python in the configuration": (
        "__use_yte__: true\nrun: ?open('pwned', 'w')\n",
        "`__use_yte__` would run",
    ),
    "a list": ("- 1\n", "holds no keys"),
    "nothing": ("", "holds no keys"),
    "broken": ("run: a\natlas: {dir: [\n", "line 3: not valid YAML: expected the node content"),
    "a tag": ("run: !!python/object/apply:os.system ['touch pwned']\n", "line 1: not valid YAML"),
    "nested without end": ("a: " + "[" * 3000, "nested too deeply"),
    "control characters": ("run: \x00\n", "not valid YAML"),
    "a date that is none": ("run: 2020-13-45\n", "not valid YAML: month"),
}


@pytest.mark.parametrize("case", FILES)
def test_one_line_says_why(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    text, words = FILES[case]
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        read_config("config.yaml")
    line = str(raised.value)
    assert line.startswith("config.yaml: ") and words in line and "\n" not in line
    assert not (tmp_path / "pwned").exists()


def test_what_is_no_text_file(tmp_path):
    (tmp_path / "utf16.yaml").write_text("run: a\n", encoding="utf-16")
    for name, words in (
        ("utf16.yaml", "not UTF-8"),
        ("nowhere.yaml", "there is no such file"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputError, match=words):
            read_config(tmp_path / name)


def test_ordinary_aliases_and_json(tmp_path):
    path = tmp_path / "config"
    path.write_text("a: &x {b: 1}\nc: {<<: *x, d: *x}\n")
    assert read_config(path) == {"a": {"b": 1}, "c": {"b": 1, "d": {"b": 1}}}
    path.write_text('{\n\t"run": "mine"\n}')
    assert read_config(path) == {"run": "mine"}


def test_the_command_says_where_results_go(tmp_path):
    (tmp_path / "config.yaml").write_text("run: mine\n")
    for name, code, words in (
        ("config.yaml", 0, "results/mine\n"),
        ("other.yaml", 1, "error: other.yaml: there"),
    ):
        command = [sys.executable, "-m", "cellshuffle.configuration.reading", name]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PYTHONPATH": str(LIBRARY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code and (done.stdout + done.stderr).startswith(words)


def test_snakemake_itself_refuses_them_too(tmp_path):
    """What it can read without end; `make` looks before Snakemake does."""
    fails(["aliases unfold to more than 100,000 values"], tmp_path, LAUGHS, "--dry-run")
    fails(["an alias holds itself"], tmp_path, "a: &a [1, *a]\n", "--dry-run")
