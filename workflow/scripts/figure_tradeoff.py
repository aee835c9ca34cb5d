"""Every training's history and comparison.csv in; score against throughput out."""

import pandas as pd
from cellshuffle.console import run_rule
from cellshuffle.figures.read import histories
from cellshuffle.figures.style import save
from cellshuffle.figures.tradeoff import draw


def main(snakemake):
    comparison = pd.read_csv(snakemake.input.comparison)
    save(
        draw(histories(snakemake.input.history), comparison, snakemake.params.config),
        snakemake.output,
    )


run_rule(main, snakemake)  # noqa: F821
