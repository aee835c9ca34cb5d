"""Does this machine reproduce the reference results?

python -m cellshuffle.analysis.verification results/demo results/reference   says so, and what differs
"""

import sys
from pathlib import Path
from statistics import fmean, stdev

from cellshuffle.errors import InputError
from cellshuffle.files import read_json

EXACTLY, WITHIN, NOT = "exactly", "within the seeds' spread", "not"
TOLERANCE = (
    0.005  # difference of mean scores that is always allowed, however small the spread of the seeds
)


def trainings(run):
    """{(strategy, seed): content of metrics.json} of a run's folder."""
    metrics = [read_json(path) for path in sorted(Path(run).glob("train/*/seed*/metrics.json"))]
    if not metrics:
        raise InputError(f"{run}: holds no results (no train/*/seed*/metrics.json)")
    return {(job["strategy"], job["seed"]): job for job in metrics}


def verify(fresh, reference):
    """Compare two results of `trainings`: (EXACTLY, WITHIN or NOT; lines on what differs).

    WITHIN: no mean score of a strategy differs by more than two standard deviations over the
    reference's seeds, or by TOLERANCE where that is more.
    """
    lines = [f"{_name(job)}: missing here" for job in reference if job not in fresh]
    if lines:
        return NOT, lines
    fresh = {
        job: fresh[job] for job in reference
    }  # strategies that the reference lacks do not matter
    if fresh == reference:
        return EXACTLY, []
    orders = [j for j in reference if fresh[j]["order_sha256"] != reference[j]["order_sha256"]]
    lines += [f"{_name(job)}: the cells came in another order" for job in orders]
    ours, theirs = _scores(fresh), _scores(reference)
    if ours.keys() != theirs.keys():
        return NOT, [*lines, "other tasks or scores than the reference"]
    verdict = WITHIN
    for key, values in theirs.items():
        if ours[key] == values:
            continue
        here, there = fmean(ours[key]), fmean(values)
        difference = abs(here - there)
        allowed = max(TOLERANCE, 2 * stdev(values) if len(values) > 1 else 0)
        line = f"{' '.join(key)}: mean {here:.4f} here, {there:.4f} in the reference"
        if difference > allowed:
            verdict = NOT
            line += f" (differs by {difference:.4f}, allowed {allowed:.4f})"
        lines.append(line)
    return verdict, lines


def _name(job):
    return f"{job[0]} seed {job[1]}"


def _scores(runs):
    """{(strategy, task, metric): values by seed}."""
    scores = {}
    for (strategy, _), job in sorted(runs.items()):
        for task, values in job["scores"].items():
            for metric, value in values.items():
                scores.setdefault((strategy, task, metric), []).append(value)
    return scores


def main(fresh, reference):
    try:
        verdict, lines = verify(trainings(fresh), trainings(reference))
    except InputError as error:
        sys.exit(f"error: {error}")
    sentence = {
        EXACTLY: "reproduces the reference exactly",
        WITHIN: "reproduces the reference within the seeds' spread, not exactly",
        NOT: "does NOT reproduce the reference",
    }
    print(f"This machine {sentence[verdict]} ({fresh} against {reference}).")
    for line in lines:
        print(f"  {line}")
    return int(verdict == NOT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
