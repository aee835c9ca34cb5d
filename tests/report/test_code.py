"""The code at the end of comparison.md and of the report is run, on the run that it is of."""

import contextlib
import html
import json
import os
import re

import numpy as np
import pytest
import synthetic_run
import torch
from cellshuffle import sampler
from cellshuffle.analysis.comparison import METRICS_COLUMNS, compare, read_table
from cellshuffle.atlas.plates import Plates
from cellshuffle.configuration.run import Run
from cellshuffle.configuration.schema import fill_defaults
from cellshuffle.loading.minibatches import cell_order, fetch_order
from cellshuffle.loading.samplers import sampler_of
from cellshuffle.report import answers, code, pages
from cellshuffle.report.html import preformatted
from cellshuffle.report.markdown import comparison_markdown
from runs import SCHEMA, SMALL, merged

OTHERS = {
    "class_balanced": {"sampler": "ClassBalancedSampling", "task": "moa_fine", "block_size": 4},
    "preshuffled": {"sampler": "PreShuffled", "chunk_size": 8, "seed": 3},
}
EXACT = [
    {"sampler": "ShuffleBuffer", "buffer_size": 100, "shuffle_plates": True},
    {"sampler": "ShardShuffle", "algorithm": "py1e", "shuffle_block_size": 500, "shard_size": 50},
    {"sampler": "OrderFile"},
]


