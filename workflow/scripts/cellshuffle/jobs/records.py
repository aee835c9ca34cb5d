"""What each job of a run made, and from what: a small JSON file a job, results/<run>/made/<job>.json.

It holds the job's wildcards, the fingerprint of all that decides the files that it makes, and the SHA-256 of
each of them. So a result of another configuration, or of other code, is made again though Snakemake has
forgotten how it was made; and a file that no job made, or that a person has edited, is not overwritten.
"""

import csv
import hashlib
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from cellshuffle.errors import InputError
from cellshuffle.files import read_json, sha256, write_json

# Columns of history.csv that differ between two runs; the rest of the file is what makes it ours.
TIMINGS = {
    "train_seconds",
    "cells_per_second",
    "wait_seconds",
    "epoch_seconds",
    "test_seconds",
    "peak_memory_mib",
}

KILLED = None  # instead of the SHA-256 of a file: its job has begun and not yet ended
DAMAGED = (OSError, InputError, KeyError, TypeError, AttributeError)  # what a record may turn out to be


def record_path(log):
    """(run's folder, path of a job's record), from the path of its log; (None, None) for any other log."""
    run, found, name = str(log).rpartition("/logs/")
    return (run, f"{run}/made/{name.removesuffix('.log')}.json") if found else (None, None)


@contextmanager
def recorded(snakemake):
    """Write that a job is about to make its files, and then what they are.

    So those that it leaves when it is killed are known as ours. A job that fails before it has made any
    leaves no record.
    """
    run, path = record_path(snakemake.log[0]) if snakemake.log else (None, None)
    files = own_files(snakemake.output or snakemake.params.get("writes", []), run)
    if not files:
        yield
        return
    record = {
        "wildcards": dict(snakemake.wildcards.items()),
        "fingerprint": snakemake.params.get("fingerprint"),
    }
    write_json(path, record | {"files": dict.fromkeys(files, KILLED)})
    try:
        yield
    except BaseException:
        if not any(map(os.path.exists, files.values())):
            Path(path).unlink(missing_ok=True)
        raise
    write_json(path, record | {"files": {name: digest(file) for name, file in files.items()}})


def own_files(outputs, run):
    """{path in the run's folder: path} of outputs there; plates say themselves what they are."""
    paths = map(str, outputs if run else [])
    inside = [path for path in paths if path.startswith(f"{run}/") and not path.endswith(".h5ad")]
    return {path.removeprefix(f"{run}/"): path for path in inside}


def digest(path):
    """SHA-256 of a file; of history.csv without the columns of timings."""
    if Path(path).name != "history.csv":
        return sha256(path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = [{k: v for k, v in row.items() if k not in TIMINGS} for row in csv.DictReader(file)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def outdated(run, fingerprint_of):
    """Files of a run whose records have another fingerprint than they would get now, or are of a killed job.

    fingerprint_of(rule, wildcards): what it would be; None for a job that the configuration does not have.
    """
    folder = Path(run, "made")
    for path in sorted(folder.rglob("*.json")):
        rule = path.relative_to(folder).parts[0].removesuffix(".json")
        with suppress(*DAMAGED):
            record = read_json(path)
            changed = fingerprint_of(rule, record["wildcards"]) not in (None, record["fingerprint"])
            if changed or KILLED in record["files"].values():
                yield from (f"{run}/{name}" for name in record["files"])


def is_made_by(path, fingerprint):
    """Whether a metrics.json, where there is one that can be read, says that this recipe made it."""
    try:
        return read_json(path)["fingerprint"] == fingerprint
    except (FileNotFoundError, InputError):
        return True  # whoever reads it will say what is wrong with it
    except DAMAGED:
        return False


def not_made_here(outputs, log):
    """Those of a job's outputs in the run's folder that are there, but not as a job of the run made them."""
    run, path = record_path(log)
    there = {name: file for name, file in own_files(outputs, run).items() if os.path.exists(file)}
    try:
        made = read_json(path)["files"] if there else {}
        return [file for name, file in there.items() if made[name] not in (KILLED, digest(file))]
    except DAMAGED:
        return list(there.values())
