"""Snakemake for many runs: imported once, then forked for each, which saves the second an import takes.

Reads a run a line (JSON: arguments, folder, environment, file of the output) and answers with its exit code.
The library is not imported here: the Snakefile of a run brings its own.
"""

import json
import os
import sys

# What Snakemake and the Snakefile import on their way.
import docutils.core
import h5py
import jsonschema
import nbformat
import requests
import smart_open
import snakemake.cli
import snakemake.report.html_reporter
import snakemake.storage
import yaml
import yte

__all__ = ["docutils", "h5py", "jsonschema", "nbformat", "requests", "smart_open", "yaml", "yte"]


def become(arguments, folder, environment, output):
    """Make this process what a shell would start."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in enumerate((os.devnull, output, output)):
        os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), stream)
    sys.argv[1:] = arguments


for line in sys.stdin:
    run = os.fork()
    if not run:
        become(**json.loads(line))
        snakemake.cli.main()
    print(os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]), flush=True)
