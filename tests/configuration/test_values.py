"""Values of a configuration that YAML or a slip of the pen makes something else than was meant."""

import os

import pytest
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration.consistency import inconsistencies
from runs import SCHEMA, SMALL, merged


def problems(changes):
    """Everything that is wrong with the small configuration once it is changed."""
    config = merged(SMALL, changes)
    found = configuration.schema_problems(config, SCHEMA)
    if not found:
        configuration.fill_defaults(config, SCHEMA)
        found = list(inconsistencies(config))
    return found


STREAMING = {"sampler": "Streaming"}


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"tasks": {True: {"column": "drug"}}}, "tasks: the name True is not text to YAML; put it in quotes"),
        ({"tasks": {1: {"column": "drug"}}}, "tasks: the name 1 is not text to YAML; put it in quotes"),
        ({"strategies": {None: STREAMING}}, "strategies: the name None is not text to YAML"),
        ({"strategies": {False: STREAMING}}, "strategies: the name False is not text to YAML"),
        ({"training": {"batch_size": 64.0}}, "training: batch_size: 64.0 is not a whole number"),
        ({"training": {"seeds": [0.0]}}, "training: seeds: 0: 0.0 is not a whole number"),
        ({"training": {"epochs": True}}, "training: epochs: True is not a whole number"),
        ({"training": {"learning_rate": "1e-4"}}, "'1e-4' is not a number; it is text"),
        ({"strategies": {"b": {"sampler": "BlockShuffling", "block_size": 4.0}}}, "4.0 is not a whole"),
        ({"atlas": {"train_plates": [1.0]}}, "atlas: train_plates: 0: 1.0 is not"),
        ({"atlas": {"plate_file": "p{plate}{plate.x}.h5ad"}}, "a placeholder other than {plate}"),
        ({"atlas": {"plate_file": "p{plate[a]}.h5ad"}}, "a placeholder other than {plate}"),
        ({"atlas": {"packed_dir": "data/small/"}}, "data/small/ is the folder of the published plates"),
        ({"atlas": {"packed_dir": os.path.abspath("data/small")}}, "is the folder of the published plates"),
        ({"training": {"epochs": "2"}}, "'2' is not a whole number; it is text: leave out the quotes"),
        ({"training": {"seeds": [7, 2, 1007]}}, "seeds: 7 and 1007 would share orders of cells"),
        ({"atlas": {"dir": "a\0b"}}, "holds braces, a line break or a null"),
        ({"run": "r" * 101}, "run: 'rrrrrrrrrrrrrrrrrrrr...' is 101 letters long, at most 100"),
        ({"tasks": {"t" * 300: {"column": "drug"}}}, "is 300 letters long"),
        ({"training": {"batch_size": 10**7}}, "batch_size: 10000000 must be at most 1000000"),
        ({"strategies": {"b": {"sampler": "BlockShuffling", "block_size": 10**30}}}, "must be at most"),
        ({"atlas": {"scratch": "/tmp"}, "training": {"world_size": 2, "nodes": 2}}, "scratch is a folder"),
    ],
)  # fmt: skip
def test_is_told(changes, line):
    assert any(line in found for found in problems(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"atlas": {"test_plates": None, "split": {"fraction": 0.1, "seed": 0}}},
        {"tasks": {f"task_{k}": {"column": "drug"} for k in range(15)}},
        {"atlas": {"packed_dir": "data/small/packed"}},
        {"training": {"seeds": [0, 1000], "epochs": 1}},
    ],
)
def test_is_taken(changes):
    assert problems(changes) == []


@pytest.mark.parametrize("folder", ["results", "results/small", "my/packed"])
def test_a_file_where_a_folder_must_be(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / folder).touch()
    found = problems({"atlas": {"packed_dir": "my/packed"}})
    assert found == [f"{folder}: is a file, and must be a folder: the run writes into it; move it away"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("run: a\natlas: {dir: x}\n", []),
        ("run: a\nrun: b\nrun: a\n", ["'run' is given 3 times"]),
        ("a: {b: 1, c: [{d: 1, d: 2}]}\n", ["a: c: 0: 'd' is given 2 times"]),
        ('{"a": {"b": 1, "b": 2}}', ["a: 'b' is given 2 times"]),
        ('{\n\t"a": 1,\n\t"a": 2\n}', ["'a' is given 2 times"]),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}\n? [1, 2]\n: 3\n", []),
        ("", []),
    ],
)
def test_keys_given_twice(text, lines):
    assert list(configuration.repeated_keys(text)) == lines
