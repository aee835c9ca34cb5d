"""A rule's script as a person meets it: its log, and one line when it fails."""

import atexit
import errno
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from cellshuffle.console import STARTED_AGAIN
from cellshuffle.errors import InputError, Stopped
from cellshuffle.jobs.records import recorded
from cellshuffle.orphans import end_with_parent


class _Tee:
    """Writes to the terminal and to a log, each line at once, so that jobs side by side never share one.

    A progress bar's redraws become lines of their own.
    """

    def __init__(self, terminal, log):
        self.terminal, self.log, self.pending = terminal, log, ""
        self.shown = lambda line: line  # a line as the terminal shows it, or None

    def write(self, text):
        self.pending += text.replace("\r", "").rstrip(" ")  # with blanks tqdm wipes a line out
        *lines, self.pending = self.pending.split("\n")
        for line in lines:
            self._put(self.log, line)
            shown = self.shown(line)
            if shown is not None:
                self._put(self.terminal, shown)
        return len(text)

    def flush(self):
        """Nothing is held back but the beginning of a line."""

    def close(self):
        if self.pending:
            self.write("\n")

    @staticmethod
    def _put(stream, line):
        with suppress(OSError):  # a log on a full disk, a terminal that was closed
            if stream:  # None, where there was no terminal from the start
                stream.write(f"{line}\n")
                stream.flush()


def show_by(shown):
    """Within a rule: have its lines shown on the terminal as shown(line), or not where that is None."""
    sys.stderr.shown = shown


def run_rule(main, snakemake):
    """Call main(snakemake) with its standard error going to the terminal and to the rule's log.

    Ends the process with exit code 1 and one line (`error: ...`) when the input is wrong, the disk
    is full, memory is short or a file cannot be used. The traceback of anything unforeseen goes to the
    log alone. A success ends the process too, with exit code 0, at once: to take apart what PyTorch has
    imported costs a third of what its import costs. The process ends with Snakemake, however that ends.
    """
    end_with_parent(signal.SIGTERM)  # of which a training makes a checkpoint
    terminal = sys.stderr
    log_path = snakemake.log[0] if snakemake.log else os.devnull
    log = _opened_log(log_path)
    sys.stderr = tee = _Tee(terminal, log)
    try:
        with recorded(snakemake):
            main(snakemake)
    except InputError as error:
        _fail(*[f"error: {line}" for line in str(error).splitlines()])
    except Stopped as stopped:
        _fail(str(stopped), code=128 + signal.SIGTERM)
    except MemoryError as error:
        _fail(f"error: out of memory: {str(error) or 'this machine has less than the job needs'}")
    except OSError as error:
        if not error.errno:
            _unforeseen(error, log, log_path)
        _fail(f"error: {operating_system(error)}", abrupt=error.errno == errno.ENOSPC)
    except Exception as error:
        _unforeseen(error, log, log_path)
    finally:
        tee.close()
        sys.stderr = terminal
        with suppress(OSError):  # what a full disk did not take
            log.close()
    atexit._run_exitfuncs()
    if sys.stdout:
        sys.stdout.flush()
    os._exit(0)


def _opened_log(path):
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        log = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  (as long as the rule)
    except OSError as error:
        _fail(f"error: {operating_system(error)}")
    with suppress(OSError):
        if log.tell():
            log.write(f"{STARTED_AGAIN}\n")
    return log


ADVICE = {
    errno.ENOSPC: "the disk is full; make space and start again, finished work is kept",
    errno.EDQUOT: "your disk quota is used up; make space and start again, finished work is kept",
    errno.EACCES: "permission denied; the files of a run must be readable and results/ writable",
    errno.EFBIG: "larger than this shell lets a file be; lift the limit: `ulimit -f unlimited`",
    errno.EROFS: "the file system is read-only; a run must be able to write there",
}


def operating_system(error):
    """What an OSError says, in a line: the file, and what to do where that is known."""
    where = f"{error.filename}: " if error.filename else ""
    return where + (ADVICE.get(error.errno) or error.strerror or str(error))


def _unforeseen(error, log, log_path):
    with suppress(OSError):
        traceback.print_exc(file=log)
    _fail(
        f"error: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
        f"(unforeseen; the full story is in {log_path})"
    )


def _fail(*lines, code=1, abrupt=False):
    """Print lines and end; abruptly where HDF5, its file cut short, would crash on the way out."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)
    if abrupt:
        os._exit(code)
    sys.exit(code)
