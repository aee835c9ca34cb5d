"""Start a training: in this process, or with torchrun in several, on one node or on more."""

import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path

from cellshuffle.errors import InputError, Stopped
from cellshuffle.files import write_json
from cellshuffle.training.interruption import stop_signal

MESSAGE_PREFIX = "cellshuffle: "  # of a line for a person from one of several processes


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
    wait_passively()
    if world_size == 1:
        from cellshuffle.training.job import run_job

        return run_job(job)
    check_processes(world_size // nodes, job["recipe"]["device"])
    description = Path(folder) / "job.json"
    write_json(description, job)
    library = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([library, *sys.path])}
    messages = []  # for a person; what torchrun adds to them is of no use
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
            if line.startswith(MESSAGE_PREFIX):
                messages.append(line.removeprefix(MESSAGE_PREFIX).strip())
            elif not messages:
                sys.stderr.write(line)
    if processes.returncode:
        error = Stopped if stop_requested() else InputError
        ended = f"torchrun ended with exit code {processes.returncode}"
        raise error("\n".join(dict.fromkeys(messages)) or ended)
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


def torchrun(world_size, nodes, name):
    """The command, without its arguments, that runs cellshuffle.training.job in `world_size` processes.

    name: of the training; trainings that share a node meet at ports of their own.
    """
    command = [sys.executable, "-m", "torch.distributed.run"]
    command += [f"--nproc-per-node={world_size // nodes}", "-m", "cellshuffle.training.job"]
    if nodes == 1:
        return [*command[:3], "--standalone", *command[3:]]
    number = zlib.crc32((os.environ.get("SLURM_JOB_ID", "") + name).encode())
    rendezvous = [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-id={number}"]
    rendezvous += [f"--rdzv-endpoint={socket.gethostname()}:{20_000 + number % 40_000}"]
    srun = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    return [*srun, *command[:3], *rendezvous, *command[3:]]
