"""Does this machine reproduce the reference results?

python -m cellshuffle.analysis.verification results/demo results/reference   says so, then what differs
"""

import sys
from pathlib import Path

from cellshuffle.errors import InputError
from cellshuffle.files import read_json

EXACTLY, WITHIN, NOT = "exactly", "within the seeds' spread", "not"
FLOOR = 0.005  # differences of scores below this are nobody's concern, however small the spread


def trainings(run):
    """{(strategy, seed): content of metrics.json} of a run's folder."""
    found = [read_json(path) for path in sorted(Path(run).glob("train/*/seed*/metrics.json"))]
    if not found:
        raise InputError(f"{run}: holds no results (no train/*/seed*/metrics.json)")
    return {(one["strategy"], one["seed"]): one for one in found}


def verify(fresh, reference):
    """Compare two results of `trainings`: (EXACTLY, WITHIN or NOT; lines on what differs).

    Within: no strategy's mean score differs by more than two standard deviations of the
    reference's seeds, or FLOOR where that is more.
    """
    lines = [f"{_name(job)}: missing here" for job in reference if job not in fresh]
    if lines:
        return NOT, lines
    fresh = {job: fresh[job] for job in reference}  # a strategy of one's own is beside the point
    if fresh == reference:
        return EXACTLY, []
    orders = [j for j in reference if fresh[j]["order_sha256"] != reference[j]["order_sha256"]]
    lines += [f"{_name(job)}: the cells came in another order" for job in orders]
    ours, theirs = _scores(fresh), _scores(reference)
    if ours.keys() != theirs.keys():
        return NOT, [*lines, "other tasks or scores than the reference"]
    worst = WITHIN
    for key, values in theirs.items():
        if ours[key] == values:
            continue
        difference = abs(_mean(ours[key]) - _mean(values))
        allowed = max(FLOOR, 2 * _sd(values))
        if difference > allowed:
            worst = NOT
        lines.append(
            f"{' '.join(key)}: mean {_mean(ours[key]):.4f} here, {_mean(values):.4f} in the reference"
            + (
                f" (differs by {difference:.4f}, allowed {allowed:.4f})"
                if difference > allowed
                else ""
            )
        )
    return worst, lines


def _name(job):
    return f"{job[0]} seed {job[1]}"


def _scores(runs):
    """{(strategy, task, metric): values by seed}."""
    scores = {}
    for (strategy, _), one in sorted(runs.items()):
        for task, own in one["scores"].items():
            for metric, value in own.items():
                scores.setdefault((strategy, task, metric), []).append(value)
    return scores


def _mean(values):
    return sum(values) / len(values)


def _sd(values):
    centre = _mean(values)
    return (sum((v - centre) ** 2 for v in values) / max(len(values) - 1, 1)) ** 0.5


def main(fresh, reference):
    try:
        verdict, lines = verify(trainings(fresh), trainings(reference))
    except InputError as error:
        sys.exit(f"error: {error}")
    say = {
        EXACTLY: "reproduces the reference exactly",
        WITHIN: "reproduces the reference within the seeds' spread, not exactly",
        NOT: "does NOT reproduce the reference",
    }
    print(f"This machine {say[verdict]} ({fresh} against {reference}).")
    for line in lines:
        print(f"  {line}")
    return int(verdict == NOT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
