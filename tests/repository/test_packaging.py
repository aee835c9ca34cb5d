"""Pins agree everywhere, environments hold what rules import, generated pages are current."""

import ast
import os
import re
import sys
import tomllib

import cellshuffle
import describe_config
import pytest
import yaml
from jsonschema import Draft202012Validator
from runs import LIBRARY, REPOSITORY, SCHEMA

PACKAGES = {"yaml": "pyyaml"}  # that are imported under another name
RULE = re.compile(r'envs/(\w+)\.yaml"\n.*?"\.\./scripts/(\w+)\.py"', re.DOTALL)


def pins(path):
    """{package: version} of a requirements file."""
    lines = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*\])?==([^\s;]+)", path.read_text(), re.MULTILINE)
    return {name.lower(): version for name, version in lines}


LOCK = pins(REPOSITORY / "requirements.txt")


def environment(name):
    """{package: version} of a conda environment."""
    content = yaml.safe_load((REPOSITORY / f"envs/{name}.yaml").read_text())
    packages = [part for part in content["dependencies"] if isinstance(part, dict)]
    assert "python>=3.11,<3.14" in content["dependencies"]
    return dict(package.lower().split("==") for package in packages[0]["pip"])


def imports(path, seen):
    """Packages, neither Python's nor ours, that a script and what it imports of ours import."""
    if path in seen or not path.exists():
        return set()
    seen.add(path)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            if module.split(".")[0] == "cellshuffle":
                found |= imports(LIBRARY / f"{module.replace('.', '/')}.py", seen)
            elif module.split(".")[0] not in sys.stdlib_module_names:
                found.add(module.split(".")[0])
    return found


def rules():
    """{environment: scripts that run in it}."""
    scripts = {}
    for file in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for environment_name, script in RULE.findall(file.read_text()):
            scripts.setdefault(environment_name, set()).add(script)
    return scripts


def modules(script):
    """Files that a script runs: itself, and the modules that `draw_figures` imports by name."""
    by_name = LIBRARY.glob("cellshuffle/report/figures/*.py") if script == "draw_figures" else []
    return [LIBRARY / f"{script}.py", *by_name]


def test_every_script_of_a_rule_is_found():
    """Scripts that rules name without an environment must not escape the next test."""
    by_hand = {"draft_config"}
    assert set.union(*rules().values()) == {path.stem for path in LIBRARY.glob("*.py")} - by_hand


@pytest.mark.parametrize("name", ["data", "train", "figures"])
def test_environments_hold_what_their_rules_import_at_the_pins_of_the_lock(name):
    there = environment(name)
    assert there == {package: LOCK[package] for package in there}
    needed = set()
    for script in rules()[name]:
        for module in modules(script):
            needed |= imports(module, set())
    assert {PACKAGES.get(package, package) for package in needed} == set(there)


def test_other_requirements_do_not_contradict_the_lock():
    for path in REPOSITORY.glob("requirements-*.txt"):
        for package, version in pins(path).items():
            assert LOCK.get(package, version) == version, f"{path.name}: {package}"


def test_direct_requirements_are_locked():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    direct = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.match(r"[\w-]+", each)[0].lower() for each in direct}
    assert names - {"cellshuffle"} <= set(LOCK) | set(pins(REPOSITORY / "requirements-test.txt"))


def test_the_version_stands_in_one_place_and_in_the_changes():
    assert f"## {cellshuffle.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()
    for name in ("pyproject.toml", "CITATION.cff", "README.md", "Containerfile"):
        assert f"{cellshuffle.__version__}" not in (REPOSITORY / name).read_text(), name


def test_the_configuration_page_is_current():
    page = (REPOSITORY / "config/README.md").read_text()
    assert page == describe_config.page(SCHEMA), "the schema has changed: run `make docs`"


