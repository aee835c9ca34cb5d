# What tables, figures and report are made of, and where they go.

# What tables and figures need to know of the configuration, and no more: they are not made again when,
# say, the number of threads changes.
KNOWN = {key: config[key] for key in ("strategies", "tasks", "compare", "figures")} | {
    "atlas": {
        "train_plates": ATLAS["train_plates"],
        "test_plates": this_run.plates["test"],
        "split": bool(ATLAS["split"]),
    },
    "weights": config["weights"] | {"balance": this_run.balanced_labels},
    "training": {
        key: config["training"][key] for key in ("seeds", "epochs", "batch_size", "fetch_factor")
    },
}

CATEGORIES = {
    "answers": "1 Answers",
    "scores": "2 Scores",
    "cost": "3 Cost",
    "why": "4 Why",
    "errors": "5 Errors",
}

NAMES = ["comparison", "learning_curves", "cost", "tradeoff", "why", "weights", "class_f1"]
NAMES += [f"confusion_{task}" for task in TASKS]
if config["sweep"]:
    NAMES.append("sweep")
FIGURES = [f"{RUN}/figures/{name}.{kind}" for name in NAMES for kind in ("svg", "pdf", "png")]
PUBLISHED = (
    [f"{root}/results/published/scdataset_tahoe100m.csv"] if config["figures"]["published"] else []
)
PAGES = [f"{RUN}/summary/{name}.html" for name in ("answers", "table", "settings")]


def of_every_training(file):
    """A file of every training, by strategy and seed in the config's order."""
    return expand(f"{RUN}/train/{{strategy}}/seed{{seed}}/{file}", strategy=STRATEGIES, seed=SEEDS)


def of_every_strategy(file):
    """A table of what every strategy's minibatches hold, in the config's order."""
    return expand(f"{RUN}/diversity/{{strategy}}/{file}", strategy=STRATEGIES)


def figure(name, category, title, caption=None):
    """The three files of a figure; the SVG goes into the report."""
    path = f"{RUN}/figures/{name}"
    shown = report(
        f"{path}.svg",
        caption=f"../report/{caption or name}.rst",
        category=CATEGORIES[category],
        labels={"Figure": title},
    )
    return {"svg": shown, "pdf": f"{path}.pdf", "png": f"{path}.png"}
