"""What a disk gives by itself of the reads that an order of cells asks for: the limit of loading from it."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import reference
from cellshuffle.loading.minibatches import fetch_order
from cellshuffle.loading.samplers import is_sequential, sampler_of
from cellshuffle.planning.disk import in_order, read_rate

DEPTHS = 32, 128, 512  # reads under way that are tried
MOST_BYTES = 2**27  # under way, since they take memory of the limited process
N_READS = 2**16  # of an order, that are repeated
N_BYTES = 2**31  # of the plates in order, that are repeated


class Recorder:
    """In place of a Queue: begins no read, but notes which were asked for."""

    def __init__(self):
        self.asked = []

    def submit(self, batch):
        lengths = batch.requests["n_bytes"].astype(np.int64)
        self.asked.append((batch.file, batch.requests["offset"], lengths))


def asked_for(plates, entry):
    """([(file, offsets, lengths)], cells): reads that the first fetches of an order ask for."""
    queue, n_cells, recorder = plates.plates[0].data.queue, 0, Recorder()
    sources = [source for plate in plates.plates for source in (plate.data, plate.indices)]
    for source in sources:
        source.queue = recorder
    for cells, _ in fetch_order(sampler_of(entry), len(plates), *reference.LOADING.values(), 1, 0):
        plates.fetch(cells)
        n_cells += len(cells)
        if sum(len(offsets) for _, offsets, _ in recorder.asked) >= N_READS:
            break
    for source in sources:
        source.queue = queue
    return recorder.asked, n_cells


def large_reads(plates):
    """As `asked_for`, of plain reads of 1 MB, one file after the other."""
    files = [plate.data.file for plate in plates.plates]
    n_bytes = sum(plate.data.file_size for plate in plates.plates)
    asked, left = [], min(N_BYTES, n_bytes)
    for part in in_order(files):
        if left <= 0:
            break
        asked.append(part)
        left -= int(part[2].sum())
    return asked, len(plates) * min(N_BYTES, n_bytes) / n_bytes


class Disk:
    """The disk, asked for the same reads by fio and by a bare loop, in the way that it does best."""

    def __init__(self, plates, entry, folder):
        self.asked, self.n_cells = large_reads(plates) if is_sequential(entry) else asked_for(plates, entry)
        self.n_bytes = sum(int(lengths.sum()) for _, _, lengths in self.asked)
        self.log = Path(folder) / f"{len(list(Path(folder).iterdir()))}.log"
        self._write_log()
        ways = [self.by_loop] if shutil.which("fio") is None else [self.by_loop, self.by_fio]
        read_bytes = self.n_bytes / sum(len(lengths) for _, _, lengths in self.asked)
        depths = [depth for depth in DEPTHS if depth * read_bytes <= MOST_BYTES]
        rates = {(way, depth): way(depth) for way in ways for depth in depths}
        self.way, self.depth = max(rates, key=rates.get)
        self.tried = ", ".join(f"{way.__name__} {depth}: {rate:,.0f}" for (way, depth), rate in rates.items())

    def rate(self):
        """Cells/s of these reads."""
        return self.way(self.depth)

    def by_loop(self, depth):
        """Cells/s with `depth` reads under way, with which nothing is done."""
        return read_rate(self.asked, depth, np.inf)[1] * self.n_cells / self.n_bytes

    def by_fio(self, depth):
        """The same by fio."""
        options = {
            "name": "replay", "read_iolog": self.log, "replay_no_stall": 1, "direct": 1, "ioengine": "libaio",
            "iodepth": depth, "output-format": "json",
        }  # fmt: skip
        command = ["fio", *(f"--{name}={value}" for name, value in options.items())]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        read = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]["read"]
        return read["bw_bytes"] * self.n_cells / self.n_bytes

    def _write_log(self):
        names = {file.name for file, _, _ in self.asked}
        with open(self.log, "w", encoding="utf-8") as log:
            print("fio version 2 iolog", file=log)
            for name in names:
                print(f"{name} add\n{name} open", file=log)
            for file, offsets, lengths in self.asked:
                for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
                    print(f"{file.name} read {offset} {length}", file=log)
