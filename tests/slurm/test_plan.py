"""The plan of the whole atlas under the SLURM profile: its defaults replace no figure of a rule's own."""

import subprocess
import sys

import pytest
from dry_runs import jobs_of, write_placeholders
from runs import REPOSITORY

pytest.importorskip("snakemake_executor_plugin_slurm", reason="requirements-slurm.txt is missing")


def plan(folder, *profile):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nocolor", *profile]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(REPOSITORY / "config/tahoe.yaml")]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return jobs_of(done.stdout + done.stderr)


def test_jobs_ask_for_the_same_with_and_without_the_profile(tmp_path):
    write_placeholders(tmp_path)
    own = plan(tmp_path)
    submitted = plan(tmp_path, "--profile", str(REPOSITORY / "profiles/slurm"))
    assert set(own) == set(submitted) and len(own["train"]) == 18
    for rule, jobs in own.items():
        names = set(jobs[0]) - {"tmpdir"}
        assert asked(submitted[rule], names) == asked(jobs, names), rule


def asked(jobs, names):
    return sorted(sorted((name, job[name]) for name in names) for job in jobs)
