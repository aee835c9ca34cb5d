"""What a run says when it starts, ends and fails, in a person's words."""

from collections import Counter
from pathlib import Path

from cellshuffle.console import STARTED_AGAIN
from cellshuffle.phrasing import join_words

# Rules as work, in the order in which it is done; the others are tables and figures.
WORK = {
    "simulate_plate": ("plate to simulate", "plates to simulate"),
    "pack_plate": ("plate to pack", "plates to pack"),
    "train": ("training", "trainings"),
}

SHOWN = 3  # failed jobs whose story is told at the end; the same fault often stops many


def start_lines(run, config, n_plates, n_cells, rules):
    """What is about to happen. n_cells: None where unknown; rules: of every job that will run."""
    strategies, seeds = len(config["strategies"]), len(config["training"]["seeds"])
    cells = "" if n_cells is None else f", {n_cells:,} cells"
    yield (
        f"cellshuffle, run {config['run']}: {_many(n_plates, 'plate')}{cells}, "
        f"{_many(strategies, 'strategy', 'strategies')} with {_many(seeds, 'seed')}"
    )
    count = Counter(rule.removeprefix("cellshuffle_") for rule in rules)
    work = [f"{count[rule]} {words[count[rule] > 1]}" for rule, words in WORK.items() if count[rule]]
    if set(count) - set(WORK):
        work.append("labels, weights, tables and figures" if work else "tables and figures")
    yield f"to do: {join_words(work)}"
    yield f"logs: {run}/logs/, one a job"


def end_lines(run):
    """Where the results are."""
    for name, words in (("comparison.md", "table"), ("figures", "figures")):
        if (Path(run) / name).exists():
            yield f"{words:<9}{run}/{name}"
    yield f"report   snakemake --report {run}/report.html, with the same --configfile"
    yield f"logs     {run}/logs/"


def failure_lines(failed):
    """A line a failed job, with the one of its log that matters, and that log's path.

    failed: (rule, {wildcard: value}, path of the log or None) of every job that failed.
    """
    failed = sorted(failed, key=str)
    for rule, wildcards, path in failed[:SHOWN]:
        of = "".join(f", {name} {value}" for name, value in wildcards.items())
        reason = _reason(path)
        yield f"{rule}{of} failed: {reason or 'see above for what it said'}"
        if reason:
            yield f"its log: {path}"
    if len(failed) > SHOWN:
        yield f"and {len(failed) - SHOWN} more jobs failed"


def _reason(path):
    """The first `error: ...` line of a log's last attempt, else its last line; None without either."""
    if path is None or not Path(path).is_file():
        return None
    attempt = Path(path).read_text(errors="replace").rpartition(STARTED_AGAIN)[2]
    lines = [line.strip() for line in attempt.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if not errors:
        return lines[-1] if lines else None
    others = f" (and {len(errors) - 1} more, in its log)" if len(errors) > 1 else ""
    return errors[0] + others


def _many(number, one, several=None):
    return f"{number} {one if number == 1 else several or one + 's'}"
