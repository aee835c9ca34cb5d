"""What a person sees of a job: its log, its progress, and one line when it fails."""

import sys
from types import SimpleNamespace

# In a log, before what another attempt of the same job says.
STARTED_AGAIN = "--- started again"


def say(text):
    """One line about what the job is doing."""
    sys.stderr.write(f"{text}\n")  # at once: with print, another process may write before the line's end
    sys.stderr.flush()


def about_first(paths, text):
    """One line about the first of `paths`, if there are any, and how many more there are."""
    rest = f" (and the same of {len(paths) - 1} more)" if len(paths) > 1 else ""
    yield from (f"{path}: {text}{rest}" for path in paths[:1])


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
