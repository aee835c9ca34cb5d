# What decides the files of each rule: its fingerprint is a parameter, so that Snakemake makes them again when it
# changes, and is kept in the record of the job, so that they are made again when Snakemake has forgotten.
from snakemake.dag import DAG

from cellshuffle.fingerprints import code_of, fingerprint
from cellshuffle.jobs import records
from cellshuffle.training.settings import DECIDING

ORDER = [STRATEGIES, SEEDS, TASKS]  # of rows and columns of tables
LABELS = [config["tasks"], TASKS, this_run.plates, this_run.max_cells, this_run.where, this_run.cell_order()]
WEIGHTS = [this_run.balanced_labels, config["weights"]["min_count_baseline"], this_run.held_out]
STAMPS = [this_run.stamp(path) for path in this_run.published + this_run.tables + this_run.gene_list]
STAMPS += this_run.order_stamps(STRATEGIES).values()
REPORT = [REPORT_CONFIG, ORDER, __version__]

# {rule: what its wildcards, which are texts, stand for}: JSON values, the code of the library among them.
DECIDES = {
    "check_input": lambda: [
        {key: value for key, value in this_run.check_request().items() if key not in ("balance", "columns")},
        STAMPS,
    ],
    "encode_labels": lambda: [
        LABELS,
        [this_run.stamp(path) for path in this_run.tables],
        [__version__, code_of("atlas", "labels")],
    ],
    "weigh_cells": lambda: [LABELS, WEIGHTS, __version__, code_of("labels", "atlas/held_out")],
    "train": lambda strategy, seed: decides_training(strategy, seed),
    "train_linear": lambda strategy, seed: decides_training(strategy, seed, hidden=[]),
    "diversity": lambda: [
        [LABELS, WEIGHTS, order_settings(), this_run.order_stamps(STRATEGIES), ORDER],
        [__version__, code_of("loading", "labels", "analysis", "atlas/held_out")],
    ],
    "rewrite": lambda: [
        LABELS,
        REWRITTEN_ORDER,
        __version__,
        code_of("packing/rewriting", "loading/preshuffled"),
    ],
    "tune": lambda: [REPORT, SEEDS, code_of("analysis")],
    "gather": lambda: [ORDER, __version__, code_of("analysis")],
    "gather_linear": lambda: DECIDES["gather"](),
    "compare_linear": lambda: DECIDES["compare"](),
    "compare": lambda: [REPORT, code_of("analysis", "report", "phrasing")],
    "draw_figures": lambda: [REPORT, code_of("analysis", "report", "report/figures", "phrasing")],
    "draw_confusions": lambda: [REPORT, code_of("analysis", "report", "report/figures", "phrasing")],
    "summary": lambda: [REPORT, code_of("analysis", "report", "phrasing")],
}


def decides_training(strategy, seed, **changes):
    """The same of a training; changes: of its recipe."""
    recipe = replace(Recipe.from_config(config, strategy, int(seed)), **changes)
    weights = WEIGHTS if samplers.is_weighted(this_run.entries[strategy]) else None
    return [recipe.fingerprint(), LABELS, this_run.order_stamps([strategy]), weights]


def fingerprint_of(rule, wildcards=()):
    """The fingerprint of all that decides what a job makes; None for a job that the configuration has not."""
    wildcards = dict(wildcards)
    known = wildcards.get("strategy", STRATEGIES[0]) in this_run.entries
    return fingerprint(DECIDES[rule](**wildcards)) if known and rule in DECIDES else None


# Files that are to be made again, whatever Snakemake remembers of them. They are forced when the workflow is known
# but not yet what of it has to run; with `--forcerun` each of them would become a target.
OUTDATED = set()
if workflow.is_main_process and not cached_config:
    OUTDATED.update(records.outdated(RUN, fingerprint_of))
    made = {"train": recipes(this_run.entries), "train_linear": recipes(STRATEGIES, hidden=[])}
    for folder, wanted in made.items():
        for recipe in wanted:
            path = f"{RUN}/{folder}/{recipe.strategy}/seed{recipe.seed}/metrics.json"
            if not records.is_made_by(path, recipe.fingerprint()):
                OUTDATED.add(path)


def make_outdated_again():
    """An empty list, for the input functions of rules on which the others depend."""
    workflow.dag.forcefiles.update(OUTDATED)
    return []


def packed_plates():
    """The packed plates, and the text of what each is to be made from, None where other runs may share it."""
    from cellshuffle.labels.lookup import with_tables
    from cellshuffle.packing.origin import origin

    for plate in sum(this_run.plates.values(), []):
        made_of = this_run.packed_from(plate)
        try:
            made_of["select"] = with_tables(made_of["select"])
            text = None if ATLAS["packed_dir"] else origin(**made_of)
        except InputError:  # of a table with which the check will find fault
            text = None
        yield this_run.packed_path(plate), text


# Snakemake fails a job whose input is from the future, though `ancient` says that its time does not count.
compare_times = DAG.check_output_mtime


async def compare_times_that_count(dag, job, outputs):
    if not any(file.is_ancient for file in job.input):
        await compare_times(dag, job, outputs)


DAG.check_output_mtime = compare_times_that_count
