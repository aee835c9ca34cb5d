"""Tables, scores and predictions of the run itself, spoilt: one line that names the file and what to do."""

import json

import numpy as np
import pytest
from cellshuffle.analysis.comparison import METRICS, METRICS_COLUMNS, gather, read_predictions, read_table
from cellshuffle.analysis.verification import trainings
from cellshuffle.errors import InputError
from cellshuffle.files import save_npz

SCORES = {"strategy": "s", "seed": 0, "scores": {"drug": dict.fromkeys(METRICS, 0.5)}, "fingerprint": "f"}
TABLE = "strategy,seed,task,metric,value\ns,0,drug,loss,0.5\n"


def refused(reader, path, *arguments):
    with pytest.raises(InputError) as told:
        reader(path, *arguments)
    line = str(told.value)
    assert str(path) in line and "delete it to make it again" in line and "\n" not in line
    return line


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\x80\x03\xff\x00\x01",
        b"\x89HDF\r\n\x1a\n\0\0",
        TABLE.splitlines()[0].encode(),
        TABLE.replace("value", "other").encode(),
        TABLE.replace("0.5", "half").encode(),
        TABLE.replace("0.5", "").encode(),
        TABLE.replace("0.5", "inf").encode(),
        TABLE.replace("0.5", "0.5,1,2,3,4").encode() + b"a,b\n1,2,3,4,5,6,7,8,9,10,11,12,13\n",
    ],
)
def test_tables(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.write_text(TABLE)
    assert len(read_table(path, METRICS_COLUMNS)) == 1
    path.write_bytes(content)
    refused(read_table, path, METRICS_COLUMNS)


@pytest.mark.parametrize(
    "value",
    [[], {}, 3, "text", None, SCORES | {"scores": []}, SCORES | {"scores": {"drug": {}}},
     SCORES | {"scores": {"drug": dict.fromkeys(METRICS, "x")}}, {"scores": SCORES["scores"]}],
)  # fmt: skip
def test_scores(tmp_path, value):
    path = tmp_path / "train/s/seed0/metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(SCORES))
    assert len(gather([path], ["f"])) == len(METRICS)
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="delete it to make it again") as told:
        gather([path])
    assert str(path) in str(told.value)
    if not (isinstance(value, dict) and "seed" in value):
        refused(lambda path: trainings(tmp_path), path)


def test_scores_of_another_recipe(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(SCORES))
    with pytest.raises(InputError, match=r"made by other settings or other code.*delete it to make it again"):
        gather([tmp_path / "metrics.json"], ["g"])


SOUND = {
    "tasks": np.array(["drug"]),
    "classes_drug": np.array(["a", "b"]),
    "truth": np.array([[0], [1]]),
    "prediction": np.array([[1], [1]]),
}


@pytest.mark.parametrize(
    "changes",
    [
        {"truth": np.array([[0], [2]])},
        {"prediction": np.array([[0], [-1]])},
        {"prediction": np.array([[0.0], [1.0]])},
        {"prediction": np.array([[0]])},
        {"truth": np.array([0, 1])},
        {"tasks": np.array(["line"])},
        {"tasks": np.array(0)},
    ],
)
def test_predictions(tmp_path, changes):
    path = tmp_path / "predictions.npz"
    save_npz(path, **SOUND)
    assert read_predictions(path)[0] == ["drug"]
    save_npz(path, **(SOUND | changes))
    refused(read_predictions, path)
