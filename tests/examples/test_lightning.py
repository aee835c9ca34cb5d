"""Lightning over the loader: one and two processes, stopped and gone on with, against an undisturbed one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
import train_lightning

EXAMPLES = Path(train_lightning.__file__).parent
N_CELLS, BATCH_SIZE = 4500, 64


class Killed(Exception):
    pass


class Record(lightning.Callback):
    """Writes down epoch and cells of every minibatch, and the loss; stops after a step, if one is given."""

    def __init__(self, stop=None):
        self.stop, self.seen, self.losses = stop, [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.seen.append((trainer.current_epoch, batch.cells.tolist()))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))
        if trainer.global_step == self.stop:
            raise Killed


@pytest.fixture(scope="module")
def undisturbed(plates, tmp_path_factory):
    record = Record()
    model, _ = train_lightning.train(plates, tmp_path_factory.mktemp("undisturbed"), callbacks=[record])
    return model, record


def test_every_cell_in_another_order_and_the_loss_falls(undisturbed):
    _, record = undisturbed
    epochs = [np.concatenate([cells for e, cells in record.seen if e == epoch]) for epoch in range(3)]
    for cells in epochs:
        assert len(np.unique(cells)) == len(cells) == N_CELLS // BATCH_SIZE * BATCH_SIZE
    assert not (epochs[0] == epochs[1]).all()
    assert np.mean(record.losses[-20:]) < 0.5 * np.mean(record.losses[:20])


@pytest.mark.parametrize(
    ("every", "stop", "resumed_at"),
    [(50, 60, 50), (50, 130, 100), (70, 75, 70), (None, 75, 70)],
    ids=["mid-epoch", "second epoch", "last step of an epoch", "end of an epoch"],
)
def test_gone_on_with_from_a_checkpoint(undisturbed, plates, tmp_path, every, stop, resumed_at):
    model, whole = undisturbed
    first, second = Record(stop), Record()
    with pytest.raises(Killed):
        train_lightning.train(plates, tmp_path, every=every, callbacks=[first])
    again, trainer = train_lightning.train(plates, tmp_path, every=every, callbacks=[second])
    assert first.seen == whole.seen[:stop] and second.seen == whole.seen[resumed_at:]
    assert trainer.global_step == len(whole.seen)
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


# Lightning starts the program again for the second process.
TWO = """
import json, os, sys
import train_lightning
from test_lightning import Killed, Record
folder, stop, *plates = sys.argv[1:]
record = Record(int(stop) or None)
try:
    model, trainer = train_lightning.train(plates, folder, 2, max_epochs=2, every=20, callbacks=[record])
except Killed:
    os._exit(3)
weights = [p.tolist() for p in model.parameters()]
with open(f"{folder}/{stop}-{trainer.global_rank}.json", "w") as file:
    json.dump({"seen": record.seen, "weights": weights}, file)
"""


def test_two_processes(plates, tmp_path):
    (tmp_path / "two.py").write_text(TWO)

    def run(folder, stop=0):
        environment = os.environ | {"PYTHONPATH": f"{EXAMPLES}:{Path(__file__).parent}"}
        command = [sys.executable, "two.py", folder, str(stop), *map(str, plates)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False, timeout=100
        )
        assert done.returncode == (3 if stop else 0), done.stderr
        if not stop:
            return [json.loads((tmp_path / folder / f"0-{rank}.json").read_text()) for rank in (0, 1)]

    one, other = run("whole")
    assert one["weights"] == other["weights"] and len(one["seen"]) == len(other["seen"])
    for epoch in (0, 1):
        cells = [cell for rank in (one, other) for e, part in rank["seen"] if e == epoch for cell in part]
        assert len(set(cells)) == len(cells) > 0.85 * N_CELLS
    run("stopped", stop=27)
    for resumed, whole in zip(run("stopped"), (one, other), strict=True):
        assert resumed["seen"] == whole["seen"][20:] and resumed["weights"] == whole["weights"]


def test_as_a_program(plates, tmp_path):
    command = [sys.executable, EXAMPLES / "train_lightning.py", *plates]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "process 0: 210 steps" in done.stdout, done.stdout + done.stderr
