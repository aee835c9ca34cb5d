"""Macro F1 against the learning rate, a line a strategy: on validation and on test cells."""

from cellshuffle.phrasing import test_set_name
from cellshuffle.report.figures import style


def draw(results):
    """The figure, from tuning.csv and tuned.csv."""
    tuning, strategies = results.tuning, results.strategies
    figure = style.new_figure(2.9 + style.legend_height(strategies))
    grid = figure.subplots(1, 2, sharey=True)
    parts = (("validation cells", tuning.validation), (test_set_name(results.config), tuning.test))
    for axes, (cells, scores) in zip(grid, parts, strict=True):
        for strategy, appearance in style.strategy_styles(strategies).items():
            own = scores[strategy].sort_index()
            axes.plot(own.index, own, **appearance, linewidth=1.2, markersize=3, markeredgewidth=0)
            rate = tuning.rows.loc[strategy, "learning_rate"]
            axes.plot(rate, own[rate], "o", color=appearance["color"], markersize=9, fillstyle="none")
        if len(tuning.rates) > 1:
            axes.set_xscale("log")
        axes.set_xticks(tuning.rates, [f"{rate:g}" for rate in tuning.rates])
        axes.minorticks_off()
        axes.grid(axis="y")
        style.title(axes, f"{tuning.task}, {cells}", 46)
        axes.set_xlabel("learning rate")
    chance = results.chance(tuning.task)
    if chance == chance:
        grid[1].axhline(chance, **style.CHANCE)
    grid[0].set_ylim(bottom=0)
    grid[0].set_ylabel("macro F1, mean over seeds")
    style.footnote(figure, "ring: the rate chosen, by the validation cells alone; dotted: chance")
    style.legend(figure, strategies)
    return figure
