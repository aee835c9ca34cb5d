"""Files of the run itself, spoilt: one line that names the file and says how to have it made again."""

import numpy as np
import pytest
from cellshuffle.errors import InputError
from cellshuffle.files import write_json
from cellshuffle.labels.stored import load_classes, load_labels, load_weights

CLASSES = {"line": ["a", "b"], "drug": ["x", "y", "z"]}
CODES = np.array([[0, 0], [1, 2], [0, 1]], np.uint16)


def refused(reader, path, *arguments, words=""):
    with pytest.raises(InputError) as told:
        reader(path, *arguments)
    line = str(told.value)
    assert line.startswith(f"{path}: ") and "delete it to make it again" in line and words in line
    assert "\n" not in line


def test_sound_files_are_read(tmp_path):
    write_json(tmp_path / "classes.json", CLASSES)
    np.save(tmp_path / "train.npy", CODES)
    np.save(tmp_path / "cells.npy", np.array([0.5, 1e-9, 3.0]))
    assert load_classes(tmp_path / "classes.json") == CLASSES
    assert (load_labels(tmp_path / "train.npy", CLASSES, 3) == CODES).all()
    assert (load_weights(tmp_path / "cells.npy", 3) == [0.5, 1e-9, 3.0]).all()


@pytest.mark.parametrize(
    "value", [[], {}, "text", 3, None, {"line": "ab"}, {"line": []}, {"line": [1, 2]}, {"line": ["a", "a"]}]
)
def test_class_names(tmp_path, value):
    write_json(tmp_path / "classes.json", value)
    refused(load_classes, tmp_path / "classes.json")


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (CODES.astype(float), "holds float64, not whole numbers"),
        (CODES > 0, "holds bool"),
        (CODES[:2], "has the shape (2, 2), but the plates have 3 cells"),
        (CODES[:, :1], "the configuration has 2 tasks"),
        (CODES[:, 0], "has the shape (3,)"),
        (CODES[None], "has the shape (1, 3, 2)"),
        (
            CODES + np.array([[0, 0], [0, 1], [0, 0]]),
            "cell 1 has code 3 for task 'drug', which has 3 classes",
        ),
        (CODES.astype(int) - np.array([[0, 0], [0, 0], [1, 0]]), "cell 2 has code -1 for task 'line'"),
        (np.array(["a"]), "not whole numbers"),
    ],
)
def test_labels(tmp_path, codes, words):
    np.save(tmp_path / "train.npy", codes)
    refused(load_labels, tmp_path / "train.npy", CLASSES, 3, words=words)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, np.nan, 1.0], "cell 1 has the weight nan"),
        ([np.inf, 1.0, 1.0], "cell 0 has the weight inf"),
        ([1.0, 1.0, -2.0], "cell 2 has the weight -2.0"),
        ([1.0, 0.0, 1.0], "cell 1 has the weight 0.0"),
        ([1.0, 1.0], "not 3 real numbers"),
        ([1, 2, 3], "has int64"),
        ([[1.0], [1.0], [1.0]], "shape (3, 1)"),
    ],
)
def test_weights(tmp_path, weights, words):
    np.save(tmp_path / "cells.npy", np.array(weights))
    refused(load_weights, tmp_path / "cells.npy", 3, words=words)
