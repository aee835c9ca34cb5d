# The configuration, checked before anything runs, and the paths that all rules share.
from dataclasses import asdict
import functools
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version
import yaml

min_version("9.0")
# The folder of the Snakefile, also where another workflow uses this one as a module.
HOUSE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
if not HOUSE.is_dir():
    raise WorkflowError(
        "cellshuffle: the scripts import a library that lies beside them, which a single file from "
        "the network does not bring; clone the repository and give the path of its Snakefile"
    )
sys.path.insert(0, str(HOUSE / "workflow" / "scripts"))
from cellshuffle import __version__
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration import consistency
from cellshuffle.loading import samplers
from cellshuffle.training.settings import Execution, Recipe
from cellshuffle.configuration import sweep
from cellshuffle.jobs.locks import remove_stale_lock

SCHEMA = configuration.load_schema(
    HOUSE / "workflow" / "schemas" / "config.schema.yaml",
    samplers.strategy_schemas(),
    samplers.sweep_prefixes(),
)


def checked(problems):
    """Stop with one line a problem."""
    problems = list(problems)
    if problems:
        for problem in problems:
            print(f"error: {problem}", file=sys.stderr)
        print("the configuration cannot be used; config/README.md lists every key", file=sys.stderr)
        sys.exit(1)


for path in [] if CACHED else workflow.configfiles:
    checked(
        f"{path}: {line}"
        for line in configuration.repeated_keys(Path(path).read_text(encoding="utf-8"))
    )
checked(configuration.schema_problems(config, SCHEMA))
configuration.fill_defaults(config, SCHEMA)
if CACHED and ASKED is not None:
    configuration.fill_defaults(ASKED, SCHEMA)
    if ASKED != config:
        checked(
            [
                f"run: {config['run']} has cached results of another configuration ({CACHED}); give your run "
                f"another name, or draw what is cached: --config run={config['run']}, without --configfile"
            ]
        )
configuration.expand_home(config)
config["strategies"] |= sweep.expand(config["sweep"], samplers.sweep_prefixes())
checked(consistency.inconsistencies(config))

RUN = f"results/{config['run']}"
ATLAS = config["atlas"]
ATLAS_DIR, PLATE_FILE = ATLAS["dir"], ATLAS["plate_file"]
PACKED = os.path.normpath(ATLAS["packed_dir"] or f"{RUN}/packed")
TASKS = list(config["tasks"])
STRATEGIES = list(config["strategies"])
SEEDS = config["training"]["seeds"]
MAX_CELLS = {"train": ATLAS["max_train_cells"], "test": ATLAS["max_test_cells"]}
# Plates of each split. With atlas.split every plate is packed twice, as <plate>-train and <plate>-test.
if ATLAS["split"]:
    PLATES = {
        side: [f"{plate}-{side}" for plate in ATLAS["train_plates"]] for side in ("train", "test")
    }
else:
    PLATES = {side: list(ATLAS[f"{side}_plates"]) for side in ("train", "test")}
GENES_FILE = [ATLAS["genes"]] if ATLAS["genes"] else []
SOURCES = ATLAS["train_plates"] + (ATLAS.get("test_plates") or [])
# Of a killed run; kept in a variable, for it holds as long as it lives.
RUNNING = remove_stale_lock([RUN, PACKED]) if workflow.is_main_process else None


wildcard_constraints:
    plate=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    strategy="|".join(STRATEGIES),
    task="|".join(TASKS),
    seed=r"\d+",


def published_path(plate):
    """The file of an entry of the configuration's plates."""
    return os.path.join(ATLAS_DIR, PLATE_FILE.format(plate=plate))


def source_path(plate):
    """The file that a plate of a split was published in; of a divided plate, that of the whole one."""
    return published_path(str(plate).rpartition("-")[0] if ATLAS["split"] else plate)


def plate_paths(split):
    """The files that labels and training read, packed or as published; an input function."""
    if ATLAS["pack"]:
        return lambda wildcards: [f"{PACKED}/plate{plate}.h5ad" for plate in PLATES[split]]
    return lambda wildcards: given([source_path(plate) for plate in PLATES[split]])


