"""Odd places and company: two runs at once, stale locks, read-only input, spaces, another file system."""

import os
import shutil
import signal
import subprocess
import sys
import time

import anndata
import pytest
import yaml
from conftest import REPOSITORY, merged, snakemake
from test_disk_full import disk  # noqa: F401  (a fixture)
from test_faults import running_rules
from test_inputs import CONFIG, folder, sound_atlas  # noqa: F401  (fixtures)

TARGETS = ["results/bad/metrics.csv", "results/bad/weights/combinations.csv"]


def start(folder, config, *targets, name="config.yaml"):  # noqa: F811
    """Start the pipeline in a process group of its own."""
    (folder / name).write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--configfile", name, "--cores", "1", *targets]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **options)


def wait_for_a_job(run):
    while run.poll() is None and not running_rules(run.pid):
        time.sleep(0.02)
    assert run.poll() is None


def same_scores(folder, other):  # noqa: F811
    for target in TARGETS:
        assert (folder / target).read_bytes() == (other / target).read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory, sound_atlas):  # noqa: F811
    """Folder of an ordinary run."""
    folder = tmp_path_factory.mktemp("plain")  # noqa: F811
    shutil.copytree(sound_atlas, folder / "atlas")
    snakemake(folder, CONFIG, *TARGETS)
    return folder


def test_two_runs_in_one_folder(folder, plain):  # noqa: F811
    first = start(folder, CONFIG, *TARGETS)
    wait_for_a_job(first)
    second = snakemake(folder, CONFIG, *TARGETS, check=False)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout and "--unlock" in second.stdout
    assert "Traceback" not in second.stdout
    output, _ = first.communicate()
    assert first.returncode == 0, output
    same_scores(folder, plain)


def test_after_a_kill_a_plain_start_works(folder, plain):  # noqa: F811
    first = start(folder, CONFIG, *TARGETS)
    wait_for_a_job(first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert list((folder / ".snakemake/locks").iterdir())
    snakemake(folder, CONFIG, *TARGETS)
    same_scores(folder, plain)


def test_two_runs_that_share_packed_plates(folder, plain):  # noqa: F811
    config = merged(CONFIG, {"atlas": {"packed_dir": str(folder / "packed")}})
    runs = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "atlas").symlink_to(folder / "atlas")
        runs.append(start(folder / name, config, *TARGETS))
    for name, run in zip(("one", "two"), runs, strict=True):
        output, _ = run.communicate()
        if run.returncode:  # the other run was replacing a plate at that moment
            assert "there is no such plate" in output and "Traceback" not in output, output
            snakemake(folder / name, config, *TARGETS)
        same_scores(folder / name, plain)
    assert {path.suffix for path in (folder / "packed").iterdir()} == {".h5ad", ".noted", ""}


def test_input_that_can_only_be_read(folder, plain, disk):  # noqa: F811
    shutil.move(folder / "atlas", folder / "moved")
    disk(folder / "atlas", "8m")
    shutil.copytree(folder / "moved", folder / "atlas", dirs_exist_ok=True)
    disk(folder / "atlas", "8m,ro")
    for pack in (True, False):
        snakemake(folder, merged(CONFIG, {"atlas": {"pack": pack}}), *TARGETS)
        same_scores(folder, plain)


def test_results_that_can_only_be_read(folder, disk):  # noqa: F811
    disk(folder / "results", "8m")
    disk(folder / "results", "8m,ro")
    done = snakemake(folder, CONFIG, *TARGETS, check=False)
    assert done.returncode != 0
    assert "Read-only file system" in done.stdout or "is read-only" in done.stdout, done.stdout


def test_spaces_and_letters_in_paths(tmp_path, sound_atlas, plain):  # noqa: F811
    name = "größer 细胞 it's (1) & $HOME; #2"
    folder = tmp_path / name  # noqa: F811
    shutil.copytree(sound_atlas, folder / f"atlas {name}")
    table = f"atlas {name}/moa.csv"
    config = merged(
        CONFIG, {"atlas": {"dir": f"atlas {name}"}, "tasks": {"moa": {"lookup": {"table": table}}}}
    )
    snakemake(folder, config, *TARGETS)
    same_scores(folder, plain)


def test_results_and_packed_plates_on_other_file_systems(folder, plain, disk):  # noqa: F811
    disk(folder / "elsewhere", "16m")
    disk(folder / "packed", "16m")
    (folder / "results").symlink_to("elsewhere")
    snakemake(folder, merged(CONFIG, {"atlas": {"packed_dir": "packed"}}), *TARGETS)
    same_scores(folder, plain)
    assert anndata.read_h5ad(folder / "packed/plate1.h5ad").n_obs
