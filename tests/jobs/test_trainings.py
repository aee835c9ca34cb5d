"""What the lines of a training say of the whole run, and that there are few of them."""

import io
import re

import pytest
from cellshuffle.jobs import trainings
from cellshuffle.jobs.messages import announce_trainings
from cellshuffle.jobs.run import _Tee
from cellshuffle.jobs.trainings import TrainingLines

SCORES = "streaming seed {}, epoch {} of 10: 18,218 cells/s, macro F1 cell_line 0.625"


@pytest.fixture
def run(tmp_path):
    """Folder of a run of four trainings."""
    announce_trainings(tmp_path, 4)
    return tmp_path


def begin(run, seed):
    folder = run / f"train/streaming/seed{seed}"
    folder.mkdir(parents=True)
    return TrainingLines(str(folder / "metrics.json"))


def test_the_last_epoch_is_shown_with_number_and_time_left(run):
    for seed in range(2):
        lines = begin(run, seed)
        assert [lines.shown(SCORES.format(seed, epoch)) for epoch in range(1, 10)] == [None] * 9
        shown = lines.shown(SCORES.format(seed, 10))
        assert re.fullmatch(rf".* 0.625; training {seed + 1} of 4, about [\d.e-]+ s left", shown)
        (run / f"train/streaming/seed{seed}/metrics.json").write_text("{}")
    assert lines.shown("error: the disk is full") == "error: the disk is full"


def test_time_left_is_what_the_others_will_take(run, monkeypatch):
    now = trainings.time.time()
    first = begin(run, 0)
    monkeypatch.setattr(trainings.time, "time", lambda: now + 60)
    assert first.shown(SCORES.format(0, 10)).endswith("training 1 of 4, about 3 min left")


def test_long_trainings_speak_now_and_then(run, monkeypatch):
    lines = begin(run, 0)
    clock = trainings.time.monotonic()
    bar = "streaming seed 0, epoch 1 of 10: 34% of 1M cells, 20k cells/s, 00:30 left"
    shown = []
    for seconds in range(0, 100, 10):
        monkeypatch.setattr(trainings.time, "monotonic", lambda seconds=seconds: clock + seconds)
        shown.append(lines.shown(bar))
    assert [line is not None for line in shown].count(True) == 3
    monkeypatch.setattr(trainings.time, "monotonic", lambda: clock + 101)
    assert lines.shown(SCORES.format(0, 1)) is not None  # scores are not held back by the bar


def test_without_the_list_nothing_is_said_of_others(run):
    announce_trainings(run, 0)
    assert begin(run, 0).shown(SCORES.format(0, 10)) == SCORES.format(0, 10)


def test_a_line_reaches_terminal_and_log_in_one_piece():
    class Stream(io.StringIO):
        def __init__(self):
            super().__init__()
            self.writes = []

        def write(self, text):
            self.writes.append(text)

    terminal, log = Stream(), Stream()
    tee = _Tee(terminal, log)
    tee.shown = lambda line: None if line == "hidden" else line
    for text in ("be", "gun", "\n", "\r   \r", "bar: 1%\n", "hidden\n", "end"):
        tee.write(text)
    tee.close()
    assert terminal.writes == ["begun\n", "bar: 1%\n", "end\n"]
    assert log.writes == ["begun\n", "bar: 1%\n", "hidden\n", "end\n"]
    _Tee(None, log).write("no terminal\n")  # it was closed before the start
