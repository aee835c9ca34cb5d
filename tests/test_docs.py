"""Every command in the documentation runs: for real where it is quick, as a dry run where it is not."""

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from atlases import counts_of, obs_of, write_atlas
from cellshuffle import configuration
from conftest import REPOSITORY
from test_real_input import NAME, scanpy_datasets

FOLDERS = ("*.md", "docs/*.md", "config/*.md", "benchmarks/*.md")
PAGES = sorted(page for pattern in FOLDERS for page in REPOSITORY.glob(pattern))
COMMANDS = (
    "snakemake",
    "make",
    "pip",
    "python",
    "cp",
    "mkdir",
    "gcloud",
    "squeue",
    "podman",
    "git",
)
# What a test cannot run, and why.
LEFT_OUT = {
    "gcloud": "downloads 314 GB",
    "squeue": "needs a SLURM cluster; tests/slurm has one",
    "podman": "needs a container engine and the network; CI builds the image",
    "git": "clones what is here already",
    "pip install snakemake-executor-plugin": "another scheduler's plugin, from the network",
    "--profile profiles/slurm": "needs SLURM and its plugin; tests/slurm submits with this profile",
    "-m venv": "makes an environment; `make env` made the one that runs this test",
}


def commands(text):
    """Shell commands of a page: of fenced bash blocks, and of indented lines that begin like one."""
    fenced = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    indented = "\n".join(re.findall(r"^ {4,}(\S.*)$", outside, re.MULTILINE))
    for block, always in ((fenced, True), (indented, False)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # settings before the command
                words = words[1:]
            if words and (always or Path(words[0]).name in COMMANDS):
                yield words


ALL = [
    pytest.param(words, id=f"{page.stem}: {' '.join(words)[:80]}")
    for page in PAGES
    for words in commands(page.read_text(encoding="utf-8"))
]


def test_the_documentation_has_commands():
    assert len(ALL) > 25 and {page.stem for page in PAGES} >= {"README", "tahoe", "own_atlas"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder like a clone in which the atlases that the documentation speaks of are at hand."""
    folder = tmp_path_factory.mktemp("clone")
    for path in REPOSITORY.iterdir():
        if path.name not in ("results", "data", ".snakemake", ".git"):
            (folder / path.name).symlink_to(path)
    (folder / "results").mkdir()
    for name in ("reference", "published"):
        if (REPOSITORY / "results" / name).exists():
            (folder / "results" / name).symlink_to(REPOSITORY / "results" / name)
    cells, tahoe = folder / "data/pbmc68k", folder / "data/tahoe100m"
    for atlas in (cells, tahoe):
        atlas.mkdir(parents=True)
    (cells / NAME).symlink_to(scanpy_datasets() / NAME)
    name = yaml.safe_load((REPOSITORY / "config/tahoe.yaml").read_text())["atlas"]["plate_file"]
    for plate in range(1, 15):
        (tahoe / name.format(plate=plate)).touch()
    (tahoe / "drug_metadata.parquet").touch()
    kinds = {column: (["a", "b", "c"], "string") for column in ("cell_type", "guide")}
    kinds["batch"] = (["b1", "b2", "b3"], "string")
    screen = folder / "data/screen/screen.h5ad"
    write_atlas(screen, counts_of(90, 30), obs_of(90, **kinds), "csc", "counts", "gzip")
    return folder


@pytest.mark.parametrize("words", ALL)
def test_command(words, clone):
    text = " ".join(words)
    for left_out, reason in LEFT_OUT.items():
        if text.startswith(left_out) or (left_out.startswith("-") and left_out in text):
            pytest.skip(reason)
    name = Path(words[0]).name
    if name == "pip":  # what it would install is there; `make` installs it
        for path in (w for flag, w in itertools.pairwise(words) if flag in ("-r", "--requirement")):
            assert (clone / path).is_file(), path
        return
    if name == "snakemake":
        if "--report" in words:
            pytest.skip("needs a finished run; `make run` makes one and its report")
        command = [sys.executable, "-m", "snakemake", *words[1:]]
        command += [] if {"-n", "--dry-run"} & set(words) else ["--dry-run"]
        command += ["--quiet", "all"] if "--quiet" not in words else []
    elif name == "make":
        command = ["make", "--dry-run", *words[1:]]
    elif name == "cp" and ".venv" in text:
        assert list(clone.glob(words[1])), words[1]
        return
    else:
        command = words
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


EXAMPLES = [
    pytest.param(block, id=f"{page.stem}: {block.split()[0]} {block.split()[1]}")
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_configuration_in_the_documentation(block, clone, tmp_path):
    """A whole configuration plans its jobs; a part is valid in place of the demo's."""
    schema = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())
    part = yaml.safe_load(block)
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    config = part if "tasks" in part else demo | part
    assert configuration.schema_problems(config, schema) == []
    if "tasks" not in part:
        return
    path = tmp_path / "config.yaml"
    path.write_text(block)
    command = [sys.executable, "-m", "snakemake", "--configfile", str(path), "--cores", "1"]
    done = subprocess.run(
        [*command, "--dry-run", "--quiet", "rules"],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^pack_plate +\d$", done.stdout, re.MULTILINE)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http", "mailto")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_architecture_names_every_module_and_no_other():
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    library = REPOSITORY / "workflow/scripts/cellshuffle"
    assert named == {path.stem for path in library.glob("*.py")} - {"__init__"}
