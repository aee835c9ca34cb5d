"""Snakemake, and the scripts of its jobs, in forks of a process that has imported what takes them seconds.

`python forks.py <descriptor>` is that process: it listens there, and ends with its standard input.
`python forks.py <socket> <script>` is what a job calls in place of Python. The library is never imported
ahead: every run brings its own.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys


def run(address, arguments, streams=(0, 1, 2), folder=None):
    """Run a script, or Snakemake where the first argument is "snakemake", to its end; the exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"."], streams)
        with connection.makefile("rw", encoding="utf-8") as lines:
            json.dump([arguments, dict(os.environ), folder or os.getcwd()], lines)
            print(file=lines, flush=True)
            code = int(lines.readline())
    return code if code >= 0 else 128 - code


def serve(listener):
    """Fork for every request, until standard input is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the forks that answer are not waited for
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if not os.fork():
            return answer(connection, listener)
        connection.close()


def answer(connection, listener):
    """Run what is asked for in one more fork, and send back its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    address = listener.getsockname()
    listener.close()
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    lines = connection.makefile("rw", encoding="utf-8")
    arguments, environment, folder = json.loads(lines.readline())
    process = os.fork()
    if process:
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), file=lines, flush=True)
        os._exit(0)
    lines.close()
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    if arguments[0] == "snakemake":
        if "PYTHONPATH" not in environment:  # which only a Python that starts reads
            sys.executable += f" -IS {__file__} {address}"
        snakemake.cli.main()
    else:
        runpy.run_path(arguments[0], run_name="__main__")


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
    import torch  # noqa: F401
    import yte  # noqa: F401

    serve(socket.socket(fileno=int(sys.argv[1])))
elif __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
