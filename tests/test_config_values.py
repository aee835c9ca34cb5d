"""Values of a configuration that YAML or a slip of the pen makes something else than was meant."""

import os

import pytest
import yaml
from cellshuffle import configuration
from conftest import REPOSITORY, SMALL, merged

SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())


def problems(changes):
    """Everything that is wrong with the small configuration once it is changed."""
    config = merged(SMALL, changes)
    found = configuration.schema_problems(config, SCHEMA)
    if not found:
        configuration.fill_defaults(config, SCHEMA)
        found = list(configuration.sense_problems(config))
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
        ({"training": {"learning_rate": "1e-4"}}, "'1e-4' is not a number; write 1.0e-4"),
        ({"strategies": {"b": {"sampler": "BlockShuffling", "block_size": 4.0}}}, "4.0 is not a whole"),
        ({"atlas": {"train_plates": [1.0]}}, "atlas: train_plates: 0: 1.0 is not"),
        ({"atlas": {"plate_file": "p{plate}{plate.x}.h5ad"}}, "a placeholder other than {plate}"),
        ({"atlas": {"plate_file": "p{plate[a]}.h5ad"}}, "a placeholder other than {plate}"),
        ({"atlas": {"packed_dir": "data/small/"}}, "data/small/ is the folder of the published plates"),
        ({"atlas": {"packed_dir": os.path.abspath("data/small")}}, "is the folder of the published plates"),
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
    ],
)
def test_is_taken(changes):
    assert problems(changes) == []
