# What tables and figures are made from, and where they go.

# The part of the configuration that tables and figures depend on, and no more: they are not made again
# when, say, the number of threads changes.
REPORT_CONFIG = {key: config[key] for key in ("strategies", "tasks", "compare", "figures")} | {
    "atlas": {
        "train_plates": ATLAS["train_plates"],
        "test_plates": this_run.plates["test"],
        "split": bool(ATLAS["split"]),
    },
    "weights": config["weights"] | {"balance": this_run.balanced_labels},
    "training": {key: config["training"][key] for key in ("seeds", "epochs", "batch_size", "fetch_factor")},
}

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
FIGURES = []  # all files of the figures of this run; every call of `figure` adds its own
PAGES = [f"<run>/summary/{name}.html" for name in ("answers", "table", "classes", "settings")]


def of_every_training(file):
    """A file of every training, by strategy and seed in the config's order."""
    return expand(f"<run>/train/{{strategy}}/seed{{seed}}/{file}", strategy=STRATEGIES, seed=SEEDS)


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


def figure(name, category, title, caption=None):
    """The three output files of a figure; the SVG goes into the report."""
    path = f"<run>/figures/{name}"
    FIGURES.extend(expand([f"{path}.svg", f"{path}.pdf", f"{path}.png"], task=TASKS))
    svg = in_report(f"{path}.svg", caption or name, category, title)
    return {"svg": svg, "pdf": f"{path}.pdf", "png": f"{path}.png"}
