"""In sentences and a table: the same models on cells of the plates that they were trained on."""

from cellshuffle.analysis.comparison import baseline_of, summarise
from cellshuffle.phrasing import mean_sd, test_set_name
from cellshuffle.report.results import macro_f1

TITLE = "On plates that were seen"


def seen_rows(seen, config):
    """Rows of macro F1 on the seen plates, a column a task; seen: the table seen.csv."""
    rows = macro_f1(summarise(seen)).set_index(["strategy", "task"])
    return [
        [s, *(mean_sd(*rows.loc[(s, task), ["mean", "sd"]]) for task in config["tasks"])]
        for s in config["strategies"]
    ]


def seen_sentences(seen, table, config):
    """Sentences on what a new plate costs, and what an order loses without one; table: the comparison."""
    baseline, test_set = baseline_of(config), test_set_name(config)
    on_seen = macro_f1(summarise(seen)).set_index(["strategy", "task"])["mean"]
    on_test = macro_f1(table).set_index(["strategy", "task"])["mean"]
    yield (
        "Macro F1 of the same models on cells of the train plates that no model was trained on, the "
        f"same cells for every strategy; {test_set} is new to them in addition."
    )
    for task in config["tasks"]:
        worst = min(config["strategies"], key=lambda s: on_seen[s, task])
        here, there = on_seen[baseline, task], on_test[baseline, task]
        words = f"{task}: {baseline} scores {here:.3f} on plates seen and {there:.3f} on {test_set}"
        if worst != baseline:
            lost = here - on_seen[worst, task]
            words += (
                f"; {worst}, the lowest, scores {on_seen[worst, task]:.3f} on plates seen, {lost:.3f} less"
            )
        yield f"{words}."
