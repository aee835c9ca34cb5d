"""One Parquet file of cells, as Hugging Face has Tahoe-100M (tahoebio/Tahoe-100M).

A row is a cell: `genes`, a list of tokens, and `expressions`, a list of their counts, both of which begin
with a marker; all other columns are of obs. pyarrow is imported where it is used.
"""

from contextlib import contextmanager

import numpy as np

from cellshuffle.errors import InputError

GENES, COUNTS = "genes", "expressions"
MARKER = 1, -2  # token and count with which every row begins
BATCH = 2**20  # values decoded at a time: small arrays are made and freed faster
AGAIN = "copy or download it again"


def arrow(path):
    """pyarrow, with pyarrow.parquet; InputError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            f'{path}: Parquet is read with pyarrow; `pip install "cellshuffle[tahoe]"`'
        ) from None
    return pyarrow


@contextmanager
def readable_parquet(path):
    """Whatever pyarrow raises at a file that is damaged, as InputError."""
    try:
        yield
    except (arrow(path).ArrowException, OSError, ValueError, KeyError) as error:
        words = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{path}: not a readable Parquet file, or a truncated one; {AGAIN} ({words})"
        ) from None


class CellFile:
    """What a file holds, from its footer.

    metadata: {name: text} of the schema; n_rows; group_rows, group_values: rows and tokens (with markers) of
    each row group; columns: {obs column: "text" or the dtype of its numbers}; constants: {obs column of text:
    the one value of each row group, None where it has several}; lacking: obs columns that may lack values.
    Raises InputError when the file cannot be read, or is no table of cells.
    """

    def __init__(self, path):
        self.path = path
        with readable_parquet(path):
            reader = self._open()
            schema, footer = reader.schema_arrow, reader.metadata
        self.metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        self.columns = _columns(path, schema, arrow(path).types)
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        self.group_rows = np.array([group.num_rows for group in groups], np.int64)
        self.first = np.concatenate([[0], np.cumsum(self.group_rows)])  # row of each group
        self.n_rows = int(self.first[-1])
        leaves = {footer.schema.column(k).path: k for k in range(footer.num_columns)}
        lists = next(k for path, k in leaves.items() if path.split(".")[0] == GENES)
        self.group_values = np.array([group.column(lists).num_values for group in groups], np.int64)
        self.constants, self.lacking = {}, set()
        for name, kind in self.columns.items():
            statistics = [group.column(leaves[name]).statistics for group in groups]
            if not all(s is not None and s.has_null_count and s.null_count == 0 for s in statistics):
                self.lacking.add(name)
            if kind == "text":
                self.constants[name] = [_constant(s) for s in statistics]

    def _open(self):
        return arrow(self.path).parquet.ParquetFile(self.path)

    def column(self, name, start=0, stop=None, dictionary=()):
        """The rows start..stop of an obs column, as a list of pyarrow arrays."""
        stop = self.n_rows if stop is None else stop
        low, high = np.searchsorted(self.first, [start, stop - 1], side="right") - 1
        if stop <= start:
            return []
        with readable_parquet(self.path):
            reader = arrow(self.path).parquet.ParquetFile(self.path, read_dictionary=list(dictionary))
            read = reader.read_row_groups(list(range(low, high + 1)), [name], use_threads=False)
            return read.column(0).slice(start - self.first[low], stop - start).chunks

    def complete(self, rows):
        """(n_groups,) bool: the row groups all of whose rows are among these (sorted numbers; None: all)."""
        if rows is None:
            return np.ones(len(self.group_rows), bool)
        return np.diff(np.searchsorted(rows, self.first)) == self.group_rows

    def batches(self, rows=None, groups=None, counts=True, threads=False):
        """Yield (tokens, counts or None, values of each row), without markers, batch by batch.

        rows: sorted numbers, None for all; groups: only of these row groups; counts: whether to read them.
        """
        chosen = self.complete(None) if rows is None else np.diff(np.searchsorted(rows, self.first)) > 0
        with readable_parquet(self.path):
            reader = self._open()
        for group in np.flatnonzero(chosen if groups is None else chosen & groups).tolist():
            low, high = self.first[group : group + 2].tolist()
            n_rows = max(1, BATCH // max(1, int(self.group_values[group]) // (high - low)))
            columns = [GENES, COUNTS] if counts else [GENES]
            with readable_parquet(self.path):
                batches = reader.iter_batches(n_rows, [group], columns, use_threads=threads)
            while low < high:
                with readable_parquet(self.path):
                    batch = next(batches)
                numbers, low = np.arange(low, low + len(batch)), low + len(batch)
                if rows is not None:
                    first = numbers[0]
                    numbers = rows[slice(*np.searchsorted(rows, [first, low]))]
                    batch = batch if len(numbers) == len(batch) else batch.take(numbers - first)
                if len(numbers):
                    yield self._lists(batch, numbers)

    def _lists(self, batch, numbers):
        """The tokens and counts of a batch, whose rows have these numbers."""
        lists = [batch.column(k) for k in range(batch.num_columns)]
        lengths = [np.diff(part.offsets.to_numpy()) for part in lists]
        flat = [part.flatten() for part in lists]
        if any(part.null_count for part in [*lists, *flat]):
            raise InputError(
                f"{self.path}: {GENES} or {COUNTS} lack values among rows {numbers[0]} to {numbers[-1]}"
            )
        wrong = lengths[0] != lengths[-1]
        if wrong.any():
            raise InputError(f"{self.path}: row {numbers[wrong][0]} has not as many {GENES} as {COUNTS}")
        values = [part.to_numpy() for part in flat]
        n = lengths[0].astype(np.int64)
        start = np.cumsum(n) - n
        wrong = n == 0
        if not wrong.any():
            wrong = np.any([part[start] != mark for part, mark in zip(values, MARKER, strict=False)], axis=0)
        if wrong.any():
            raise InputError(
                f"{self.path}: row {numbers[wrong][0]} does not begin with the marker of Tahoe-100M, gene "
                f"{MARKER[0]} with expression {MARKER[1]}, which is left out"
            )
        kept = np.ones(len(values[0]), bool)
        kept[start] = False
        tokens, *others = (part[kept] for part in values)
        return tokens, others[0] if others else None, n - 1


def _columns(path, schema, types):
    """{obs column: kind} of a schema; InputError where it is not that of cells."""
    for name, is_number in (
        (GENES, types.is_integer),
        (COUNTS, lambda t: types.is_integer(t) or types.is_floating(t)),
    ):
        found = schema.field(name).type if name in schema.names else None
        if (
            found is None
            or not (types.is_list(found) or types.is_large_list(found))
            or not is_number(found.value_type)
        ):
            raise InputError(
                f"{path}: is no table of cells as Tahoe-100M has on Hugging Face, with lists of numbers as "
                f"{GENES} and {COUNTS} (it has: {', '.join(f'{f.name}: {f.type}' for f in schema)})"
            )
    columns = {}
    for field in schema:
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        if types.is_string(kind) or types.is_large_string(kind):
            columns[field.name] = "text"
        elif types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            columns[field.name] = np.dtype(kind.to_pandas_dtype())
    return columns


def _constant(statistics):
    """The one value of a row group's column of text, None where it may have others."""
    known = statistics is not None and statistics.has_min_max and statistics.has_null_count
    if not known or statistics.null_count or statistics.min != statistics.max:
        return None
    return statistics.min
