"""Start a training: in this process, or with torchrun in several, on one node or on more."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zlib
from pathlib import Path

from cellshuffle.errors import InputError, Stopped
from cellshuffle.files import write_json
from cellshuffle.training.interruption import stop_signal

# What begins a line of one of several processes: one for a person, one on a process that was killed; and
# what is for the log alone, the tracebacks of the others and all that torchrun says itself.
MESSAGE, KILLED, DETAIL = "cellshuffle: ", "cellshuffle, killed: ", "cellshuffle, detail: "
OF_TORCHRUN = re.compile(r"[EW]\d{4} \d\d:\d\d:|\[rank\d+\]:|\*{20}|Setting OMP_NUM_THREADS")


def wait_passively():
    """Let threads of torch that wait for others sleep; it must come before torch is imported.

    A thread that spins takes the core from the one that prepares the next batches, which on busy cores
    made a step up to 50 times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def launch(job, folder):
    """Run the job (see training/job.py) in the processes that its recipe asks for, spread over its nodes.

    Several processes are torchrun's; on several nodes, `srun` starts a torchrun on each, so the
    job must run inside an allocation of SLURM. Raises InputError or Stopped with their lines.
    """
    world_size, nodes = job["recipe"]["world_size"], job["execution"]["nodes"]
    if problem := missing_slurm(nodes):
        raise InputError(problem)
    wait_passively()
    if world_size == 1:
        from cellshuffle.training.job import run_job

        return run_job(job)
    check_processes(world_size // nodes, job["recipe"]["device"])
    description = Path(folder) / "job.json"
    write_json(description, job)
    library = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([library, *sys.path])}
    said = {MESSAGE: [], KILLED: [], DETAIL: []}
    with (
        subprocess.Popen(
            [*torchrun(world_size, nodes, str(description)), str(description)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as processes,
        stop_signal(processes.terminate) as stop_requested,
    ):
        for line in processes.stderr:
            prefix = DETAIL if OF_TORCHRUN.match(line) else next(filter(line.startswith, said), None)
            if prefix is None:
                sys.stderr.write(line)
            else:
                said[prefix].append(line.removeprefix(prefix).strip("\n"))
    if processes.returncode:
        _fail(said, Stopped if stop_requested() else InputError, processes.returncode)
    description.unlink()


def check_processes(processes, device):
    """Raise InputError unless each process of a training on this machine has a GPU, or a core, of its own."""
    import torch

    from cellshuffle.training.devices import device_of

    on_gpu = device_of(device) == "cuda"
    there = torch.cuda.device_count() if on_gpu else len(os.sched_getaffinity(0))
    if processes > there:
        needed = f"{processes:,} processes on this machine need a {'GPU' if on_gpu else 'core'} each"
        raise InputError(f"training: world_size: {needed}, and it has {there}")


def _fail(said, error, code):
    """Raise an error with the reasons that the processes gave, else with all that they said, for the log."""
    reasons = said[MESSAGE] or said[KILLED]
    if not reasons and code < 0:
        reasons = [
            f"torchrun was killed by {signal.Signals(-code).name}; start again to go on from the checkpoint"
        ]
    if reasons:
        raise error("\n".join(dict.fromkeys(reasons)))
    story = [line for line in said[DETAIL] if line.strip()] or [""]
    raise RuntimeError("\n".join([f"torchrun ended with exit code {code}: {story[-1]}", *story]))


def missing_slurm(nodes):
    """A line where no training can start on several nodes, since only SLURM can spread it; else None."""
    if nodes == 1 or "SLURM_JOB_ID" in os.environ or _slurm_answers():
        return None
    return (
        f"training: nodes: {nodes} needs SLURM, whose srun starts the processes, and there is none here; "
        "train on one node (nodes: 1), or on a cluster (docs/cluster.md)"
    )


def _slurm_answers():
    """Whether there is srun, and a cluster behind it."""
    srun = shutil.which("srun")
    if srun is None:
        return False
    sinfo = Path(srun).with_name("sinfo")
    return not sinfo.exists() or not subprocess.run([sinfo], capture_output=True, check=False).returncode


def torchrun(world_size, nodes, name):
    """The command, without its arguments, that runs cellshuffle.training.job in `world_size` processes.

    name: of the training; trainings that share a node meet at ports of their own.
    """
    command = [sys.executable, "-m", "cellshuffle.training.torchrun"]
    command += [f"--nproc-per-node={world_size // nodes}", "-m", "cellshuffle.training.job"]
    if nodes == 1:
        return [*command[:3], "--standalone", *command[3:]]
    number = zlib.crc32((os.environ.get("SLURM_JOB_ID", "") + name).encode())
    rendezvous = [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-id={number}"]
    rendezvous += [f"--rdzv-endpoint={socket.gethostname()}:{20_000 + number % 40_000}"]
    srun = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    return [*srun, *command[:3], *rendezvous, *command[3:]]
