"""Classes looked up in a table: the mechanism of a drug, say."""

import csv
import gzip
import zlib
from collections import Counter
from pathlib import Path

from cellshuffle.atlas.names import name_of, whole_number
from cellshuffle.errors import InputError
from cellshuffle.files import PARQUET, content_of, open_decompressed, open_text


def read_lookups(tasks):
    """{task: see read_lookup} of the tasks that have a lookup table."""
    return {task: read_lookup(entry["lookup"]) for task, entry in tasks.items() if entry.get("lookup")}


def with_tables(selection, lookups=None, held_out=None):
    """A selection in which what tables say is written out, as select_cells takes it.

    selection: of a plate (configuration/run.py), whose tasks under "labelled", if any, leave out the cells
    without a label, and whose split may name a table of combinations; lookups: {task: see read_lookup},
    held_out: see read_held_out, None: they are read.
    """
    tasks, split = selection.get("labelled"), selection.get("split", {})
    if "table" in split:
        held_out = read_held_out(split) if held_out is None else held_out
        split = {key: value for key, value in split.items() if key != "table"} | {"held_out": held_out}
        selection = selection | {"split": split}
    if not tasks:
        return selection
    lookups = read_lookups(tasks) if lookups is None else lookups
    where = [
        {"column": entry["column"], "values": sorted(lookups[task]) if task in lookups else None}
        for task, entry in tasks.items()
    ]
    return {key: value for key, value in selection.items() if key != "labelled"} | {"where": where}


def read_held_out(split):
    """Combinations of a table, sorted lists of names in the order of the split's columns.

    split: {"columns": obs columns, "table": path of a CSV, TSV or Parquet table with these columns}.
    Raises InputError when the table or a column is missing, it has no rows, or a combination is there twice
    or lacks a value.
    """
    path, columns = Path(split["table"]), split["columns"]
    rows = [tuple(map(name_of, row)) for row in _read_table(path, columns, "table of combinations")[0]]
    for number, row in enumerate(rows, start=1):
        if None in row or "" in row:
            empty = columns[next(k for k, value in enumerate(row) if not value)]
            raise InputError(
                f"{path}: row {number} below the header has no {empty}; give it one, or delete it"
            )
    if not rows:
        raise InputError(f"{path}: names no combination to test on; give each a row")
    twice = [row for row, n in Counter(rows).items() if n > 1]
    if twice:
        rest = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        raise InputError(f"{path}: has {' x '.join(twice[0])} twice{rest}; delete all but one row of each")
    return sorted(map(list, rows))


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
    table, (rows, is_text) = {}, _read_table(path, [key, value])
    if is_text:
        rows = [(k, v and whole_number(v)) for k, v in rows]
        keys = {k for k, _ in rows}
        rows += [(whole_number(k), v) for k, v in rows if k and whole_number(k) not in keys]
    for k, v in ((name_of(k), name_of(v)) for k, v in rows):
        if k is None or v is None or v == "" or k in extra:
            continue
        if table.setdefault(k, v) != v:
            raise InputError(f"{path}: '{k}' has two values of {value}: '{table[k]}' and '{v}'")
    return table | extra


def _read_table(path, columns, kind="lookup table"):
    """(tuples of the values in `columns`, whether the table is text); also of a table compressed by gzip."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such {kind}")
    try:
        with open_decompressed(path) as file:
            content = content_of(file)
            if content == PARQUET:
                return _read_parquet(path, file, columns), False
        if content:
            raise InputError(f"{path}: is not a table but {content}")
        with open_text(path) as file:
            delimiter = "\t" if "\t" in file.readline() else ","
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter)
            _check_columns(path, columns, reader.fieldnames or [])
            return [tuple(row[column] for column in columns) for row in reader], True
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}: not a readable table ({error}); it must be CSV or TSV in UTF-8, or Parquet"
        ) from None


def _read_parquet(path, file, columns):
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError(f"{path}: a Parquet table is read with pyarrow; `pip install pyarrow`") from None
    try:
        file.seek(0)
        table = parquet.ParquetFile(file)
        _check_columns(path, columns, table.schema_arrow.names)
        table = table.read(columns).to_pydict()
    except (ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from None
    return list(zip(*(table[column] for column in columns), strict=True))


def _check_columns(path, columns, names):
    for column in columns:
        if column not in names:
            raise InputError(f"{path}: has no column '{column}' (it has: {', '.join(names)})")
