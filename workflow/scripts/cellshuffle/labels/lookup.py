"""Classes looked up in a table: the mechanism of a drug, say."""

import csv
import gzip
import zlib
from pathlib import Path

from cellshuffle.atlas.names import name_of, whole_number
from cellshuffle.errors import InputError
from cellshuffle.files import PARQUET, content_of, open_decompressed, open_text


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


def _read_table(path, columns):
    """(tuples of the values in `columns`, whether the table is text); also of a table compressed by gzip."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such lookup table")
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
