"""Classes looked up in a table: the mechanism of a drug, say."""

import csv
from pathlib import Path

from cellshuffle.atlas.names import name_of, whole_number
from cellshuffle.errors import InputError


def read_lookups(tasks):
    """{task: see read_lookup} of the tasks that have a lookup table."""
    return {task: read_lookup(entry["lookup"]) for task, entry in tasks.items() if entry.get("lookup")}


def with_labels(selection, lookups=None):
    """A selection in which the cells that have a label are written out: see select_cells' `where`.

    selection: of a plate (configuration/run.py), whose tasks under "labelled", if any, leave out the cells
    without a label; lookups: {task: see read_lookup}, None: they are read.
    """
    tasks = selection.get("labelled")
    if not tasks:
        return selection
    lookups = read_lookups(tasks) if lookups is None else lookups
    where = [
        {"column": entry["column"], "values": sorted(lookups[task]) if task in lookups else None}
        for task, entry in tasks.items()
    ]
    return {key: value for key, value in selection.items() if key != "labelled"} | {"where": where}


def read_lookup(lookup):
    """{value of the column: class} from a CSV, TSV or Parquet table, plus the config's `extra`.

    lookup: {"table": path, "key": column, "value": column, "extra": {key: class}}.
    `extra` wins over the table; keys without a value are left out. Whole real numbers are integers, as
    in obs columns (atlas/names.py); a text file cannot say which its numbers are, so that there the key
    `2.0` stands for 2 as well, unless the table has that too.
    Raises InputError when the table or one of its columns is missing, or a key has two values.
    """
    path, key, value = Path(lookup["table"]), lookup["key"], lookup["value"]
    extra = {name_of(k): name_of(v) for k, v in (lookup.get("extra") or {}).items()}
    table, rows = {}, _read_table(path, [key, value])
    if path.suffix != ".parquet":
        rows = [(k, v and whole_number(v)) for k, v in rows]
        keys = {k for k, _ in rows}
        rows += [(whole_number(k), v) for k, v in rows if k and whole_number(k) not in keys]
    for k, v in ((name_of(k), name_of(v)) for k, v in rows):
        if k is None or v is None or v == "" or k in extra:
            continue
        if table.setdefault(k, v) != v:
            raise InputError(f"{path}: '{k}' has two values of {value}: '{table[k]}' and '{v}'")
    return table | extra


def _read_table(path, columns):
    if not path.is_file():
        raise InputError(f"{path}: there is no such lookup table")
    if path.suffix == ".parquet":
        from pyarrow import ArrowException, parquet

        try:
            _check_columns(path, columns, parquet.read_schema(path).names)
            table = parquet.read_table(path, columns=columns).to_pydict()
        except ArrowException as error:
            raise InputError(f"{path}: not a readable Parquet file ({error})") from None
        return list(zip(*(table[column] for column in columns), strict=True))
    delimiter = "\t" if path.suffix in (".tsv", ".txt") else ","
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            _check_columns(path, columns, reader.fieldnames or [])
            return [tuple(row[column] for column in columns) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable table ({error})") from None


def _check_columns(path, columns, names):
    for column in columns:
        if column not in names:
            raise InputError(f"{path}: has no column '{column}' (it has: {', '.join(names)})")
