"""Jobs that SLURM cancelled to make room for others, put back into its queue.

Snakemake's SLURM plugin waits for a preempted job to come back by itself. That is what SLURM does
where `PreemptMode` is REQUEUE; where it is CANCEL, nobody would start the job again.
"""

import subprocess
import threading
import time

from cellshuffle.console import say

PAUSE = 30  # seconds between two looks


def requeue_preempted(run_id, pause=PAUSE):
    """Watch the jobs that SLURM knows by the name `run_id` in a thread that ends with the process."""
    if run_id is not None:
        watch = threading.Thread(target=_watch, args=(run_id, pause), name="requeue", daemon=True)
        watch.start()


def _watch(run_id, pause):
    while True:
        time.sleep(pause)
        for job in preempted_jobs(run_id):
            if _slurm("scontrol", "requeue", job) is not None:
                say(f"SLURM job {job} was preempted: put back into the queue, it will go on")


def preempted_jobs(run_id):
    """Numbers of the jobs of a run that were preempted and that SLURM does not start again."""
    asked = ["--me", "--noheader", "--states=PREEMPTED", "--format=%i", f"--name={run_id}"]
    found = _slurm("squeue", *asked)
    return (found or "").split()


def _slurm(*command):
    """What the command printed; None where it failed: the next look may be luckier."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