class Absent(list):
    """Input files of a rule that are not there.

    Snakemake stops with our own lines when it looks at them, unless it can do without the rule, as
    when figures are drawn again from scores that stand. Its own message would not say what to do.
    """

    def __iter__(self):
        raise WorkflowError("\n".join(atlas_problems(tuple(super().__iter__()))))


@functools.cache
def atlas_problems(missing):
    """All that is wrong with the atlas, known to lack these files."""
    try:
        from cellshuffle.inspection.atlas import check_atlas
    except ImportError:  # Snakemake may run where only the rules' environments have h5py
        return [f"{path}: there is no such file; the configuration names it" for path in missing]
    return check_atlas(CHECK_REQUEST)[0]


def given(files):
    """A file or files of the user, as input of a rule, with a clear word where one is not there."""
    every = [files] if isinstance(files, str) else files
    missing = [path for path in every if not os.path.exists(path)]
    return files if ATLAS["simulate"] or not missing else Absent(missing)


def stamp(path):
    """Size and modification time of a file given by the user, so that another file is noticed."""
    if ATLAS["simulate"] or not os.path.exists(path):
        return None
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def plates_read():
    """What stands behind the order of cells: files read, in order, with the stamps of published ones.

    A parameter of rules, since Snakemake compares input files as a set, and by time alone.
    """
    read = {split: plate_paths(split)(None) for split in PLATES}
    return {
        split: [[str(path), None if ATLAS["pack"] else stamp(path)] for path in paths]
        for split, paths in read.items()
        if not isinstance(paths, Absent)
    }


def lookup_tables():
    """Tables that the tasks look classes up in."""
    lookups = [task["lookup"] for task in config["tasks"].values() if task.get("lookup")]
    return sorted({lookup["table"] for lookup in lookups})


def plate_selection(plate):
    """What packing keeps of a source file: see cellshuffle.atlas.selection.select_cells."""
    selection = {"genes": ATLAS["genes"]}
    plate = str(plate)
    if ATLAS["split"]:
        plate, _, side = plate.rpartition("-")
        selection["split"] = ATLAS["split"] | {"side": side}
    if ATLAS["plate_column"]:
        selection["plate"] = {"column": ATLAS["plate_column"], "value": plate}
    return selection


def packed_from():
    """What every packed plate has to be made of, train plates first; see cellshuffle.packing.origin."""
    plates = PLATES["train"] + PLATES["test"] if ATLAS["pack"] else []
    return [
        {
            "layer": ATLAS["layer"],
            "select": plate_selection(plate),
            "stamp": stamp(source_path(plate)),
        }
        for plate in plates
    ]


def strategy_entry(wildcards):
    """A strategy's own keys, batch size and fetch factor left to the training settings."""
    return {
        key: value
        for key, value in config["strategies"][wildcards.strategy].items()
        if key not in samplers.LOADING
    }


def training_recipe(wildcards):
    """All that decides the numbers of a training besides its files."""
    return asdict(Recipe.from_config(config, wildcards.strategy, int(wildcards.seed)))


def training_execution(wildcards, threads):
    """How a training is carried out, which decides no number.

    Since it takes `threads`, Snakemake does not compare it: nothing is trained again when it changes.
    """
    return asdict(Execution.from_config(config))


def weights_of(wildcards):
    """The weights, for a strategy that draws by them."""
    weighted = samplers.is_weighted(config["strategies"][wildcards.strategy])
    return {"weights": f"{RUN}/weights/cells.npy"} if weighted else {}


def balanced_labels():
    """Tasks or obs columns whose combinations the weights balance."""
    return configuration.balanced_labels(config)


def plates_of_columns(wildcards):
    """The train plates, for a rule that needs obs columns of them that are no tasks."""
    columns = set(balanced_labels()) - set(TASKS)
    return {"train": plate_paths("train")(wildcards)} if columns else {}


def order_settings(wildcards):
    """What decides the order of cells, besides the strategy's own keys."""
    training, entry = config["training"], config["strategies"][wildcards.strategy]
    own = samplers.loading_of(entry, training)
    return own | {"seed": SEEDS[0], "balance": balanced_labels()}