def blocks(text):
    return re.findall(r"^```python\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)


def config_of(config):
    """The report's configuration of a run."""
    config = merged(config, {})
    fill_defaults(config, SCHEMA)
    return config | {"reading": Run(config).reading()}


def batches_of(text, folder):
    """(cells, X, y) of every minibatch of the first epoch that the code reads."""
    seen = []
    with contextlib.chdir(folder):
        exec(f"{text}\n    seen.append((batch.cells, X, y))", {"seen": seen})
    return seen


@pytest.mark.parametrize(
    ("strategy", "transform"),
    [
        *((s, "none") for s in [*SMALL["strategies"], *OTHERS, None]),
        (None, "log1p"),
        ("true_weighted", "cp10k_log1p"),
    ],
)
def test_both_forms_read_the_same_minibatches_in_the_order_of_the_run(small_run, strategy, transform):
    folder = small_run / "results/small"
    entries = SMALL["strategies"] | OTHERS
    config = config_of(merged(SMALL, {"training": {"transform": transform}, "strategies": entries}))
    loader, plain = (batches_of(t, folder) for t in code.training_code(config, strategy).values())
    assert len(loader) == len(plain) > 2
    for ours, other in zip(loader, plain, strict=True):
        np.testing.assert_array_equal(ours[0], other[0])
        torch.testing.assert_close(ours[1], other[1])
        torch.testing.assert_close(ours[2], other[2])
        assert ours[1].dtype == torch.float32 and ours[2].dtype == torch.int64
    labels = np.load(folder / "labels/train.npy")
    cells = np.concatenate([batch[0] for batch in loader])
    np.testing.assert_array_equal(torch.cat([batch[2] for batch in loader]), labels[cells])
    entry = dict(entries.get(strategy, code.RANDOM))
    size = entry.pop("batch_size", 32), entry.pop("fetch_factor", 4)
    name = entry.pop("sampler")
    weights = np.load(folder / "weights/cells.npy") if "Weighted" in name else None
    classes = labels[:, list(SMALL["tasks"]).index(entry.pop("task"))] if "task" in entry else None
    order = fetch_order(sampler(name, weights, classes, **entry), len(labels), *size, seed=0, epoch=0)
    expected = [numbers[positions] for numbers, wanted in order for positions in wanted]
    np.testing.assert_array_equal(cells, np.concatenate(expected))


@pytest.mark.parametrize("entry", EXACT)
def test_exact_orders_are_read_by_the_loader_alone(small_run, tmp_path, entry):
    folder, path = small_run / "results/small", tmp_path / "order.npy"
    np.save(path, np.arange(1000)[::-1])
    entry = entry | ({"path": str(path)} if entry["sampler"] == "OrderFile" else {})
    config = config_of(merged(SMALL, {"strategies": {"exact": entry}}))
    ((title, text),) = code.training_code(config, "exact").items()
    assert title == "With the loader of cellshuffle"
    plates = Plates([folder / f"packed/plate{plate}.h5ad" for plate in SMALL["atlas"]["train_plates"]])
    expected = cell_order(sampler_of(entry), plates, 32, 4, 0, 0)
    for (cells, _, _), theirs in zip(batches_of(text, folder), expected, strict=True):
        np.testing.assert_array_equal(cells, theirs)


def test_comparison_md_ends_with_code_that_runs(small_run):
    folder, config = small_run / "results/small", config_of(SMALL)
    jobs = [folder / f"train/{s}/seed{k}" for s in SMALL["strategies"] for k in SMALL["training"]["seeds"]]
    scores = read_table(folder / "metrics.csv", METRICS_COLUMNS)
    table = compare(scores, [job / "predictions.npz" for job in jobs], "random_sampling", 100)
    text = comparison_markdown(table, config, "random_sampling", synthetic_run.rises_of(table))
    _, end = text.split(f"\n## {code.TITLE}\n")
    assert "\n## " not in end and len(blocks(end)) == 2
    for block in blocks(end):
        assert len(block.splitlines()) <= 16 and len(batches_of(block, folder)) > 2


def test_the_report_shows_the_code_of_what_it_recommends(tmp_path):
    config = synthetic_run.make_config(4, 2)
    folder = synthetic_run.write_run(tmp_path, config)
    results = synthetic_run.results_of(folder, config)
    for name in ("comparison", "differences", "tradeoff", "why", "order"):
        (tmp_path / f"{name}.svg").write_text("<svg/>")
        setattr(results.files, f"{name}_figure", tmp_path / f"{name}.svg")
    settings = json.loads(json.dumps(config))
    settings["atlas"]["simulate"] = None
    settings["training"]["learning_rate"] = 1e-3
    page = pages.answers_page(results, settings)
    assert f"<h2>{code.TITLE}</h2>" in page
    shown = [html.unescape(block) for block in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
    speeds = results.totals.groupby("strategy")["cells_per_second"].agg(list).to_dict()
    seconds = results.totals["train_seconds"].mean()
    strategy = answers.recommended(results.comparison, list(speeds), results.baseline, speeds, seconds)
    assert shown == list(code.training_code(config, strategy).values())


def test_paths_of_any_name_stay_what_they_are():
    names = ["a  b'\"{x}.h5ad", "Größe\u200d.h5ad", "```<b>.h5ad", *(f"{'x' * 30}{k}.h5ad" for k in range(9))]
    config = synthetic_run.make_config()
    config["reading"] |= {"plates": names, "where": {"a  b": ["<c>", "d\n"]}, "max_cells": 9, "layer": "raw"}
    for text in code.training_code(config, None).values():
        shown = html.unescape(re.fullmatch(r"<pre>(.*)</pre>", preformatted(text), re.DOTALL)[1])
        for page in (shown, blocks(f"```python\n{text}\n```")[0]):
            scope = {}
            listed = page[page.index("files = [") : page.index("plates = Plates(")]
            exec(listed, scope)
            assert scope["files"] == names
            call = re.search(r"^plates = Plates\((.*)\)$", page, re.MULTILINE)[1]
            given = eval(f"dict({call.removeprefix('files, ')})")
            expected = {"max_cells": 9, "layer": "raw", "where": {"a  b": ["<c>", "d\n"]}}
            assert {key: given[key] for key in expected} == expected


def test_without_a_recommendation_the_order_is_random():
    config = synthetic_run.make_config(1)
    for text in code.training_code(config, None).values():
        assert "sampler('BlockShuffling', block_size=1)" in text
    assert code.explanation(None)[0].startswith("This run cannot tell which order is best: random order, ")
    assert os.linesep not in "".join(code.explanation("streaming"))
