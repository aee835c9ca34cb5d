"""Odd places and company: two runs at once, stale locks, read-only input, spaces, another file system."""

import fcntl
import json
import os
import shutil
import signal
import time
from base64 import urlsafe_b64encode

import anndata
import pytest
from runs import REPOSITORY, SOUND, finished, merged, prepare, running_rules, snakemake, start

TARGETS = ["results/bad/metrics.csv", "results/bad/weights/combinations.csv"]


def wait_for_a_job(run):
    while run.poll() is None and not running_rules(run.pid):
        time.sleep(0.02)
    assert run.poll() is None


def same_scores(folder, other):
    for target in TARGETS:
        assert (folder / target).read_bytes() == (other / target).read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory, sound_atlas):
    """Folder of an ordinary run."""
    folder = tmp_path_factory.mktemp("plain")
    shutil.copytree(sound_atlas, folder / "atlas")
    snakemake(folder, SOUND, *TARGETS)
    return folder


def test_two_runs_in_one_folder(sound, plain):
    first = start(sound, SOUND, *TARGETS, cores=1)
    wait_for_a_job(first)
    second = snakemake(sound, SOUND, *TARGETS, check=False)
    assert second.returncode != 0
    assert "error: another run is at work in this folder" in second.stdout and "--unlock" in second.stdout
    assert "Traceback" not in second.stdout and second.stdout.count("error: ") == 1
    output, _ = first.communicate()
    assert first.returncode == 0, output
    same_scores(sound, plain)


