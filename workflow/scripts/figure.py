"""Results of a run in; the figure that the rule is named after, out in three formats."""

import os
from importlib import import_module

from cellshuffle.jobs.run import run_rule
from cellshuffle.report.results import Results


def main(snakemake):
    os.environ.pop("MPLBACKEND", None)  # Jupyter's; Matplotlib cannot be imported where it is not installed
    style = import_module("cellshuffle.report.figures.style")
    name = snakemake.rule.rpartition("figure_")[2]  # another workflow may put a prefix before it
    module = import_module(f"cellshuffle.report.figures.{name}")
    results = Results(snakemake.input, snakemake.params.config)
    with style.figure_style():
        style.save(module.draw(results, *snakemake.wildcards), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
