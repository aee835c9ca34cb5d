"""Histories, entropies and comparison.csv of a sweep in; heat maps over block size and fetch factor out."""

import pandas as pd
from cellshuffle.analysis.comparison import read_table
from cellshuffle.configuration.sweep import is_swept
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.read import headline_task, histories, per_strategy, totals
from cellshuffle.report.figures.style import save
from cellshuffle.report.figures.sweep import draw


def main(snakemake):
    config = snakemake.params.config
    comparison = read_table(snakemake.input.comparison)
    task = headline_task(comparison, config)
    scores = comparison[(comparison["metric"] == "macro_f1") & (comparison["task"] == task)]
    scores = scores.set_index("strategy")["mean"]
    speed = (
        totals(histories(snakemake.input.history)).groupby("strategy")["cells_per_second"].mean()
    )
    mixed = {
        s: t["plate"].mean() for s, t in per_strategy(snakemake.input.entropies, config).items()
    }
    rows = [
        {"sampler": entry["sampler"], "block_size": entry["block_size"],
         "fetch_factor": entry["fetch_factor"], "cells_per_second": speed[name],
         "plate_entropy": mixed[name], "score": scores[name]}
        for name, entry in config["strategies"].items() if is_swept(entry)
    ]  # fmt: skip
    save(draw(pd.DataFrame(rows), config, task), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