def test_every_key_of_the_schema_is_described_and_every_default_allowed():
    Draft202012Validator.check_schema(SCHEMA)

    def look(part, where):
        for name, key in part.get("properties", {}).items():
            if not isinstance(key, dict):
                continue
            whole = describe_config.resolved(key, SCHEMA)
            assert whole.get("description", "").strip().endswith("."), f"{where}{name}"
            # A comma in an unquoted description makes keys without a value.
            assert None not in [v for k, v in whole.items() if k != "default"], f"{where}{name}"
            if "default" in key:
                Draft202012Validator(whole | {"$defs": SCHEMA["$defs"]}).validate(key["default"])
            look(whole, f"{where}{name}: ")
        if isinstance(part.get("additionalProperties"), dict):
            look(part["additionalProperties"], f"{where}*: ")
        for alternative in part.get("allOf", []):
            look(alternative["then"], where)

    look(SCHEMA, "")


def test_every_example_configuration_passes_the_schema():
    for path in (REPOSITORY / "config").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        if path.name == "pilot.yaml":  # is laid over another
            config = yaml.safe_load((path.parent / "tahoe.yaml").read_text()) | {"run": config["run"]}
        found = list(Draft202012Validator(SCHEMA).iter_errors(config))
        assert not found, f"{path.name}: {found}"


def test_pythons_of_the_image_and_of_ci_are_those_that_make_takes():
    taken = re.findall(r"python(3\.\d+)", (REPOSITORY / "envs/create_venv.sh").read_text())
    (image,) = re.findall(
        r"^FROM .*python:(3\.\d+)", (REPOSITORY / "Containerfile").read_text(), re.MULTILINE
    )
    everything = read(".github/workflows/ci.yml")["jobs"]["everything"]
    assert {image, *everything["strategy"]["matrix"]["python"]} <= set(taken)
    assert set(taken) == {"3.11", "3.12", "3.13"}
    assert "with Python 3.11, 3.12 or 3.13" in (REPOSITORY / "README.md").read_text()


def test_what_the_image_copies_is_there():
    text = (REPOSITORY / "Containerfile").read_text()
    for source in re.findall(r"^COPY (\S+)", text, re.MULTILINE):
        assert (REPOSITORY / source).exists(), source


def read(name):
    return yaml.safe_load((REPOSITORY / name).read_text())


def test_the_citation_has_what_the_format_asks_for():
    """https://github.com/citation-file-format/citation-file-format/blob/main/schema-guide.md"""
    citation = read("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "BSD-3-Clause"
    assert citation["message"] and citation["title"].startswith("cellshuffle")
    for part in (citation, *citation["references"]):
        assert {"type", "title", "authors"} <= set(part)
        assert all("name" in author or "family-names" in author for author in part["authors"])
    text = (REPOSITORY / "LICENSE").read_text()
    assert text.startswith("BSD 3-Clause License") and text.count("\n1. Redistributions") == 1
    assert "\n2. Redistributions" in text and "\n3. Neither the name" in text


def test_the_catalog_entry_is_what_the_workflow_offers():
    usage = read(".snakemake-workflow-catalog.yml")["usage"]
    deployment = usage["software-stack-deployment"]
    rules_text = "".join(file.read_text() for file in (REPOSITORY / "workflow/rules").glob("*.smk"))
    assert deployment["conda"] == ("conda:" in rules_text)
    assert deployment["apptainer"] == ("container:" in rules_text)
    assert usage["report"] == ("report(" in rules_text)


def test_ci_runs_what_is_there():
    jobs = read(".github/workflows/ci.yml")["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in commands and os.access(REPOSITORY / ".ci/run", os.X_OK)
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = re.findall(r"^make ([a-z-]+)$", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE)
    assert {"check", "test", "run"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    for name in re.findall(r"--(?:file|configfile) (\S+)", " ".join(commands)):
        assert (REPOSITORY / name).is_file(), name


ROOMS = ("workflow/scripts", "benchmarks", "tests")
MODULES = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")]
LONGEST = 45  # lines of a function, its docstring aside


def test_no_module_has_outgrown_its_purpose():
    lines = {str(path): len(path.read_text().splitlines()) for path in MODULES}
    assert [name for name, n in lines.items() if n > 400] == [], "more than one purpose"


def test_no_function_of_the_library_is_long():
    long = []
    for path in (LIBRARY / "cellshuffle").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[ast.get_docstring(node) is not None :] or node.body
                if node.end_lineno - body[0].lineno + 1 > LONGEST:
                    long.append(f"{path.name}: {node.name}")
    assert long == []
