"""Jobs that SLURM cancelled to make room for others, put back into its queue.

Snakemake's SLURM plugin waits for a preempted job to come back by itself. That is what SLURM does
where `PreemptMode` is REQUEUE; where it is CANCEL, nobody would start the job again.
"""

import subprocess
import threading
import time

from cellshuffle.console import say

PAUSE = 30  # seconds between two queries


def requeue_preempted(folder, pause=PAUSE):
    """Watch the jobs of the Snakemake started in `folder`, in a thread that ends with the process."""
    threading.Thread(target=_watch, args=(folder, pause), name="requeue", daemon=True).start()


def _watch(folder, pause):
    while True:
        time.sleep(pause)
        for job in preempted_jobs(folder):
            if _slurm("scontrol", "requeue", job) is not None:
                say(f"SLURM job {job} was preempted: put back into the queue, it will go on")


def preempted_jobs(folder):
    """Numbers of Snakemake's jobs in a folder that were preempted and that SLURM does not start again.

    Snakemake's plugin submits every job from the folder, with a comment that begins with `rule_`.
    """
    query = ["--me", "--noheader", "--states=PREEMPTED", "--format=%i %k %Z"]
    jobs = (line.split(" ", 2) for line in (_slurm("squeue", *query) or "").splitlines())
    return [number for number, comment, place in jobs if comment.startswith("rule_") and place == folder]


def _slurm(*command):
    """What the command printed; None where it failed: the next look may be luckier."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
