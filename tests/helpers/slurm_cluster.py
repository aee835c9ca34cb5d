"""A real SLURM of one node on the loopback interface, for the length of a `with` block.

    with running_slurm(folder) as slurm:
        subprocess.run(["sbatch", ...], env=slurm.env)

It needs Debian's `slurm-wlm` and `munge` (the programs, not their services), no systemd, no
accounting data base, and touches nothing outside `folder`: own munge key and socket, own
configuration, free ports. It runs as root (as in a container) or as any other user.
"""

import contextlib
import ctypes
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

# KillWait: seconds between SIGTERM and SIGKILL. MinJobAge: how long squeue remembers a finished job,
# which is how Snakemake learns that it ended. cred_expire: a job that is put back in the queue
# waits that long (120 s by default). config_overrides: the node has what the file says, no less.
SLURM_CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.log
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MinJobAge=300
KillWait={kill_wait}
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode={mode}
PartitionName=urgent Nodes={host} MaxTime=INFINITE PriorityTier=9 PreemptMode=OFF
"""


@dataclass
class Slurm:
    """What a test needs of the cluster: its folder and the environment that leads to it."""

    folder: Path
    env: dict[str, str]

    def run(self, *command):
        """Run a SLURM command, return what it printed; RuntimeError when it fails."""
        done = subprocess.run(command, env=self.env, check=False, text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout.strip()

    def jobs(self):
        """Jobs that squeue knows, finished ones too: [{"id", "state", "comment"}, ...]."""
        rows = self.run("squeue", "--states=all", "--noheader", "--format=%i|%T|%k").splitlines()
        return [dict(zip(("id", "state", "comment"), row.split("|"), strict=True)) for row in rows]

    def ended(self):
        """Completion log of slurmctld: {(number, state)} of every end of a job."""
        log = self.folder / "jobs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        jobs = [dict(field.partition("=")[::2] for field in line.split()) for line in lines]
        return {(job["JobId"], job["JobState"]) for job in jobs}


def missing_programs():
    """Names of the needed programs that this machine lacks."""
    return [name for name in PROGRAMS if not shutil.which(name, path=SYSTEM_PATH)]


@contextlib.contextmanager
def running_slurm(preempt_mode="REQUEUE", kill_wait=5, cpus=4, memory_mb=16000):
    """Start munged, slurmctld and slurmd; yield a `Slurm`; end whatever they started.

    cpus, memory_mb: what the node claims to have, which may be more than the machine has: SLURM
    only counts. preempt_mode: what happens to a job of partition `main` when one of `urgent`
    needs its place (REQUEUE or CANCEL).
    """
    # not pytest's tmp_path: a unix socket's path may have 108 characters
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    daemons = []
    try:
        env = _configure(folder, preempt_mode, kill_wait, cpus, memory_mb)
        key, where = folder / "munge.key", f"{folder}/munge"
        munge = ["munged", "--foreground", "--force", f"--key-file={key}"]
        munge += [f"--{kind}={where}.{kind.split('-')[0]}" for kind in ("socket", "pid-file")]
        munge += [f"--log-file={where}.log", f"--seed-file={where}.seed"]
        daemons.append(_start(munge, env, folder))
        _wait_for(lambda: (folder / "munge.socket").exists(), daemons, folder)
        daemons.append(_start(["slurmctld", "-D"], env, folder))
        daemons.append(_start(["slurmd", "-D"], env, folder))
        slurm = Slurm(folder, env)
        _wait_for(lambda: _state_of_node(slurm) in ("idle", "mixed"), daemons, folder)
        yield slurm
    finally:
        _stop(folder, daemons)


def _configure(folder, preempt_mode, kill_wait, cpus, memory_mb):
    """Write the key and the configuration; return the environment that leads to them."""
    folder.chmod(0o711)  # munge wants its socket within everybody's reach
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    ctld_port, d_port = _free_ports(2)
    conf = folder / "slurm.conf"
    conf.write_text(
        SLURM_CONF.format(
            host=socket.gethostname().split(".")[0],
            user=getpass.getuser(),
            folder=folder,
            ctld_port=ctld_port,
            d_port=d_port,
            kill_wait=kill_wait,
            cpus=cpus,
            memory=memory_mb,
            mode=preempt_mode,
        )
    )
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")  # a GPU that only SLURM believes in
    # Snakemake's job step drops SLURM_CONF before it calls srun, so srun brings it along itself
    srun = folder / "bin" / "srun"
    srun.parent.mkdir()
    real = shutil.which("srun", path=SYSTEM_PATH)
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {real} "$@"\n')
    srun.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return env | {"PATH": f"{srun.parent}{os.pathsep}{SYSTEM_PATH}", "SLURM_CONF": str(conf)}


def _free_ports(n):
    """n TCP ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def _start(command, env, folder):
    """Start a daemon in the foreground, out of reach of the terminal's Ctrl-C."""
    libc = ctypes.CDLL(None)

    def end_with_parent():  # also when the test itself is killed outright
        libc.prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG

    with open(folder / f"{command[0]}.out", "w") as out:
        return subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )


def _state_of_node(slurm):
    with contextlib.suppress(RuntimeError):  # slurmctld not up yet
        return slurm.run("sinfo", "--noheader", "--format=%t", "--partition=main")


def _wait_for(condition, daemons, folder, seconds=60):
    """Return once condition() holds; RuntimeError with the logs when a daemon gave up."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or any(daemon.poll() is not None for daemon in daemons):
            logs = [*folder.glob("*.out"), *folder.glob("*.log")]
            text = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs)
            raise RuntimeError(f"SLURM did not come up:\n{text}")
        time.sleep(0.1)


def processes_of(folder):
    """Ids of the living processes that were started with this cluster's configuration.

    The daemons, and every job process: SLURM_CONF travels to all of them.
    """
    mark = f"SLURM_CONF={folder}/slurm.conf".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return sorted(set(found) - {os.getpid()})


def _stop(folder, daemons):
    """End the jobs, then the daemons, last started first, then any process left of them."""
    env = {**os.environ, "PATH": SYSTEM_PATH, "SLURM_CONF": str(folder / "slurm.conf")}
    if len(daemons) > 1 and daemons[1].poll() is None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            cancel = ["scancel", f"--user={getpass.getuser()}"]
            subprocess.run(cancel, env=env, capture_output=True, timeout=10)
            time.sleep(1)
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(timeout=15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for sig in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)
        time.sleep(0.5 if processes_of(folder) else 0)
    shutil.rmtree(folder, ignore_errors=True)
