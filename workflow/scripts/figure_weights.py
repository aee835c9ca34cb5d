"""combinations.csv and the draws of every strategy in; weights and draws by combination out."""

from cellshuffle.analysis.comparison import baseline_of, read_table
from cellshuffle.jobs.run import run_rule
from cellshuffle.report.figures.read import per_strategy
from cellshuffle.report.figures.style import save
from cellshuffle.report.figures.weights import draw


def main(snakemake):
    config = snakemake.params.config
    draws = per_strategy(snakemake.input.draws, config)
    combinations = read_table(snakemake.input.combinations)
    save(draw(combinations, draws, config, baseline_of(config)), snakemake.output)


run_rule(main, snakemake)  # noqa: F821
