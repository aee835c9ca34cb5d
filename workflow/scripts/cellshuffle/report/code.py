"""The recommended strategy as Python code for one's own training, with the files of the run."""

import textwrap

from cellshuffle.loading.samplers import is_exact, is_labelled, is_weighted, loading_of, sampler_keys
from cellshuffle.phrasing import one_line

TITLE = "Use it in your own training"
RANDOM = {"sampler": "BlockShuffling", "block_size": 1}
LABELS = (
    "# Codes, a column a task; their names are in labels/classes.json.\nlabels = np.load('labels/train.npy')"
)
WEIGHTS = "weights=np.load('weights/cells.npy')"
DENSE = "X = torch.from_numpy(batch.X.dense())"
TRANSFORMED = {
    "none": [DENSE],
    "log1p": [f"{DENSE}.log1p()"],
    "cp10k_log1p": [DENSE, "X = (X * 1e4 / X.sum(1, keepdim=True).clamp_min(1e-12)).log1p()"],
}


def explanation(strategy):
    """Sentences on the code; strategy: the recommended one's name, None where the run cannot tell."""
    order = (
        f"The order of {strategy}" if strategy else "This run cannot tell which order is best: random order"
    )
    return [
        f"{order}, with this run's plates, labels, weights (where cells are drawn by them) and first seed.",
        "Start the code in the folder of the run, the one with comparison.md, whose files it reads; cached "
        "results come without them.",
    ]


def training_code(config, strategy):
    """{title: Python code} of the ways to read the cells of a run in the order of a strategy.

    By the loader and, unless scDataset would sort the cells of an exact order, by scDataset itself.

    config: that of the report; strategy: a name of its strategies, None for random order.
    """
    entry = config["strategies"][strategy] if strategy else RANDOM
    keys = sampler_keys(entry).items()
    options = {key: value for key, value in keys if key not in ("sampler", "task")}
    if "path" in entry:
        options["path"] = config["reading"]["orders"][strategy]
    name, weights = [_literal(entry["sampler"])], [WEIGHTS] if is_weighted(entry) else []
    classes = (
        [f"labels=labels[:, {list(config['tasks']).index(entry['task'])}]"] if is_labelled(entry) else []
    )
    loading = loading_of(entry, config["training"]) | {"seed": config["training"]["seeds"][0]}
    reading = config["reading"]
    chosen = {key: reading[key] for key in ("max_cells", "layer", "where") if reading[key]}
    files, transform = _list("files", reading["plates"]), reading["transform"]
    own = loading | ({} if transform == "none" else {"transform": transform})
    ours = [
        "import numpy as np",
        "from cellshuffle import Loader, Plates, sampler",
        "",
        files,
        _call("plates = Plates", ["files"], chosen),
        LABELS,
        _call("order = sampler", name, options, classes),
        _call("loader = Loader", ["plates", "order"], own, ["obs={'labels': labels}", *weights]),
        "for batch in loader:",
        "    X, y = batch.X, batch.obs['labels']",
    ]
    plain = [
        "import numpy as np",
        "import torch",
        "from cellshuffle import Plates, sampler",
        "from scdataset import scDataset",
        "",
        files,
        _call("plates = Plates", ["files"], chosen | {"obs": []}),
        LABELS,
        _call("order = sampler", name, options, [*classes, *weights]),
        _call("loader = scDataset", ["plates", "order"], loading),
        "for batch in loader:",
        *(f"    {line}" for line in TRANSFORMED[transform]),
        "    y = torch.from_numpy(labels[batch.cells].astype(np.int64))",
    ]
    own = {"With the loader of cellshuffle": "\n".join(ours)}
    return own if is_exact(entry) else own | {"With scDataset itself": "\n".join(plain)}


def _call(name, arguments, options, more=()):
    keywords = [f"{key}={_literal(value)}" for key, value in options.items()]
    return f"{name}({', '.join([*arguments, *keywords, *more])})"


def _list(name, paths):
    """`name = [...]`, on several lines where one is too long."""
    line = f"{name} = [{', '.join(map(_literal, paths))}]"
    if len(line) <= 100:
        return line
    lines, row = [], ""
    for item in map(_literal, paths):
        if row and len(row) + len(item) > 90:
            lines.append(row)
            row = ""
        row += f"{item}, "
    return f"{name} = [\n" + textwrap.indent("\n".join(r.rstrip() for r in [*lines, row]), "    ") + "\n]"


def _literal(value):
    """A value as Python; text that a page would not show as it is with escapes."""
    text = repr(value)
    return text if one_line(text) == text else ascii(value).replace("  ", " \\x20")
