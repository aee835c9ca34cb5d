"""Values of a configuration that YAML or a slip of the pen makes something else than was meant."""

import datetime
import os

import pytest
from cellshuffle.configuration import schema as configuration
from cellshuffle.configuration import written
from cellshuffle.configuration.consistency import inconsistencies
from runs import SCHEMA, SMALL, merged
from snakemake.cli import parse_config


def problems(changes):
    """Everything that is wrong with the small configuration once it is changed."""
    config = merged(SMALL, changes)
    found = configuration.schema_problems(config, SCHEMA)
    if not found:
        configuration.fill_defaults(config, SCHEMA)
        found = list(inconsistencies(config))
    return found


STREAMING = {"sampler": "Streaming"}


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"tasks": {True: {"column": "drug"}}}, "tasks: the name True is not text to YAML; put it in quotes"),
        ({"tasks": {1: {"column": "drug"}}}, "tasks: the name 1 is not text to YAML; put it in quotes"),
        ({"strategies": {None: STREAMING}}, "strategies: the name None is not text to YAML"),
        ({"strategies": {False: STREAMING}}, "strategies: the name False is not text to YAML"),
        ({"training": {"batch_size": 64.0}}, "training: batch_size: 64.0 is not a whole number"),
        ({"training": {"seeds": [0.0]}}, "training: seeds: 0: 0.0 is not a whole number"),
        ({"training": {"epochs": True}}, "training: epochs: True is not a whole number"),
        ({"training": {"learning_rate": "1e-4"}}, "'1e-4' is not a number; it is text"),
        ({"strategies": {"b": {"sampler": "BlockShuffling", "block_size": 4.0}}}, "4.0 is not a whole"),
        ({"atlas": {"train_plates": [1.0]}}, "atlas: train_plates: 0: 1.0 is not"),
        ({"atlas": {"plate_file": "p{plate}{plate.x}.h5ad"}}, "a placeholder other than {plate}"),
        ({"atlas": {"plate_file": "p{plate[a]}.h5ad"}}, "a placeholder other than {plate}"),
        ({"atlas": {"packed_dir": "data/small/"}}, "data/small/ is the folder of the published plates"),
        ({"atlas": {"packed_dir": os.path.abspath("data/small")}}, "is the folder of the published plates"),
        ({"training": {"epochs": "2"}}, "'2' is not a whole number; it is text: leave out the quotes"),
        ({"training": {"seeds": [7, 2, 1007]}}, "seeds: 7 and 1007 would share orders of cells"),
        ({"atlas": {"dir": "a\0b"}}, "holds braces, a line break or a null"),
        ({"run": "r" * 101}, "run: 'rrrrrrrrrrrrrrrrrrrr...' is 101 letters long, at most 100"),
        ({"tasks": {"t" * 300: {"column": "drug"}}}, "is 300 letters long"),
        ({"training": {"batch_size": 10**7}}, "batch_size: 10000000 must be at most 1000000"),
        ({"strategies": {"b": {"sampler": "BlockShuffling", "block_size": 10**30}}}, "must be at most"),
        ({"atlas": {"scratch": "/tmp"}, "training": {"world_size": 2, "nodes": 2}}, "scratch is a folder"),
    ],
)  # fmt: skip
def test_is_told(changes, line):
    assert any(line in found for found in problems(changes))


WEIGHTED = {"sampler": "BlockWeightedSampling", "block_size": 1}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"training": {"world_size": 10**6}}, "must be at most 4096: each is a process"),
        ({"training": {"prefetch": 10**9}}, "must be at most 10000: each batch takes memory"),
        ({"training": {"learning_rate": 10**400}}, "learning_rate: 1.00e+400 must be at most 1e+38"),
        ({"strategies": {"a": WEIGHTED | {"total_size": 10**30}}}, "at most 1000000000000: a draw takes"),
        ({"strategies": {"a": WEIGHTED | {"total_size": 1e30}}}, "total_size: 1e+30 is not a whole number"),
        (
            {"compare": {"bootstrap": 10**10}},
            "bootstrap: 10000000000 must be at most 100000: the intervals",
        ),
        ({"weights": {"min_count_baseline": float("inf")}}, "min_count_baseline: inf is not a number"),
        ({"weights": {"min_count_baseline": 10**400}}, "1.00e+400 must be at most 1000000000000"),
        ({"atlas": {"plate_file": "{plate:>99999999999}"}}, "a placeholder other than {plate}"),
        ({"atlas": {"plate_file": "{plate.__class__}"}}, "a placeholder other than {plate}"),
        ({"atlas": {"simulate": {"genes": 10**9}}}, "must be at most 1000000: no genome has more"),
        ({"atlas": {"train_plates": [10**30]}}, "1.00e+30 must be at most"),
        ({"training": {"seeds": list(range(1, 2000))}}, "has 1999 entries, at most 1000 are allowed"),
    ],
)
def test_numbers_have_bounds(changes, line):
    assert any(line in found for found in problems(changes)), problems(changes)


