"""Results and figures of a run in; the report's answers, sortable tables and settings out."""

import json

from cellshuffle.files import write_text
from cellshuffle.jobs.run import run_rule
from cellshuffle.report import pages
from cellshuffle.report.results import Results


def main(snakemake):
    results = Results(snakemake.input, json.loads(snakemake.params.config))
    settings = json.loads(snakemake.params.settings)
    write_text(snakemake.output.answers, pages.answers_page(results, settings))
    write_text(snakemake.output.table, pages.table_page(results))
    write_text(snakemake.output.classes, pages.classes_page(results))
    write_text(snakemake.output.settings, pages.settings_page(results, settings))


run_rule(main, snakemake)  # noqa: F821