def test_after_a_kill_a_plain_start_works(sound, plain):
    first = start(sound, SOUND, *TARGETS, cores=1)
    wait_for_a_job(first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert list((sound / ".snakemake/locks").iterdir())
    assert list((sound / ".snakemake/incomplete").iterdir())
    snakemake(sound, SOUND, *TARGETS)
    same_scores(sound, plain)


def mark(folder, path):
    """Where Snakemake notes that a file is incomplete; a name that is too long for one goes into folders."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[low : low + 254] for low in range(0, len(name), 254)]
    return folder.joinpath(".snakemake/incomplete", *(f"@{part}" for part in parts[:-1]), parts[-1])


def test_what_a_killed_job_was_making_is_made_again(sound, plain):
    """Also where all of it is there, and whatever Snakemake notes of it."""
    shutil.copytree(plain, sound, dirs_exist_ok=True)
    record = sound / "results/bad/made/weigh_cells.json"
    made = json.loads(record.read_text())
    record.write_text(json.dumps(made | {"files": dict.fromkeys(made["files"])}))
    deep = f"results/bad/{'a' * 300}/{'b' * 100}"
    marked = ["results/bad/weights/cells.npy", "results/other/weights/cells.npy", deep]
    marked += ["./results//bad/metrics.csv"]
    for path in (marks := [mark(sound, name) for name in marked]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"external_jobid": null}')
    done = snakemake(sound, SOUND, *TARGETS)
    assert [path.exists() for path in marks] == [False, True, False, False]
    assert "rule weigh_cells" in done.stdout and "rule encode_labels" not in done.stdout
    same_scores(sound, plain)


def test_the_lock_of_another_workflow_stays(sound):
    locks = sound / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/other/table.csv\n")
    (locks / "1.output.lock").write_text(f"results/{SOUND['run']}/metrics.csv\n")
    snakemake(sound, SOUND, *TARGETS, "--dry-run")
    assert [lock.name for lock in locks.iterdir()] == ["0.output.lock"]


def test_a_training_waits_for_one_that_outlived_its_run(sound, plain):
    """What a killed Snakemake leaves running is not done twice at the same time."""
    folder = sound / "results/bad/train/streaming/seed0"
    folder.mkdir(parents=True)
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    run = start(sound, SOUND, *TARGETS, cores=1)
    for line in run.stdout:
        if "still at work; waiting for its end" in line:
            break
    assert not list(folder.iterdir())
    os.close(held)
    output, _ = run.communicate()
    assert run.returncode == 0, output
    same_scores(sound, plain)


def test_two_runs_that_share_packed_plates(sound, plain):
    config = merged(SOUND, {"atlas": {"packed_dir": str(sound / "packed")}})
    runs = []
    for name in ("one", "two"):
        (sound / name).mkdir()
        (sound / name / "atlas").symlink_to(sound / "atlas")
        runs.append(start(sound / name, config, *TARGETS, cores=1))
    for name, run in zip(("one", "two"), runs, strict=True):
        output, _ = run.communicate()
        if run.returncode:  # the other run was replacing a plate at that moment
            assert "there is no such plate" in output and "Traceback" not in output, output
            snakemake(sound / name, config, *TARGETS)
        same_scores(sound / name, plain)
    assert {path.suffix for path in (sound / "packed").iterdir()} == {".h5ad", ""}


def test_input_that_can_only_be_read(sound, plain, disk):
    shutil.move(sound / "atlas", sound / "moved")
    disk(sound / "atlas", "8m")
    shutil.copytree(sound / "moved", sound / "atlas", dirs_exist_ok=True)
    disk(sound / "atlas", "8m,ro")
    for pack in (True, False):
        snakemake(sound, merged(SOUND, {"atlas": {"pack": pack}}), *TARGETS)
        same_scores(sound, plain)


def test_results_that_can_only_be_read(sound, disk):
    disk(sound / "results", "8m")
    disk(sound / "results", "8m,ro")
    done = snakemake(sound, SOUND, *TARGETS, check=False)
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line == "error: results/bad: the file system is read-only; a run must be able to write there"
    assert "Traceback" not in done.stdout


def test_a_working_folder_that_can_only_be_read(sound, disk):
    disk(sound / "working", "8m")
    shutil.copytree(sound / "atlas", sound / "working/atlas")
    prepare(sound / "working", SOUND, cores=1)
    disk(sound / "working", "8m,ro")
    arguments = ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "config.yaml", "--cores", "1"]
    done = finished(arguments, sound / "working", check=False)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line.endswith("/.snakemake: the file system is read-only; a run must be able to write there")


def test_spaces_and_letters_in_paths(tmp_path, sound_atlas, plain):
    name = "größer 细胞 it's (1) & $HOME; #2"
    folder = tmp_path / name
    shutil.copytree(sound_atlas, folder / f"atlas {name}")
    table = f"atlas {name}/moa.csv"
    config = merged(
        SOUND, {"atlas": {"dir": f"atlas {name}"}, "tasks": {"moa": {"lookup": {"table": table}}}}
    )
    snakemake(folder, config, *TARGETS)
    same_scores(folder, plain)


def test_results_and_packed_plates_on_other_file_systems(sound, plain, disk):
    disk(sound / "elsewhere", "16m")
    disk(sound / "packed", "16m")
    (sound / "results").symlink_to("elsewhere")
    snakemake(sound, merged(SOUND, {"atlas": {"packed_dir": "packed"}}), *TARGETS)
    same_scores(sound, plain)
    assert anndata.read_h5ad(sound / "packed/plate1.h5ad").n_obs


def test_the_home_folder_in_paths(sound, plain, monkeypatch):
    monkeypatch.setenv("HOME", str(sound))
    (sound / "atlas/genes.txt").write_text("\n".join(f"g{k}" for k in range(30)))
    (sound / "scratch").mkdir()
    atlas = {"dir": "~/atlas", "genes": "~/atlas/genes.txt", "packed_dir": "~/packed"}
    lookup = {"table": "~/atlas/moa.csv"}
    config = merged(
        SOUND,
        {"atlas": atlas | {"scratch": "~/scratch"}, "tasks": {"moa": {"lookup": lookup}}},
    )
    snakemake(sound / "run", config, *TARGETS)
    same_scores(sound / "run", plain)
    assert (sound / "packed/plate1.h5ad").exists() and not (sound / "run/~").exists()


@pytest.mark.parametrize("atlas", [("./atlas//", "./plate{plate}.h5ad"), (".", "atlas/plate{plate}.h5ad")])
def test_paths_that_begin_and_end_with_more_than_they_need(sound, atlas):
    config = merged(SOUND, {"atlas": dict(zip(("dir", "plate_file"), atlas, strict=True))})
    config["tasks"]["moa"]["lookup"]["table"] = "./atlas//moa.csv"
    done = snakemake(sound, config, "--dry-run", *TARGETS)
    assert "redundant" not in done.stdout and "atlas/plate1.h5ad" in done.stdout