def test_every_number_of_the_schema_has_bounds():
    open_ended = []

    def look(part, path):
        if isinstance(part, dict):
            types = part.get("type", [])
            if {"integer", "number"} & set([types] if isinstance(types, str) else types):
                lower, upper = ({f"{side}imum", f"exclusive{side.title()}imum"} for side in ("min", "max"))
                if not (lower & part.keys() and upper & part.keys()):
                    open_ended.append(path)
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(inner, dict | list):
                look(inner, f"{path}/{key}")

    look(SCHEMA, "")
    # Values of a person's columns are no sizes.
    values = ("/values/items", "/extra/additionalProperties", "/where/additionalProperties/oneOf/0")
    assert [path for path in open_ended if not path.endswith(values)] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"atlas": {"test_plates": None, "split": {"fraction": 0.1, "seed": 0}}},
        {"tasks": {f"task_{k}": {"column": "drug"} for k in range(15)}},
        {"atlas": {"packed_dir": "data/small/packed"}},
        {"training": {"seeds": [0, 1000], "epochs": 1}},
    ],
)
def test_is_taken(changes):
    assert problems(changes) == []


def tune(validation, **others):
    return {"tune": {"learning_rate": [1e-3], "validation": validation}, **others}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tune": {"learning_rate": [1e-3]}}, "tune: 'validation' is missing"),
        (tune({"plates": [99]}), "plates: '99' is not in atlas: train_plates (1, 4, 5, 13)"),
        (tune({"plates": [1, 4, 5, 13]}), "holds out all train plates; leave at least one"),
        (tune({"plates": [1], "fraction": 0.1}), "validation: unknown key 'fraction'"),
        (tune({"fraction": 1}), "validation: fraction: 1 must be below 1"),
        (
            tune({"fraction": 0.1}, strategies={"a": {"sampler": "OrderFile", "path": "a.npy"}}),
            "strategies: a: path: an order file numbers all train cells",
        ),
        ({"compare": {"seen_fraction": 0}}, "compare: seen_fraction: 0 must be above 0"),
        ({"strategies": {"a": WEIGHTED | {"epochs": 0}}}, "strategies: a: epochs: 0 must be at least 1"),
        ({"strategies": {"a": WEIGHTED | {"learning_rate": 0}}}, "a: learning_rate: 0 must be above 0"),
        (
            {"strategies": {"a": WEIGHTED | {"epochs": 2000}}, "training": {"seeds": [0, 1000]}},
            "seeds: 0 and 1000 would share orders",
        ),
    ],
)
def test_what_cannot_be_tuned(changes, line):
    assert any(line in found for found in problems(changes)), problems(changes)


ONE_FILE = {"plate_file": "all.h5ad", "plate_column": "batch", "simulate": ..., "test_plates": ["b"]}


@pytest.mark.parametrize(
    "name", ["10X v2", "Spleen/left", "\xdc1", "..", "🧬", "x" * 900, "{x}", "-1", " a "]
)
def test_plates_of_a_column_may_have_any_name(name):
    assert problems({"atlas": ONE_FILE | {"train_plates": [name]}}) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (ONE_FILE | {"train_plates": ["a\n"]}, "'a\\n' is not allowed; a name has visible letters"),
        (ONE_FILE | {"train_plates": [" "]}, "' ' is not allowed"),
        (ONE_FILE | {"train_plates": ["\0"]}, "is not allowed"),
        ({"simulate": ..., "train_plates": ["a/b"]}, "plate 'a/b' is not allowed: with plate_file"),
        ({"simulate": ..., "train_plates": ["{x}"]}, "atlas: plates: '{x}' holds braces"),
        ({"train_plates": ["1 a"]}, "plate '1 a' cannot be simulated"),
        ({"train_plates": ["01"]}, "plate '01' cannot be simulated"),
        (
            ONE_FILE | {"train_plates": ["10X v2", "10X_v2_4a5c17a22a0f"]},
            "plates 10X v2 and 10X_v2_4a5c17a22a0f would both be packed as 10X_v2_4a5c17a22a0f; rename one",
        ),
        ({"train_plates": [datetime.date(2024, 1, 2)]}, "2024-01-02 is not a whole number or text; put"),
        ({"train_plates": [None]}, "None is not a whole number or text"),
        ({"train_plates": [1.1]}, "1.1 is not a whole number or text; put it in quotes"),
        ({"split": {"column": "a", "train": []}, "test_plates": ...}, "split: train: must not be empty"),
        (
            {"split": {"column": "a", "train": [1], "ignore": [1.0]}, "test_plates": ...},
            "atlas: split: '1' is named under train and ignore; a value is on one side",
        ),
        ({"layer": 1}, "atlas: layer: 1 is not text or null; put it in quotes"),
    ],
)  # fmt: skip
def test_what_an_atlas_cannot_have(changes, line):
    assert any(line in found for found in problems({"atlas": changes}))


def test_dropping_needs_packing():
    tasks = {"drug": {"missing": "drop"}}
    assert problems({"atlas": {"pack": False}, "tasks": tasks}) == [
        "tasks: drug: missing: drop selects while packing, so it needs atlas: pack: true"
    ]


