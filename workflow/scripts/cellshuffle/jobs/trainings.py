"""Which of the run's trainings this one is, and how long all of them will still take."""

import re
import time
from pathlib import Path

from cellshuffle.jobs.messages import trainings_list
from cellshuffle.phrasing import duration

# What a training says of its progress, and at the end of an epoch, with scores (training/loop.py).
EPOCH_LINE = re.compile(r".*, epoch (?P<epoch>\d+) of (?P<epochs>\d+): (?P<scores>.*macro F1)?")
PAUSE = 30  # seconds between two of these lines on the terminal; the log has all of them


class TrainingLines:
    """Lines of a training for the terminal: fewer, and with what they mean for the whole run.

    Of the lines about an epoch one is shown in PAUSE seconds, and the last. Without the list that a run on
    one machine keeps (messages.announce_trainings) nothing is known of the other trainings, and nothing said.
    metrics: path of this training's metrics.json, results/<run>/train/<strategy>/seed<k>/ or
    train_linear/ in its place.
    """

    def __init__(self, metrics):
        self.list = trainings_list(Path(metrics).parents[3])
        self.shown_at = dict.fromkeys((True, False), time.monotonic())
        self.number = None
        if self.list.exists():
            with open(self.list, "a", encoding="utf-8") as file:  # so short a line is appended whole
                file.write(f"{time.time():.1f} {metrics}\n")
            self.number = 1 + [path for _, path in self._begun()[1]].index(str(metrics))

    def _begun(self):
        """(trainings of the run, [(seconds, path of metrics.json) of each that has begun])."""
        first, *lines = self.list.read_text(encoding="utf-8").splitlines()
        parts = (line.partition(" ") for line in lines)
        return int(first.split()[0]), [(float(began), path) for began, _, path in parts]

    def shown(self, line):
        """The line as the terminal shows it; None where it is not shown."""
        match = EPOCH_LINE.match(line)
        if not match:
            return line
        scores, epoch, epochs = bool(match["scores"]), int(match["epoch"]), int(match["epochs"])
        now = time.monotonic()
        if not (scores and epoch == epochs) and now - self.shown_at[scores] < PAUSE:
            return None
        self.shown_at[scores] = now
        return f"{line}; {self._whole_run((epoch - (not scores)) / epochs)}" if self.number else line

    def _whole_run(self, share):
        """`training 7 of 18, about 40 s left`; share: of this training that is done."""
        total, begun = self._begun()
        done = sum(_is_done(began, path) for began, path in begun)
        others = len(begun) - done - 1  # half done, for all that is known
        trained = done + share + others / 2
        words = f"training {self.number} of {total}"
        if not 0 < trained < total:
            return words
        left = (time.time() - begun[0][0]) * (total - trained) / trained
        return f"{words}, about {duration(left)} left"


def _is_done(began, metrics):
    """Whether a training that began at a time has ended."""
    try:
        return Path(metrics).stat().st_mtime >= began
    except FileNotFoundError:
        return False
