"""The documentation holds: the commands of a page run, in its order, and make what the page says."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration.consistency import inconsistencies
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.samplers import sampler_of
from documentation import (
    PAGES,
    SCHEMA,
    TWO_STRATEGIES,
    Clone,
    commands,
    look_at_results,
    programs_of,
    scores_are_whole,
    text_of,
    words_of,
)
from runs import LIBRARY, REPOSITORY

# What a test cannot run, by how the command begins or what it holds, and why.
LEFT_OUT = {
    "gcloud": "downloads 314 GB",
    "hf": "downloads hundreds of gigabytes",
    "squeue": "needs a SLURM cluster; tests/slurm has one",
    "podman": "needs a container engine and the network; CI builds the image",
    "git": "clones what is here already",
    "make test": "runs this test",
    " install ": "what it installs is here, or is another scheduler's, from the network",
    "--profile profiles/slurm": "needs SLURM and its plugin; tests/slurm submits with this profile",
    "--sdm conda": "needs conda and the network; CI makes the environments",
    "cellshuffle ": "needs the package installed; tests/repository/test_package.py installs and runs it",
    "torchrun ": "test_python_of_a_page runs it, after what makes its files",
    " -m venv": "makes an environment; `make env` made the one that runs this test",
}
FOLLOWED = [page for page in PAGES if any(commands(text_of(page)))]


def left_out(line):
    """Why a command is not run, None if it is."""
    for part, reason in LEFT_OUT.items():
        if line.startswith(part) or (part[0] in " -" and part in line):
            return reason
    return None


@pytest.fixture(scope="module")
def clone(redrawn, tmp_path_factory):
    """A clone whose cached results are drawn, by the command that the README has for it."""
    folder = tmp_path_factory.mktemp("documentation") / "clone"
    return Clone(shutil.copytree(redrawn.folder, folder))


def name_of(page):
    return str(page.relative_to(REPOSITORY))


def test_the_documentation_has_commands():
    found = [line for page in PAGES for line in commands(text_of(page))]
    assert len(found) > 25 and len([line for line in found if not left_out(line)]) > 15
    names = {name_of(page) for page in FOLLOWED}
    assert names >= {"README.md", "docs/tahoe.md", "docs/own_atlas.md", "docs/cluster.md"}


@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_page(page, clone, subtests):
    """Follow a page; a command that is left out is reported as skipped, with the reason."""
    for line in commands(text_of(page)):
        with subtests.test(line):
            for file in re.findall(r"(?:-r|--requirement) (\S+)", line):
                assert (clone.folder / file).is_file(), file
            if left_out(line):
                pytest.skip(left_out(line))
            done = clone.run(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}"
            look_at_results(clone, words_of(line), done.stdout)
    if not all(map(left_out, commands(text_of(page)))):
        with subtests.test("the files that the page names"):
            clone.has_run_the_demo()
            assert files_missing(text_of(page), clone.folder) == []


def files_missing(text, folder):
    """Files in results/ and config/ that a page names and that are not there; <run> may be any run."""
    named = re.findall(r"`((?:results|config)/[\w./<>*-]+)`", text)
    patterns = {re.sub(r"<\w+>", "*", name) for name in named}
    return sorted(name for name in patterns if not any(folder.glob(name.rstrip("/"))))


def test_a_run_is_verified(clone):
    """`make verify`, of which the README only speaks."""
    done = clone.run("make verify")
    assert done.returncode == 0, done.stdout
    assert "This machine reproduces the reference exactly" in done.stdout


def test_pages_made_from_code_are_made(clone):
    page = clone.folder / "config/README.md"
    page.write_text("old")
    done = clone.run("make pages")
    assert done.returncode == 0, done.stdout
    assert page.read_text() == (REPOSITORY / "config/README.md").read_text()
    assert (clone.folder / "docs/images/orders.png").stat().st_mtime > page.stat().st_mtime - 60


def test_make_knows_every_target_that_is_named():
    makefile = (REPOSITORY / "Makefile").read_text()
    known = set(re.findall(r"^\.PHONY: (.*)$|^BENCHES := (.*)$", makefile, re.MULTILINE))
    known = set(" ".join(" ".join(found) for found in known).split())
    for page in PAGES:
        named = re.findall(r"(?<!`)`make ([a-z_-]+)[^`\n]*`(?!`)", text_of(page))
        named += [words_of(line)[1] for line in commands(text_of(page)) if line[:5] == "make "]
        assert set(named) <= known, name_of(page)


EXAMPLES = {
    f"{name_of(page)}: {' '.join(block.split()[:2])}": block
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", text_of(page), re.DOTALL)
}
WHOLE = [name for name, block in EXAMPLES.items() if "\ntasks:" in block]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_configuration_runs(name, clone):
    text = EXAMPLES[name] + yaml.safe_dump({"strategies": TWO_STRATEGIES})
    config = yaml.safe_load(text)
    file, scores = f"{config['run']}.yaml", f"results/{config['run']}/metrics.csv"
    (clone.folder / file).write_text(text)
    done = clone.run(f"snakemake --configfile {file} --cores 2 -- {scores}")
    assert done.returncode == 0, done.stdout
    scores_are_whole((clone.folder / scores).parent, config)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in WHOLE])
def test_a_part_is_valid_in_place_of_the_demos(name):
    part = yaml.safe_load(EXAMPLES[name])
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()) | part
    assert configuration.schema_problems(config, SCHEMA) == []
    configuration.fill_defaults(config, SCHEMA)
    assert list(inconsistencies(config)) == []
    for entry in config["strategies"].values():
        if "path" in entry:  # of a file that a reader makes
            continue
        sampler = sampler_of(entry, np.ones(3000), dict.fromkeys(config["tasks"], np.arange(3000) % 7))
        assert sum(map(len, cell_order(sampler, 3000, 64, 16, 0, 0))) == sampler.get_len(range(3000))


def test_a_strategy_more_trains_that_one_alone(clone):
    """As the README says of its example, which is added to the demo's strategies."""
    clone.has_run_the_demo()
    config = clone.read("config/config.yaml")
    (added,) = [yaml.safe_load(EXAMPLES[name]) for name in EXAMPLES if name[:6] == "README"]
    config["strategies"] |= added["strategies"]
    (clone.folder / "more.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = clone.run("snakemake --configfile more.yaml --cores 2 --dry-run")
    jobs = dict(re.findall(r"^(train|diversity|pack_plate|encode_labels) +(\d+)$", done.stdout, re.M))
    assert jobs == {"train": str(len(config["training"]["seeds"])), "diversity": "1"}


@pytest.mark.parametrize("page", [p for p in PAGES if programs_of(p)], ids=name_of)
def test_python_of_a_page(page, clone):
    clone.has_run_the_demo()
    for name, program in programs_of(page).items():
        (clone.folder / name).write_text(program)
    started = [line for line in commands(text_of(page)) if line.startswith("torchrun ")]
    for line in [f"python {page.stem}.py", *started]:
        done = clone.run(f"PYTHONPATH=workflow/scripts {line}")  # in place of an installed package
        assert done.returncode == 0 and done.stdout.strip(), done.stdout


def test_the_page_on_results_describes_the_files(clone):
    """Every file of its first table that a run makes is there, and a history has the columns of its table."""
    run, text = clone.has_run_the_demo(), text_of(REPOSITORY / "docs/results.md")
    listed = re.findall(r"^\| \[(`.*`)\](?!.*(?:`make plan`|`gather_linear`))", text, re.MULTILINE)
    names = re.findall(r"`([\w./<>]+)`", " ".join(listed))
    assert len(names) > 10
    missing = [name for name in names if not any(run.glob(re.sub(r"<\w+>", "*", name).rstrip("/")))]
    assert missing == []
    table = text.split("**`history.csv`**")[1].split("\n\n")[1]
    described = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    metrics = [
        "loss",
        "accuracy",
        "balanced_accuracy",
        "weighted_f1",
        "macro_f1",
        "macro_f1_present",
    ]
    columns = [name for name in described if "<" not in name]
    for task in clone.read("config/config.yaml")["tasks"]:
        columns += [f"{task}/train_loss", *(f"{task}/{metric}" for metric in metrics)]
    assert described[-2:] == ["<task>/train_loss", "<task>/<metric>"]
    history = pd.read_csv(run / "train/streaming/seed0/history.csv")
    assert list(history) == columns


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
            if target.startswith(("http", "mailto")):
                continue
            path, _, heading = target.partition("#")
            path = (page.parent / path).resolve() if path else page
            assert path.exists(), f"{page.name}: {target}"
            assert not heading or heading in headings(path), f"{page.name}: {target}"


def headings(page):
    """Headings of a page as links name them."""
    titles = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_table_of_rooms_is_what_is_there():
    """Every room and module of the library in docs/architecture.md, and no other; every room has tests."""
    library = LIBRARY / "cellshuffle"
    page = (REPOSITORY / "docs/architecture.md").read_text()
    named = {}
    for room, modules in re.findall(r"^\| (.+?) \| (`.+?`) \| .+ \|$", page, re.MULTILINE):
        room = room.strip("`") if room.startswith("`") else ""
        named.setdefault(room, set()).update(re.findall(r"`(\w+)`", modules))
    there = {"": {path.stem for path in library.glob("*.py")} - {"__init__"}}
    for room in sorted(path for path in library.iterdir() if (path / "__init__.py").exists()):
        there[room.name] = {p.stem for p in room.iterdir() if p.suffix in ("", ".py")} - {
            "__init__",
            "__pycache__",
        }
    assert named == there
    assert set(there) - {""} <= {path.name for path in (REPOSITORY / "tests").iterdir()}
