"""What the pages of the documentation say, and a clone of the repository in which they are followed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import forks
import numpy as np
import pandas as pd
import yaml
from atlases import blood_cells, counts_of, obs_of, write_atlas
from cellshuffle.configuration import schema as configuration
from cellshuffle.simulation.counts import simulate_plate
from cellshuffle.simulation.design import drug_metadata
from runs import REPOSITORY, SCHEMA, fork_server, merged

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
    "hf",
    "squeue",
    "podman",
    "git",
)
# The clone has the repository's configurations, and what `make config` drafts there, but for these changes
# of sizes, and of the device of the second. All strategies are in the third, by default.
TWO_STRATEGIES = {
    "streaming": {"sampler": "Streaming"},
    "random_sampling": {"sampler": "BlockShuffling", "block_size": 1},
}
OTHERS = ("streaming_buffer", "block_shuffling", "block_weighted", "true_weighted")
SMALLER = {
    "config/config.yaml": {
        "atlas": {
            "train_plates": [1, 4, 13],
            "simulate": {"cells_per_plate": 400, "genes": 200, "cell_lines": 4, "drugs": 20},
        },
        "strategies": dict.fromkeys(OTHERS[:3], ...),
        "training": {"seeds": [0], "epochs": 2},
    },
    "config/tahoe.yaml": {
        "atlas": {"train_plates": [1, 4, 13]},
        "tasks": {"moa_broad": ...},
        "strategies": dict.fromkeys(OTHERS, ...),
        "training": {"seeds": [0], "device": "cpu"},
    },
    "config/pbmc68k.yaml": {"training": {"seeds": [0], "epochs": 2}},
}
TAHOE = {"n_cells": 200, "n_genes": 150, "n_cell_lines": 4, "n_drugs": 20, "seed": 0}


def text_of(page):
    return page.read_text(encoding="utf-8")


def commands(text):
    """Shell lines of a page, in its order: of fenced bash blocks, and indented ones that begin like one."""
    fenced, indented = r"```bash\n((?s:.*?))```|```(?s:.*?)```", r"^ {4,}([\w./](?:.*\\\n)*.*)$"
    for part in re.finditer(f"{fenced}|{indented}", text, re.MULTILINE):
        for line in (part[1] or part[2] or "").replace("\\\n", " ").splitlines():
            words = words_of(line)
            if words and (part[1] or Path(words[0]).name in COMMANDS):
                yield " ".join(line.split("  #")[0].split())


def programs_of(page):
    """{file name: Python}: a block that begins with `# name.py` is that file, the others the page's program.

    Left out are blocks that use the workflow as a module, which tests/workflow/test_module.py has.
    """
    programs = {}
    for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
        if "module cellshuffle:" not in block:
            named = re.match(r"# (\w+\.py)\n", block)
            programs.setdefault(named[1] if named else f"{page.stem}.py", []).append(block)
    return {name: "\n".join(blocks) for name, blocks in programs.items()}


def words_of(line):
    """Words of a command, without comment and the settings before it."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a sentence with an apostrophe
        return []
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return words


# Snakemake, or, where FORKS is the address of `fork_server`, a fork that has imported it.
SNAKEMAKE = f"""#!/bin/sh
[ -z "$FORKS" ] && exec "{sys.prefix}/bin/snakemake" "$@"
exec "{sys.executable}" -IS "{forks.__file__}" "$FORKS" snakemake "$@"
"""


