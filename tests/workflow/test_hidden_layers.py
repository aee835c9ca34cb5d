"""A run whose model has hidden layers: as one of plain torch, with the linear model beside it."""

import pytest
from cellshuffle.analysis.comparison import COMPARISON_COLUMNS, METRICS_COLUMNS, read_table
from independent import equals_plain_torch
from runs import SMALL, fails, on_existing_atlas, snakemake

HIDDEN = [24, 10]
CHOSEN = ("streaming", "block_shuffling", "random_sampling")
FILES = ("metrics.json", "predictions.npz", "model.pt")


def configuration(small_run, **changes):
    config = on_existing_atlas(small_run, training={"model": {"hidden": HIDDEN}}, **changes)
    return config | {"strategies": {name: SMALL["strategies"][name] for name in CHOSEN}}


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hidden")
    targets = [f"results/small/{name}" for name in ("comparison.md", "summary/answers.html")]
    snakemake(folder, configuration(small_run), *targets)
    return folder / "results/small"


def test_the_model_is_plain_torch_s(small_run, run):
    entry = SMALL["strategies"]["block_shuffling"]
    equals_plain_torch(small_run / "results/small", run, entry, hidden=HIDDEN)


def test_the_linear_model_beside_it_is_that_of_a_linear_run(small_run, run):
    for strategy in CHOSEN:
        for name in FILES:
            beside = run / f"train_linear/{strategy}/seed0/{name}"
            alone = small_run / f"results/small/train/{strategy}/seed0/{name}"
            assert beside.read_bytes() == alone.read_bytes(), (strategy, name)
    metrics = read_table(small_run / "results/small/metrics.csv", METRICS_COLUMNS)
    means = metrics.groupby(["strategy", "task", "metric"])["value"].mean()
    for row in read_table(run / "linear/comparison.csv", COMPARISON_COLUMNS).itertuples():
        assert row.mean == pytest.approx(means[row.strategy, row.task, row.metric])
    assert not list(run.rglob("checkpoint.pt"))


def test_the_report_says_what_the_model_is_and_whether_it_ranks_alike(run):
    page, text = (run / "summary/answers.html").read_text(), (run / "comparison.md").read_text()
    assert "trains the same model with hidden layers of 24 and 10 units (ReLU) once per" in page
    assert "one classifier a task on hidden layers of 24 and 10 units (ReLU)" in page
    assert "linear model once per" not in page
    for shown in (page, text):
        assert "Does the linear model rank them the same?" in shown
        assert "trained with the same strategies, seeds and cells" in shown


def test_without_the_linear_model_the_ranking_is_not_known(small_run, run):
    """And nothing is trained again to say so."""
    config = configuration(small_run, compare={"linear": False})
    done = snakemake(run.parents[1], config, "results/small/comparison.md")
    assert "Not known. This run trained no linear model" in (run / "comparison.md").read_text()
    assert "rule compare:" in done.stdout and "rule train" not in done.stdout


def test_layers_that_cannot_be(tmp_path):
    for hidden, words in (
        ([0], "training: model: hidden: 0: 0 must be at least 1"),
        ([100_001], "100001 must be at most 100000: over the genes of Tahoe-100M"),
        (512, "training: model: hidden: 512 is not a list"),
        ([2] * 21, "training: model: hidden: has 21 entries, at most 20 are allowed"),
    ):
        fails([words], tmp_path, SMALL | {"training": {"model": {"hidden": hidden}}}, "--dry-run")
