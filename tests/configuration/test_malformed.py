"""Malformed configurations: each ends in a line that says what is wrong, before anything is made."""

import pytest
from runs import SOUND, fails, merged

# What is changed in the configuration, and what the message says.
CONFIGURATIONS = {
    "unknown key": ({"strategy": {}}, ["unknown key 'strategy'", "'strategies'"]),
    "unknown atlas key": ({"atlas": {"train_plate": [1]}}, ["atlas", "'train_plates'"]),
    "wrong type": ({"training": {"epochs": "ten"}}, ["training: epochs", "a whole number"]),
    "no plates": ({"atlas": {"train_plates": []}}, ["atlas: train_plates: must not be empty"]),
    "no test plates": ({"atlas": {"test_plates": ...}}, ["'test_plates' is missing"]),
    "plate twice": ({"atlas": {"train_plates": [1, 1]}}, ["the same entry twice"]),
    "plate twice, as text": ({"atlas": {"train_plates": [1, "1"]}}, ["has the same plate twice"]),
    "plate in both splits": ({"atlas": {"test_plates": [2]}}, ["plate 2", "belongs to one"]),
    "plate is a path": ({"atlas": {"train_plates": ["../1"]}}, ["plate '../1' is not allowed"]),
    "no placeholder": ({"atlas": {"plate_file": "p.h5ad"}}, ["must contain {plate}"]),
    "odd placeholder": ({"atlas": {"plate_file": "{plate}{x}.h5ad"}}, ["a placeholder other"]),
    "no atlas": ({"atlas": ...}, ["'atlas' is missing"]),
    "atlas is a list": ({"atlas": [1]}, ["atlas", "a mapping of keys"]),
    "no tasks": ({"tasks": {"drug": ..., "moa": ...}}, ["tasks: must not be empty"]),
    "task without column": ({"tasks": {"drug": {"column": ...}}}, ["drug: 'column' is missing"]),
    "lookup without table": (
        {"tasks": {"moa": {"lookup": {"table": ...}}}},
        ["tasks: moa: lookup: 'table' is missing"],
    ),
    "task named like a path": ({"tasks": {"a/b": {"column": "drug"}}}, ["'a/b' is not allowed"]),
    "run named like a path": ({"run": "../elsewhere"}, ["'../elsewhere' is not allowed"]),
    "strategy with shell words": (
        {"strategies": {"a;touch b": {"sampler": "Streaming"}}},
        ["'a;touch b' is not allowed"],
    ),
    "no sampler": ({"strategies": {"mine": {"block_size": 4}}}, ["mine: 'sampler' is missing"]),
    "unknown sampler": ({"strategies": {"mine": {"sampler": "Magic"}}}, ["not one of Streaming"]),
    "no block size": (
        {"strategies": {"mine": {"sampler": "BlockShuffling"}}},
        ["mine: 'block_size' is missing"],
    ),
    "block size 0": (
        {"strategies": {"mine": {"sampler": "BlockShuffling", "block_size": 0}}},
        ["mine: block_size: 0 must be at least 1"],
    ),
    "key of another sampler": (
        {"strategies": {"mine": {"sampler": "Streaming", "block_size": 4}}},
        ["mine: unknown key 'block_size'"],
    ),
    "rounds without size": (
        {"strategies": {"mine": {"sampler": "BlockWeightedSampling", "block_size": 1, "replace": False}}},
        ["mine: replace: false needs sampling_size"],
    ),
    "braces in a path": ({"atlas": {"dir": "my{atlas}"}}, ["'my{atlas}' holds braces"]),
    "line break in a name": ({"run": "bad\n"}, ["line break"]),
    "nothing balanced": ({"weights": {"balance": []}}, ["weights: balance: must not be empty"]),
    "balanced label named like a column of the table": (
        {"weights": {"balance": ["drug", "count"]}},
        ["weights: balance: 'count' is a column of its own"],
    ),
    "no seeds": ({"training": {"seeds": []}}, ["training: seeds: must not be empty"]),
    "negative seed": ({"training": {"seeds": [-1]}}, ["-1 must be at least 0"]),
    "learning rate 0": ({"training": {"learning_rate": 0}}, ["0 must be above 0"]),
    "unknown transform": ({"training": {"transform": "sqrt"}}, ["'sqrt' is not one of none"]),
    "split and test plates": (
        {"atlas": {"split": {"fraction": 0.5}}},
        ["`split` divides the train plates"],
    ),
    "selection without packing": (
        {"atlas": {"pack": False, "genes": "genes.txt"}},
        ["genes acts while packing"],
    ),
    "one list without packing": (
        {"atlas": {"pack": False, "align": "union", "gene_column": "symbol"}},
        ["align acts while packing, so it needs pack: true", "gene_column acts while packing"],
    ),
    "two lists of genes": (
        {"atlas": {"genes": "genes.txt", "align": "genes.txt"}},
        ["atlas: genes keeps genes that all plates have"],
    ),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_malformed_configuration(tmp_path, case):
    changes, words = CONFIGURATIONS[case]
    fails(["error: ", *words], tmp_path, merged(SOUND, changes), "--dry-run")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("atlas: {dir: [", ["Config file"]),
        ("- 1\n- 2\n", ["Config file"]),
        ("run: a\nrun: b\n", ["config.yaml: 'run' is given 2 times"]),
        ("run: !!python/object/apply:os.system ['touch pwned']\n", ["Config file"]),
    ],
    ids=["broken YAML", "a list", "a key twice", "YAML that runs a command"],
)
def test_configuration_that_is_none(tmp_path, text, words):
    fails(words, tmp_path, text, "--dry-run")
    assert not (tmp_path / "pwned").exists() and not (tmp_path / "results").exists()
