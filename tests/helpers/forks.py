"""Snakemake, and the scripts of its jobs, in forks of a process that has imported what takes them seconds.

`python forks.py <descriptor>` is that process: it listens there, and ends with its standard input.
`python forks.py <socket> <script>` is what a job calls in place of Python. The library is never imported
ahead: every run brings its own.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import socket
import sys
import traceback
import warnings


def run(address, arguments, streams=(0, 1, 2), folder=None):
    """Run a script, or Snakemake where the first argument is "snakemake", to its end; the exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"."], streams)
        with connection.makefile("rw", encoding="utf-8") as lines:
            json.dump([arguments, dict(os.environ), folder or os.getcwd()], lines)
            print(file=lines, flush=True)
            return int(lines.readline() or 1)  # nothing comes from one that is killed


def serve(listener):
    """Fork for every request, until standard input is closed."""
    # What Python 3.12 and later warn of is a thread of pyarrow's, which takes care of itself.
    warnings.filterwarnings("ignore", ".*multi-threaded")
    gc.freeze()  # a collection in a fork would copy the memory of all that is imported
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if not os.fork():
            answer(connection, listener)
        connection.close()
        with contextlib.suppress(ChildProcessError):  # wait for those that have answered
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def answer(connection, listener):
    """Become what is asked for, and end."""
    address = listener.getsockname()
    listener.close()
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    lines = connection.makefile("rw", encoding="utf-8")
    arguments, environment, folder = json.loads(lines.readline())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    answer_before_exit(lines)
    if arguments[0] != "snakemake":
        end_after(lambda: runpy.run_path(arguments[0], run_name="__main__"))
    if "PYTHONPATH" not in environment:  # which only a Python that starts reads
        sys.executable += f" -IS {__file__} {address}"
    end_after(snakemake.cli.main)


def answer_before_exit(lines):
    """Have `os._exit`, with which a job may end, send its exit code first."""
    leave, process = os._exit, os.getpid()

    def answered(code):
        if os.getpid() == process:
            print(code, file=lines, flush=True)
        leave(code)

    os._exit = answered


def end_after(function):
    """Call, and end without taking apart all that is imported, which takes a second."""
    code = 0
    try:
        function()
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__" and len(sys.argv) == 2:
    # What Snakemake, the Snakefile and the scripts import on their way.
    import docutils.core  # noqa: F401
    import h5py  # noqa: F401
    import jsonschema  # noqa: F401
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
    import nbformat  # noqa: F401
    import pandas  # noqa: F401
    import requests  # noqa: F401
    import scdataset  # noqa: F401
    import scipy.sparse
    import scipy.stats  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.cli
    import snakemake.report.html_reporter
    import snakemake.storage
    import torch._dynamo  # noqa: F401  (by the first optimiser)
    import yte  # noqa: F401

    serve(socket.socket(fileno=int(sys.argv[1])))
elif __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
