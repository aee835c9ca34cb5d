# What tables and figures are made from, and where they go.
from cellshuffle.report.html import json_in_script

REPORTED = ("seeds", "epochs", "batch_size", "fetch_factor", "model")
# The part of the configuration that tables and figures depend on, and no more: they are not made again
# when, say, the number of threads changes.
REPORT_CONFIG = {key: config[key] for key in ("strategies", "tasks", "compare", "figures", "tune")} | {
    "atlas": {
        "train_plates": ATLAS["train_plates"],
        "test_plates": this_run.plates["test"],
        "split": ATLAS["split"],
    },
    "weights": config["weights"] | {"balance": this_run.balanced_labels},
    "training": {key: config["training"][key] for key in REPORTED},
    "reading": this_run.reading(),
}

# As jobs get them, and the report shows them: JSON that is no mark-up. Not `snakemake.config`: in a module that is
# another workflow's.
REPORT_CONFIG_TEXT, CONFIG_TEXT = json_in_script(REPORT_CONFIG), json_in_script(config)

# What the linear model made of the same strategies, where the run's model has hidden layers and trains both.
LINEAR = ["<run>/linear/comparison.csv"] if HIDDEN and config["compare"]["linear"] else []
if cached_config and not os.path.exists(f"{RUN}/linear/comparison.csv"):
    LINEAR = []


def report_config(wildcards):
    """REPORT_CONFIG for a job; a function, since Snakemake would take braces in text for wildcards."""
    return REPORT_CONFIG_TEXT


def whole_config(wildcards):
    """The whole configuration for a job."""
    return CONFIG_TEXT


CATEGORIES = {
    "answers": "1 Answers",
    "scores": "2 Scores",
    "cost": "3 Cost",
    "why": "4 Why",
    "errors": "5 Errors",
}
PUBLISHED = [f"{root}/results/published/scdataset_tahoe100m.csv"] if config["figures"]["published"] else []
# Cached results need not have what the check of the input noticed.
CHECKED = ["<run>/checked.json"] if not cached_config or os.path.exists(f"{RUN}/checked.json") else []
# How fast every order is read alone, where `make plan` has measured it.
LOADING = ["<run>/loading.csv"] if os.path.exists(f"{RUN}/loading.csv") else []
# What it costs to write the atlas once more, where a strategy supposes that.
REWRITTEN_ORDER = next(filter(samplers.is_rewritten, config["strategies"].values()), None)
REWRITTEN = ["<run>/rewrite.csv"] if REWRITTEN_ORDER else []
# Nor how mixed the orders are beyond their minibatches.
ORDERED = not cached_config or all(os.path.exists(f"{RUN}/diversity/{name}/order.csv") for name in STRATEGIES)
# The scores at all learning rates, and the comparison at the best ones.
TUNING = {name: [f"<run>/{name}.csv"] if config["tune"] else [] for name in ("tuning", "tuned")}
# Scores on cells that were held out from the train plates.
SEEN = ["<run>/seen.csv"] if config["compare"]["seen_fraction"] else []
PAGES = [f"<run>/summary/{name}.html" for name in ("answers", "table", "classes", "settings")]


def of_every_training(file, folder="train"):
    """A file of every training, by strategy and seed in the config's order."""
    return expand(f"<run>/{folder}/{{strategy}}/seed{{seed}}/{file}", strategy=STRATEGIES, seed=SEEDS)


def of_every_strategy(file):
    """A table of what every strategy's minibatches hold, in the config's order."""
    return expand(f"<run>/diversity/{{strategy}}/{file}", strategy=STRATEGIES)


def in_report(path, caption, category, title):
    """An output file that the report shows."""
    return report(
        path,
        caption=f"../report/{caption}.rst",
        category=CATEGORIES[category],
        labels={"Figure": title},
    )


def figure_paths(figures):
    """The files of figures."""
    return expand("<run>/figures/{figure}.{format}", figure=figures, format=["svg", "pdf", "png"])


def figure_outputs(figures):
    """The output files of a rule that draws figures, by name and format; the SVGs go into the report."""
    outputs = {f"{Path(path).stem}_{path[-3:]}": path for path in figure_paths(figures)}
    for name, (module, category, title) in figures.items():
        outputs[f"{name}_svg"] = in_report(outputs[f"{name}_svg"], module, category, title)
    return outputs