PLATES = [
    ("1_1", "11"), ("010", "8"), ("NO", "False"), ("yes", "True"), ("Off", "False"), ("0x10", "16"),
    ("0b11", "3"),
    ("12:30", "750"), ("+1", "1"), ("1_000", "1000"), ("2024-01-02", "the date 2024-01-02"),
    ("null", "nothing"), ("~", "nothing"), ("1.10", "1.1"), ("1.0", "1"), (".5", "0.5"), 
    ("1.e+3", "1000"), (".inf", "inf"),
    ("2024-02-31", "something that it does not know"), ("=", "something that it does not know"),
    ("true", "True"), ("-0", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "read"), PLATES)
def test_names_that_yaml_reads_as_something_else(text, read):
    """As a plate, under `extra` as a key and as a value, as a task, as a value of a split."""
    end = f'YAML reads {text} as {read}; put it in quotes: "{text}"'
    lines = list(written.misread_names(f"atlas: {{train_plates: [1, {text}], test_plates: [{text}]}}"))
    assert sorted(lines) == [f"atlas: test_plates: 0: {end}", f"atlas: train_plates: 1: {end}"]
    lines = list(written.misread_names(f"tasks: {{{text}: {{column: x}}}}\nstrategies: {{? {text} : {{}}}}"))
    assert sorted(lines) == [f"strategies: {end}", f"tasks: {end}"]
    extra = f"tasks: {{a: {{lookup: {{extra: {{k: {text}, ? {text} : v}}}}}}}}"
    where = "tasks: a: lookup: extra: "
    lines = sorted(written.misread_names(extra))
    allowed = text == "1.0"
    assert lines == ([] if allowed else [where + end] * (text != "true") + [f"{where}k: {end}"])
    lines = list(written.misread_names(f"atlas: {{split: {{column: x, ignore: [{text}]}}}}"))
    allowed = text in ("null", "~", "true", "1.0", ".inf")
    assert lines == ([] if text in ("null", "~", "true", "1.0") else [f"atlas: split: ignore: 0: {end}"])
    lines = list(written.misread_names(f"atlas: {{where: {{a: {text}, b: [x, {text}]}}}}"))
    where = [f"atlas: where: a: {end}"] * (text not in ("true", "1.0"))
    assert lines == where + [f"atlas: where: b: 1: {end}"] * (text not in ("null", "~", "true", "1.0"))
    for quoted in (f'"{text}"', f"'{text}'", f"!!str {text}"):
        assert not list(written.misread_names(f"atlas: {{train_plates: [{quoted}]}}"))


def test_names_that_yaml_reads_as_they_are_written():
    text = """
    run: a
    orders: {atlas: {train_plates: [08, 1e3, 0o17, n, y, 10, 0, 1.2.3, plate1, 1-2, "010"], dir: x}}
    atlas: {max_train_cells: 1_000, layer: null, split: {train: [1, 2.0, a], ignore: [null, False]}}
    training: {seeds: [010]}
    other: {train_plates: [010], tasks: {1_1: 2}}
    <<: &x {b: 1}
    """
    assert list(written.misread_names(text)) == []
    found = list(written.misread_names("orders: {atlas: {train_plates: [010]}, tasks: {}}"))
    assert found == ['orders: atlas: train_plates: 0: YAML reads 010 as 8; put it in quotes: "010"']


def test_values_of_config_are_text_as_written():
    given = parse_config(["run=010", "atlas={train_plates: [010, NO, 1_1, null, 12:30]}"])
    assert given["atlas"]["train_plates"] == ["010", "NO", "1_1", "null", "12:30"]
    assert problems({"run": given["run"]}) == [
        "run: 10 is not text; put it in quotes, after --config !!str before it"
    ]
    assert parse_config(["run=!!str 010"])["run"] == "010"


def test_aliases_are_looked_at_once():
    """Nine, nine deep, and a list that holds itself."""
    levels = "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 10))
    text = f"a0: &a0 [x, {{b: 1, b: 2}}]\n{levels}atlas: {{train_plates: *a9}}\nself: &s [*s]\n"
    assert list(written.repeated_keys(text)) == ["a0: 1: 'b' is given 2 times"]
    assert list(written.misread_names(text)) == []


@pytest.mark.parametrize("folder", ["results", "results/small", "my/packed"])
def test_a_file_where_a_folder_must_be(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / folder).touch()
    found = problems({"atlas": {"packed_dir": "my/packed"}})
    assert found == [f"{folder}: is a file, and must be a folder: the run writes into it; move it away"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("run: a\natlas: {dir: x}\n", []),
        ("run: a\nrun: b\nrun: a\n", ["'run' is given 3 times"]),
        ("a: {b: 1, c: [{d: 1, d: 2}]}\n", ["a: c: 0: 'd' is given 2 times"]),
        ('{"a": {"b": 1, "b": 2}}', ["a: 'b' is given 2 times"]),
        ('{\n\t"a": 1,\n\t"a": 2\n}', ["'a' is given 2 times"]),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}\n? [1, 2]\n: 3\n", []),
        ("", []),
    ],
)
def test_keys_given_twice(text, lines):
    assert list(written.repeated_keys(text)) == lines
