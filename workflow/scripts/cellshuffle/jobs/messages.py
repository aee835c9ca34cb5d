"""What a run says when it starts, ends and fails, in a person's words."""

import logging
import re
import sys
from collections import Counter
from pathlib import Path

from cellshuffle.console import STARTED_AGAIN
from cellshuffle.jobs.run import operating_system
from cellshuffle.phrasing import join_words

# Rules as work, in the order in which it is done.
WORK = {
    "simulate_plate": ("plate to simulate", "plates to simulate"),
    "simulate_parquet": ("atlas to simulate", "atlases to simulate"),
    "pack_plate": ("plate to pack", "plates to pack"),
    "train": ("training", "trainings"),
}

REST = {
    "labels": {"encode_labels"},
    "weights": {"weigh_cells"},
    "tables": {"diversity", "gather", "compare"},
    "figures": {"draw_figures", "draw_confusions", "summary"},
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
    count = Counter(rule.removeprefix("cellshuffle_").removesuffix("_linear") for rule in rules)
    work = [f"{count[rule]} {words[count[rule] > 1]}" for rule, words in WORK.items() if count[rule]]
    work += [words for words, rules in REST.items() if count.keys() & rules]
    yield f"to do: {join_words(work or ['the check of the input'])}"
    yield f"logs: {run}/logs/, one a job"


def end_lines(run, rules):
    """Where the results are; rules: all that had to be done, or was done before, for what was asked for."""
    rules = {rule.removeprefix("cellshuffle_") for rule in rules}
    if "compare" in rules:
        yield f"table    {run}/comparison.md"
    if "draw_figures" in rules:
        yield f"figures  {run}/figures/"
    if "summary" in rules:
        yield f"report   snakemake --report {run}/report.html, with the same --configfile"
    yield f"results  {run}/"
    yield f"logs     {run}/logs/"


def failure_lines(failed, seen=True):
    """A line a failed job, and the path of its log; seen: whether the job has printed its errors here.

    failed: (rule, {wildcard: value}, path of the log or None) of every job that failed. The errors are those
    in the log; a log without one is of a job that was killed, or that Snakemake failed afterwards.
    """
    failed = sorted(failed, key=str)
    for rule, wildcards, path in failed[:SHOWN]:
        of = "".join(f", {name} {value}" for name, value in wildcards.items())
        errors = _errors(path)
        if errors and not seen:
            others = f" (and {len(errors) - 1} more, in its log)" if len(errors) > 1 else ""
            yield f"{rule}{of} failed: {errors[0]}{others}"
        elif errors:
            yield f"{rule}{of} failed, for the reason above"
        else:
            yield (
                f"{rule}{of} failed without saying why: it was killed (this machine may be short of memory), "
                "or Snakemake found fault with its files; .snakemake/log/ has what Snakemake said"
            )
        if path is not None and Path(path).is_file():
            yield f"its log: {path}"
    if len(failed) > SHOWN:
        yield f"and {len(failed) - SHOWN} more jobs failed"


def _errors(path):
    """What the last attempt of a log says after `error: `, or the exception that ended it, in a list."""
    if path is None or not Path(path).is_file():
        return []
    attempt = Path(path).read_text(errors="replace").rpartition(STARTED_AGAIN)[2]
    lines = [line.strip() for line in attempt.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors or [line for line in lines[-1:] if re.match(r"\w*(Error|Exception|Interrupt)\b", line)]


JOBS_FAILED = "At least one job did not complete successfully"
LOCKED = (
    "another run is at work in this folder, on the same files; wait for its end, or stop it and start again "
    "(if there is none: add --unlock to the same command, once)"
)


class SnakemakeErrors(logging.Handler):
    """Prints what Snakemake raises as lines of ours: `error: ...`, without tracebacks."""

    def emit(self, record):
        for line in snakemake_error_lines(record.exception, record.getMessage()):
            print(line, file=sys.stderr, flush=True)


def speak_for_snakemake(logger):
    """Have what Snakemake raises printed once, by SnakemakeErrors, whatever `--quiet` says.

    logger: Snakemake's; what its log file holds stays as it is.
    """
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(lambda record: not _is_raised(record))
    ours = SnakemakeErrors()
    ours.addFilter(_is_raised)
    logger.addHandler(ours)


def _is_raised(record):
    """Whether Snakemake's log record is of an exception that ended it."""
    return getattr(record, "exception", None) is not None


def snakemake_error_lines(exception, text):
    """Lines for a person of what Snakemake says of an exception.

    exception: the name of its class; text: its message, with Snakemake's headings, or its traceback.
    """
    if exception == "LockException":
        return [f"error: {LOCKED}"]
    if JOBS_FAILED in text or "CalledProcessError" in text:  # `failure_lines` says which
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        lines = [_of_system(lines[-1])]
    elif len(lines) > 1 and re.match(r"\w*(Error|Exception)\b.*:$", lines[0]):
        lines = lines[1:]
    lines = [line for line in lines if not line.startswith('File "')]
    return [line if line.startswith("error: ") else f"error: {line}" for line in lines]


def _of_system(line):
    """`OSError: [Errno 30] Read-only file system: 'a'` as what is wrong with `a`; another line as it is."""
    match = re.search(r"\[Errno (\d+)\] (.*?): '(.*?)'", line)
    return operating_system(OSError(int(match[1]), match[2], match[3])) if match else line


def _many(number, one, several=None):
    return f"{number} {one if number == 1 else several or one + 's'}"


def announce_trainings(run, number):
    """Begin the list in which trainings write themselves down, for what they say of how far the run is."""
    path = trainings_list(run)
    if number:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number} trainings\n")
    else:
        path.unlink(missing_ok=True)


def trainings_list(run):
    """Of a run on one machine: how many trainings it has to do, and a line each that has begun."""
    return Path(run) / "logs" / "trainings.txt"
