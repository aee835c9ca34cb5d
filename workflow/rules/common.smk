# The configuration, checked before anything runs, and what all rules share: paths, plates, settings of a training.
from dataclasses import asdict, replace
import functools
from importlib.util import find_spec
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version
import yaml

min_version("9.12")  # the first with pathvars


include: "cached.smk"


# The repository, whichever Snakefile was started: found from the place of this file.
root = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
if not root.is_dir():
    raise WorkflowError(
        "cellshuffle: the scripts import a library that lies beside them, which a single file from "
        "the network does not bring; clone the repository and give the path of its Snakefile"
    )
sys.path.insert(0, str(root / "workflow" / "scripts"))
from cellshuffle import __version__
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration import consistency, written
from cellshuffle.configuration.reading import read_config
from cellshuffle.configuration.run import Run
from cellshuffle.errors import InputError
from cellshuffle.loading import samplers
from cellshuffle.training.settings import Execution, Recipe
from cellshuffle.configuration import sweep
from cellshuffle.jobs.locks import remove_traces_of_kill
from cellshuffle.orphans import name_run

schema = configuration.load_schema(
    root / "workflow" / "schemas" / "config.schema.yaml",
    samplers.strategy_schemas(),
    samplers.sweep_prefixes(),
)

has_h5py = find_spec("h5py") is not None  # else only the environments of the rules have it


def stop_on(problems, advice="the configuration cannot be used; config/README.md lists every key"):
    """Stop with a line for each problem and one of advice, where there are any."""
    lines = [f"error: {problem}" for problem in problems]
    if lines:
        print(*lines, sep="\n", file=sys.stderr)
        print(advice, file=sys.stderr)
        sys.exit(1)


for path in [] if cached_config else workflow.configfiles:
    try:
        if not is_module:  # what a caller's file may hold is the caller's business
            read_config(path)
    except InputError as error:
        stop_on([str(error)])
    configuration_text = Path(path).read_text(encoding="utf-8")
    stop_on(f"{path}: {line}" for line in written.repeated_keys(configuration_text))
    stop_on(f"{path}: {line}" for line in written.misread_names(configuration_text))
stop_on(configuration.schema_problems(config, schema))
configuration.fill_defaults(config, schema)
if cached_config and requested_config is not None:
    configuration.fill_defaults(requested_config, schema)
    if requested_config != config:
        stop_on(
            [
                f"run: {config['run']} has cached results of another configuration ({cached_config}); give your "
                f"run another name, or draw what is cached: --config run={config['run']}, without --configfile"
            ]
        )
configuration.tidy_paths(config)
config["strategies"] |= sweep.expand(config["sweep"], samplers.sweep_prefixes())
stop_on(consistency.inconsistencies(config))

this_run = Run(config)
RUN = this_run.folder
ATLAS = config["atlas"]
TASKS = list(config["tasks"])
STRATEGIES = list(config["strategies"])
SEEDS, HIDDEN = config["training"]["seeds"], config["training"]["model"]["hidden"]
# The lock lasts as long as this variable, which nothing reads.
if workflow.is_main_process:
    run_lock = remove_traces_of_kill([RUN, this_run.packed_folder, *[ATLAS["dir"]] * bool(ATLAS["simulate"])])
    name_run()  # jobs end with this process


# Names of the published plates, where they are made here.
simulated = list(this_run.published_names.values()) if ATLAS["simulate"] else []


pathvars:
    run=RUN,
    packed=this_run.packed_folder,


wildcard_constraints:
    plate="|".join(map(re.escape, [*this_run.file_names.values(), *simulated])),
    strategy="|".join(map(re.escape, this_run.entries)),  # with the trainings that `tune` adds
    task="|".join(TASKS),
    seed=r"\d+",


