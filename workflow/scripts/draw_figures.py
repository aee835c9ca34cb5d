"""Results of a run in; all figures of a kind, each in three formats, out."""

import json
from importlib import import_module

from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures import import_matplotlib
from cellshuffle.report.results import Results


def main(snakemake):
    import_matplotlib()
    style = import_module("cellshuffle.report.figures.style")
    results = Results(snakemake.input, json.loads(snakemake.params.config))
    for name, (module, _, _) in snakemake.params.figures.items():
        draw = import_module(f"cellshuffle.report.figures.{module}").draw
        task = [name.removeprefix("confusion_")] if module == "confusion" else []
        paths = [snakemake.output[f"{name}_{format}"] for format in ("svg", "pdf", "png")]
        with style.figure_style():
            style.save(draw(results, *task), paths)


run_rule(main, snakemake)  # noqa: F821
