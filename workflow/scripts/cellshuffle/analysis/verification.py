"""Does this machine reproduce the reference results?

python -m cellshuffle.analysis.verification results/demo results/reference   says so in one line
"""

import sys
from pathlib import Path

import pandas as pd

from cellshuffle.errors import InputError
from cellshuffle.files import read_json, readable_as

EXACTLY = "reproduces the reference exactly"
WITHIN = "reproduces the reference within the seeds' spread, not exactly"
NOT = "does NOT reproduce the reference"
TOLERANCE = 0.005  # difference of mean scores that is allowed however small the seeds' spread


def trainings(run):
    """{(strategy, seed): content of metrics.json} of a run's folder."""
    found = {}
    for path in sorted(Path(run).glob("train/*/seed*/metrics.json")):
        job = read_json(path)
        with readable_as("the scores of a training", path):
            job.pop("fingerprint", None)  # of the code as well, which may say the same in other words
            found[job["strategy"], job["seed"]] = job
    if not found:
        raise InputError(f"{run}: holds no results (no train/*/seed*/metrics.json)")
    return found


def verify(fresh, reference):
    """Compare two results of `trainings`: (EXACTLY, WITHIN or NOT; a phrase on what differs most).

    WITHIN: no mean score of a strategy differs by more than two standard deviations over the
    reference's seeds, or by TOLERANCE where that is more. Strategies that the reference lacks do not matter.
    """
    missing = [f"{strategy} seed {seed}" for strategy, seed in reference.keys() - fresh.keys()]
    if missing:
        return NOT, f"missing here: {', '.join(sorted(missing))}"
    fresh = {job: fresh[job] for job in reference}
    if fresh == reference:
        return EXACTLY, "same scores, losses and orders of cells"
    ours, theirs = _scores(fresh), _scores(reference)
    if set(ours.index) != set(theirs.index):
        return NOT, "other tasks or scores than the reference"
    orders = [j for j in reference if fresh[j]["order_sha256"] != reference[j]["order_sha256"]]
    count = f"{len(orders)} of {len(reference)} trainings"
    order = f"the cells came in another order in {count}; " if orders else ""
    difference, over_seeds = ours - theirs, ["strategy", "task", "metric"]
    mean = difference.groupby(over_seeds).mean().abs()
    allowed = (2 * theirs.groupby(over_seeds).std()).fillna(0).clip(lower=TOLERANCE)
    worst = (mean - allowed).idxmax()
    if mean[worst] > allowed[worst]:
        size = f"differs by {mean[worst]:.4f}, allowed {allowed[worst]:.4f}"
        return NOT, f"{order}mean {' '.join(worst)} {size}"
    losses = _largest("losses", difference.xs("loss", level="metric", drop_level=False))
    scores = _largest("scores", difference.drop("loss", level="metric"))
    rounding = not orders and difference.abs().max() < 1e-6
    processor = " (another processor)" if rounding else ""
    return WITHIN, f"{order}{scores}; {losses}{processor}"


def _scores(runs):
    """Every score and loss, as a Series by strategy, task, metric and seed."""
    scores = {
        (strategy, task, metric, seed): value
        for (strategy, seed), job in runs.items()
        for task, values in job["scores"].items()
        for metric, value in values.items()
    }
    return pd.Series(scores).rename_axis(["strategy", "task", "metric", "seed"])


def _largest(name, difference):
    """The largest difference in words."""
    size, where = difference.abs().max(), difference.abs().idxmax()
    if size == 0:
        return f"{name} identical"
    return f"{name} differ by at most {size:.0e}, in {'{} {} {} seed {}'.format(*where)}"


def main(fresh, reference):
    """Print one line; returns the exit code."""
    try:
        verdict, differences = verify(trainings(fresh), trainings(reference))
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"This machine {verdict} ({fresh} against {reference}): {differences}.")
    return int(verdict == NOT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