def existing(files):
    """Files of a person as the input of a rule, which stops with our own lines where one is missing.

    Snakemake's message would not say what to do. The error is not raised here but by what is returned, once
    Snakemake iterates over it: of an error in an input function it prints the traceback. Nor is it raised at
    the start, since Snakemake may do without the rule, as when figures are drawn again from existing scores.
    """
    made = [*this_run.published, this_run.drug_table, *this_run.simulated_tables] if ATLAS["simulate"] else []
    made = set(map(os.path.normpath, made))
    missing = tuple(path for path in files if not os.path.exists(path) and os.path.normpath(path) not in made)
    if missing:
        return map(stop_on_missing, [missing])
    # Their times are compared for difference, as parameters: a file may be older than what it replaces, or from
    # the future.
    return files if ATLAS["simulate"] else [ancient(path) for path in files]


def stop_on_missing(files):
    """Raise an error with everything that is wrong with the atlas, which lacks these files."""
    stop_with(atlas_problems(files))


@functools.cache
def atlas_problems(missing):
    """Lines on everything that is wrong with the atlas, which lacks these files."""
    if not has_h5py or ATLAS["simulate"]:
        return [f"{path}: there is no such file; the configuration names it" for path in missing]
    from cellshuffle.inspection.atlas import check_atlas

    return check_atlas(this_run.check_request())[0]


def order_files(strategies):
    """The order files of some of the strategies, which stops with a line for each that is missing."""
    files = {name: path for name, path in this_run.order_files.items() if name in strategies}
    missing = tuple(
        f"strategies: {name}: path: {path}: there is no such order file"
        for name, path in files.items()
        if not os.path.exists(path)
    )
    return map(stop_with, [missing]) if missing else [ancient(path) for path in files.values()]


def stop_with(lines):
    """Raise an error of these lines; see `existing` for when."""
    raise WorkflowError("\n".join(lines))


def plate_paths(split):
    """An input function: the files that labels and training read."""
    paths = this_run.plate_paths(split)
    return lambda wildcards: paths if ATLAS["pack"] else existing(paths)


def training_recipe(wildcards):
    """All that decides the numbers of a training besides its files."""
    return asdict(Recipe.from_config(config, wildcards.strategy, int(wildcards.seed)))


def linear_recipe(wildcards):
    """The same of the linear model, beside one with hidden layers."""
    return training_recipe(wildcards) | {"hidden": []}


def recipes(strategies, **changes):
    """The recipe of every training of these, by strategy and seed in their order; changes: of its fields."""
    each = [Recipe.from_config(config, strategy, seed) for strategy in strategies for seed in SEEDS]
    return [replace(recipe, **changes) for recipe in each]


def training_execution(wildcards, threads):
    """How a training is carried out, which decides no number.

    Since it takes `threads`, Snakemake does not compare it: nothing is trained again when it changes.
    """
    return asdict(Execution.from_config(config))


def weights_of(wildcards):
    """The weights, for a strategy that draws by them."""
    weighted = samplers.is_weighted(this_run.entries[wildcards.strategy])
    return {"weights": f"{RUN}/weights/cells.npy"} if weighted else {}


def order_of(wildcards):
    """The order file, for a strategy that has one."""
    strategy = wildcards.strategy
    return {"order": order_files([strategy])} if strategy in this_run.order_files else {}


def cells_in_order(wildcards):
    """What decides which cell is which, and where a file has their order, which file."""
    return this_run.cell_order() | this_run.order_stamps([wildcards.strategy])


def plates_of_columns(wildcards):
    """The train plates, for a rule that needs obs columns of them that are no tasks."""
    return {"train": plate_paths("train")(wildcards)} if this_run.balanced_columns else {}


def order_settings():
    """What decides the order of cells, by strategy: its own keys, with batch size and fetch factor."""
    return {
        name: samplers.sampler_keys(entry) | samplers.loading_of(entry, config["training"])
        for name, entry in config["strategies"].items()
    }


@functools.cache
def aligned_genes():
    """The list of genes that plates are brought to; None without one, or where it cannot be known here."""
    if ATLAS["align"] == "none" or not (has_h5py and all(map(os.path.exists, this_run.published))):
        return None
    from cellshuffle.atlas.genes import genes_of_plates

    try:
        return genes_of_plates(ATLAS["align"], this_run.published, ATLAS["layer"], ATLAS["gene_column"])
    except InputError:  # of which the check of the input will say what is wrong
        return None


include: "resources.smk"
include: "outputs.smk"
include: "fingerprints.smk"
