"""What a person sees of a job: its log, its progress, and one line when it fails."""

import sys
from types import SimpleNamespace

# In a log, before what another attempt of the same job says.
STARTED_AGAIN = "--- started again"


def say(text):
    """One line about what the job is doing."""
    print(text, file=sys.stderr, flush=True)


def silent(total, unit, label):
    """What `progress` is where nothing shall be shown."""
    return SimpleNamespace(update=lambda n: None, close=lambda: None)


def progress(total, unit, label):
    """A tqdm counter that prints a whole line now and then: share, rate, time left.

    Without tqdm, where only what training needs is installed, it counts in silence.
    """
    try:
        from tqdm import tqdm
    except ImportError:
        return silent(total, unit, label)
    return tqdm(
        total=total,
        desc=label,
        unit=f" {unit}",
        unit_scale=True,
        delay=10,
        mininterval=10,
        maxinterval=60,
        file=sys.stderr,
        leave=False,
        bar_format="{desc}: {percentage:.0f}% of {total_fmt}{unit}, {rate_fmt}, {remaining} left\n",
    )