class Clone:
    """A clone of the repository; its environment is this one, small atlases lie where pages say they do."""

    def __init__(self, folder):
        self.folder, self.done, self.smaller = folder, {}, set()
        self._make_smaller()
        self._link_environment()
        self._write_atlases()

    def read(self, name):
        return yaml.safe_load((self.folder / name).read_text())

    def _make_smaller(self):
        """Change the configurations that are there, each once."""
        for name in SMALLER.keys() - self.smaller:
            path = self.folder / name
            if path.exists():
                config = merged(self.read(name), SMALLER[name])
                path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
                self.smaller.add(name)

    def _link_environment(self):
        """`make` takes .venv for complete: the environment of this test is."""
        venv, this = self.folder / ".venv", Path(sys.prefix)
        (venv / "bin").mkdir(parents=True)
        for path in [*this.iterdir(), *this.glob("bin/*")]:
            if path.name not in ("bin", "snakemake") and not path.name.startswith(".complete"):
                (venv / path.relative_to(this)).symlink_to(path)
        (venv / "bin/snakemake").write_text(SNAKEMAKE)
        (venv / "bin/snakemake").chmod(0o755)
        for name in (".complete", ".complete-test"):
            (venv / name).touch()

    def _write_atlases(self):
        tahoe = self.folder / "data/tahoe100m"
        tahoe.mkdir(parents=True)
        name = self.read("config/tahoe.yaml")["atlas"]["plate_file"]
        for plate in range(1, 15):
            simulate_plate(tahoe / name.format(plate=plate), plate, *TAHOE.values())
        drugs = pd.DataFrame(drug_metadata(TAHOE["n_drugs"], TAHOE["seed"]))
        drugs.to_parquet(tahoe / "drug_metadata.parquet")
        (self.folder / "data/pbmc68k").mkdir()
        shutil.copy(blood_cells(), self.folder / "data/pbmc68k")
        kinds = {column: (["a", "b", "c"], "string") for column in ("cell_type", "guide")}
        kinds["batch"] = (["b1", "b2", "b3"], "string")
        screen = self.folder / "data/screen/screen.h5ad"
        write_atlas(screen, counts_of(90, 30), obs_of(90, **kinds), "csc", "counts", "gzip")
        for seed, plate in enumerate(("liver", "lung")):
            path = self.folder / f"path/to/plates/{plate}.h5ad"
            write_atlas(path, counts_of(90, 30, seed), obs_of(90, seed, **kinds))

    def run(self, line):
        """Run a command as a reader would, once; what it said, errors included, is in .stdout."""
        if line not in self.done:
            # The cached results are those of the larger demo; this clone's take their place.
            whole = line.replace("make verify", "make reference verify")
            path = os.pathsep.join([str(self.folder / ".venv/bin"), os.environ["PATH"]])
            # Commands for the demo start Snakemake itself; those for other configurations, forks.
            forked = re.search("CONFIG|--config", line)
            environment = {"PATH": path, "FORKS": fork_server()[1] if forked else ""}
            self.done[line] = subprocess.run(
                ["bash", "-c", whole],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                env=os.environ | environment,
            )
            self._make_smaller()
        return self.done[line]

    def has_run_the_demo(self):
        """Follow the first command of the README, for what can only be looked at afterwards."""
        done = self.run("make run")
        assert done.returncode == 0, done.stdout
        return self.folder / "results/demo"

    def configuration(self, words):
        """The configuration that a command runs."""
        names = [w.removeprefix("CONFIG=") for w in words if w.startswith("CONFIG=")]
        if "--configfile" in words:
            after = words[words.index("--configfile") + 1 :]
            names = [w for k, w in enumerate(after) if not any(x[0] == "-" for x in after[: k + 1])]
        if "run=reference" in words:
            names = ["results/reference/config.yaml"]
        config = {}
        for name in names or ["config/config.yaml"]:
            config = merged(config, self.read(name))
        return config


def look_at_results(clone, words, output):
    """What every command of its kind promises."""
    command = words[1] if words[0] == "make" else words[0]
    if command == "config":
        drafted = re.search(r"^Written to (\S+)\. ", output, re.MULTILINE)[1]
        assert configuration.schema_problems(clone.read(drafted), SCHEMA) == []
    elif command == "plan":
        assert "largest risk" in output
    elif {"-n", "--dry-run"} & set(words):
        assert re.search(r"^total +\d+$|Nothing to be done", output, re.MULTILINE), output
    elif command in ("run", "verify") or (command.endswith("snakemake") and "--unlock" not in words):
        config = clone.configuration(words)
        run = clone.folder / "results" / config["run"]
        if not any(word.endswith("metrics.json") for word in words):
            run_is_whole(run, config)
        if "--report" in words or command == "run":
            assert (run / "report.html").stat().st_size > 100_000
        if command == "run":
            head = (run / "comparison.md").read_text().split("## Every score")[0]
            assert head.strip() in output and f"figures  results/{config['run']}/" in output


def run_is_whole(run, config):
    """Scores of every strategy, seed and task, every figure three times, the table in words."""
    scores_are_whole(run, config)
    names = {"comparison", "differences", "learning_curves", "cost", "tradeoff", "why", "weights", "class_f1"}
    names |= {f"confusion_{task}" for task in config["tasks"]}
    names |= {"order"} if any(run.glob("diversity/*/order.csv")) else set()
    files = {f"{name}.{kind}" for name in names for kind in ("svg", "pdf", "png")}
    assert {path.name for path in (run / "figures").iterdir() if path.stat().st_size} == files
    table = (run / "comparison.md").read_text()
    assert all(strategy in table for strategy in strategies_of(config))


def strategies_of(config):
    return list(config.get("strategies") or SCHEMA["properties"]["strategies"]["default"])


def scores_are_whole(run, config):
    table = pd.read_csv(run / "metrics.csv")
    seeds, tasks = config["training"]["seeds"], list(config["tasks"])
    rows = {(s, k, t) for s in strategies_of(config) for k in seeds for t in tasks}
    assert set(zip(table["strategy"], table["seed"], table["task"], strict=True)) == rows
    assert len(table) == 6 * len(rows) and np.isfinite(table["value"]).all()
