"""Cells in Parquet files as Hugging Face has Tahoe-100M, seen as an h5ad is (tree.py).

Cells are in the order of the files, sorted by name as people count (2 before 10), and in each as they lie.
Genes are those of gene_metadata.parquet, in the order of that table.
"""

import functools
import os
from pathlib import Path

import numpy as np

from cellshuffle.atlas.parquet_file import AGAIN, CellFile, arrow, readable_parquet
from cellshuffle.atlas.rows import Rows, first_repeat, value_problem, value_type
from cellshuffle.atlas.stamps import stamp
from cellshuffle.atlas.tree import LISTS, Array, File, Parts, array_of
from cellshuffle.errors import InputError
from cellshuffle.phrasing import natural_key

BARCODE = "BARCODE_SUB_LIB_ID"  # the column that names the cells
GENE_TABLE, TOKEN, SYMBOL, ENSEMBL = "gene_metadata.parquet", "token_id", "gene_symbol", "ensembl_id"
KEPT = 8  # obs columns whose codes are held
DATAFRAME = {"encoding-type": "dataframe", "encoding-version": "0.2.0"}
CATEGORICAL = {"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False}
NUMBERS = {"encoding-type": "array", "encoding-version": "0.2.0"}
TEXT = {"encoding-type": "string-array", "encoding-version": "0.2.0"}


def data_files(path):
    """The Parquet files of cells in a folder, or the file itself, in the order of their cells."""
    path = Path(path)
    if not path.is_dir():
        return [path] if path.name.endswith(".parquet") else []
    files = [p for p in path.glob("[!.]*.parquet") if not p.name.endswith("_metadata.parquet")]
    return sorted(files, key=lambda path: natural_key(path.name))


def gene_table(path):
    """Path of the table of genes: in the folder of the files or beside it, or in `metadata` there."""
    folder = Path(path) if os.path.isdir(path) else Path(path).parent
    for above in (folder, folder.absolute().parent):
        for place in (above / "metadata" / GENE_TABLE, above / GENE_TABLE):
            if place.exists():
                return place
    raise InputError(
        f"{path}: there is no metadata/{GENE_TABLE} beside it, which says what gene a token is; "
        "download it from where the cells are from"
    )


class Cells(File):
    """The cells of Parquet files as one plate. Raises InputError when they, or their genes, cannot be read.

    files: a CellFile each; n_cells; n_values: stored counts; n_genes.
    """

    def __init__(self, path, files=None, genes=None):
        self.files = _cell_files(str(path), tuple(stamp(path))) if files is None else files
        super().__init__(path, self.files[0].metadata)
        self.table = gene_table(path) if genes is None else genes[0]
        self.genes = _read_genes(self.table) if genes is None else genes[1]
        self.n_genes = len(self.genes[TOKEN])
        self.first = np.cumsum([0, *(file.n_rows for file in self.files)])  # cell of each file
        self.n_cells = int(self.first[-1])
        self.n_values = int(sum(file.group_values.sum() for file in self.files)) - self.n_cells
        self.place = np.full(self.genes[TOKEN].max(initial=0) + 1, -1, np.int32)  # gene of each token
        self.place[self.genes[TOKEN]] = np.arange(self.n_genes)
        self._codes = {}

    def narrowed(self, cells):
        """(the files from the first to the last with some of the sorted `cells`, the same cells in them)."""
        if cells is None or not len(cells):
            return self, cells
        low, high = np.searchsorted(self.first, [cells[0], cells[-1]], side="right") - 1
        part = Cells(self.filename, self.files[low : high + 1], (self.table, self.genes))
        return part, cells - self.first[low]

    def by_file(self, cells=None, start=0):
        """Yield (number, its rows) of each file, from one on, with some of the sorted `cells`; None: all."""
        for number in range(start, len(self.files)):
            low, high = self.first[number : number + 2]
            rows = None if cells is None else cells[slice(*np.searchsorted(cells, [low, high]))] - low
            if rows is None or len(rows):
                yield number, rows

    def count_values(self, cells=None, place=None):
        """Stored counts of these cells; place: see Rows.only. Only row groups wanted in part are read."""
        total = 0
        for number, rows in self.by_file(cells):
            file = self.files[number]
            known = file.complete(rows) if place is None else np.zeros(len(file.group_rows), bool)
            total += int((file.group_values - file.group_rows)[known].sum())
            for tokens, _, lengths in file.batches(rows, ~known, counts=False):
                wanted = tokens if place is None else place[self._genes_of(file, tokens)] >= 0
                total += int(lengths.sum()) if place is None else int(wanted.sum())
        return total

    def rows(self, number, rows=None, threads=False):
        """Yield the Rows of rows of one file that follow one another, their genes ascending.

        Raises InputError for a token without a gene, and for values that cannot be trained on.
        """
        file = self.files[number]
        for tokens, counts, lengths in file.batches(rows, threads=threads):
            genes = self._genes_of(file, tokens)
            data = counts.astype(value_type(counts.dtype), copy=False)
            if problem := value_problem(data, False):
                raise InputError(f"{file.path}: {problem[0]}")
            part = Rows(data, genes, np.concatenate([[0], np.cumsum(lengths)]), self.n_genes).in_gene_order()
            if first_repeat(part) is not None:
                raise InputError(f"{file.path}: a cell has two values for the same gene")
            yield part

    def _genes_of(self, file, tokens):
        """(n,) int32 gene of each token."""
        inside = len(tokens) == 0 or (tokens.min() >= 0 and tokens.max() < len(self.place))
        genes = self.place[tokens] if inside else None
        if genes is None or (genes < 0).any():
            known = np.zeros(0, bool) if genes is None else genes >= 0
            lacking = tokens[~known] if len(known) else tokens[(tokens < 0) | (tokens >= len(self.place))]
            raise InputError(
                f"{file.path}: token {lacking[0]} is no gene of {self.table}; take both of one release"
            )
        return genes

    def sample(self, n_places, n_rows):
        """[(counts, genes) of the first rows of a file, ...] of some files spread over all."""
        for number in np.unique(np.linspace(0, len(self.files) - 1, n_places).astype(int)).tolist():
            part = next(self.rows(number, np.arange(min(n_rows, self.files[number].n_rows))), None)
            if part is not None:
                yield part.data, part.indices

    def codes(self, column):
        """((n_cells,) codes in the narrowest type, -1 without a value; (n,) sorted values) of a text column.

        A file whose row groups have one value each, by their statistics, is not read.
        """
        if column not in self._codes:
            while len(self._codes) >= KEPT:
                self._codes.pop(next(iter(self._codes)))
            self._codes[column] = self._read_codes(column)
        return self._codes[column]

    def _read_codes(self, column):
        known, parts = {}, []
        for file in self.files:
            constants = file.constants[column]
            if None not in constants:
                codes = [known.setdefault(value, len(known)) for value in constants]
                parts.append(np.repeat(np.array(codes, _code_type(known)), file.group_rows))
                continue
            for chunk in file.column(column, dictionary=[column]):
                chunk = chunk if hasattr(chunk, "indices") else chunk.dictionary_encode()
                place = [known.setdefault(value, len(known)) for value in chunk.dictionary.to_pylist()]
                place = np.array([*place, -1], _code_type(known))
                parts.append(place[chunk.indices.fill_null(-1).to_numpy()])
        names = sorted(known)
        place = np.full(len(known) + 1, -1, _code_type(known))
        place[[known[name] for name in names]] = np.arange(len(names))
        return np.concatenate([place[:0], *(place[part] for part in parts)]), np.array(names, object)

    def _names(self):
        return ["X", "obs", "var"]

    def _part(self, name):
        if name == "X":
            shape = np.array([self.n_cells, self.n_genes])
            return Parts(self, "/X", {"encoding-type": LISTS, "shape": shape}, {})
        return self._obs() if name == "obs" else self._var()

    def _var(self):
        attrs = DATAFRAME | {"_index": SYMBOL, "column-order": np.array([ENSEMBL, TOKEN], object)}
        kinds = {name: TEXT if values.dtype.kind == "O" else NUMBERS for name, values in self.genes.items()}
        return Parts(self, "/var", attrs, {k: array_of(v, kinds[k]) for k, v in self.genes.items()})

    def _obs(self):
        columns = self.files[0].columns
        index = BARCODE if columns.get(BARCODE) == "text" else "_index"
        parts = {
            name: functools.partial(self._categories if kind == "text" else self._numbers, name)
            for name, kind in columns.items()
            if name != index
        }
        attrs = DATAFRAME | {"_index": index, "column-order": np.array(list(parts), object)}
        return Parts(self, "/obs", attrs, parts | {index: self._index})

    def _index(self, file, path):
        def read(start, stop):
            if path.endswith("/_index"):
                return np.arange(start, stop).astype(str)
            return self._values(BARCODE, start, stop, lambda chunk: chunk, np.dtype(object))

        return Array(file, path, (self.n_cells,), object, read, TEXT)

    def _categories(self, column, file, path):
        def codes(file, path):
            dtype, read = lambda: self.codes(column)[0].dtype, lambda a, b: self.codes(column)[0][a:b]
            return Array(file, path, (self.n_cells,), dtype, read, NUMBERS)

        def categories(file, path):
            shape, read = lambda: self.codes(column)[1].shape, lambda a, b: self.codes(column)[1][a:b]
            return Array(file, path, shape, object, read, TEXT)

        return Parts(file, path, CATEGORICAL, {"codes": codes, "categories": categories})

    def _numbers(self, column, file, path):
        """A column of numbers; whole ones that lack values are a nullable column, as of anndata."""
        dtype = self.files[0].columns[column]

        def values(file, path):
            def filled(chunk):
                return chunk if dtype.kind == "f" else chunk.fill_null(False if dtype.kind == "b" else 0)

            read = functools.partial(self._values, column, change=filled, dtype=dtype)
            return Array(file, path, (self.n_cells,), dtype, lambda a, b: read(a, b), NUMBERS)

        def mask(file, path):
            def read(start, stop):
                return self._values(column, start, stop, lambda chunk: chunk.is_null(), np.dtype(bool))

            return Array(file, path, (self.n_cells,), bool, read, NUMBERS)

        if dtype.kind == "f" or not any(column in file.lacking for file in self.files):
            return values(file, path)
        kind = f"nullable-{'boolean' if dtype.kind == 'b' else 'integer'}"
        attrs = {"encoding-type": kind, "encoding-version": "0.1.0"}
        return Parts(file, path, attrs, {"values": values, "mask": mask})

    def _values(self, column, start, stop, change, dtype):
        """The values of cells start..stop; change: a function of a pyarrow array."""
        parts = [np.zeros(0, dtype)]
        for file, first in zip(self.files, self.first.tolist(), strict=False):
            low, high = max(start - first, 0), min(stop - first, file.n_rows)
            for chunk in file.column(column, low, high) if low < high else []:
                parts.append(change(chunk).to_numpy(zero_copy_only=False).astype(dtype))
        return np.concatenate(parts)


def _code_type(known):
    return np.min_scalar_type(-max(1, len(known)))


@functools.lru_cache(maxsize=4)
def _cell_files(path, _stamp):
    """The CellFile of every file, once for all who open them; InputError where columns differ."""
    files = [CellFile(file) for file in data_files(path)]
    if not files:
        raise InputError(f"{path}: holds no Parquet files of cells")
    for file in files:
        if file.columns != files[0].columns:
            differ = sorted(name for name, _ in file.columns.items() ^ files[0].columns.items())
            raise InputError(
                f"{file.path}: has other columns than {files[0].path.name}: {', '.join(differ)}; {AGAIN}"
            )
    return files


def _read_genes(path):
    """{TOKEN: (n,) int64, SYMBOL, ENSEMBL: (n,) text} of the table of genes."""
    with readable_parquet(path):
        table = arrow(path).parquet.read_table(path)
        absent = [name for name in (TOKEN, SYMBOL, ENSEMBL) if name not in table.column_names]
        if absent:
            raise InputError(
                f"{path}: has no column {' or '.join(absent)} (it has: {', '.join(table.column_names)})"
            )
        tokens = np.array(table[TOKEN].to_pylist(), np.int64)
        text = {name: table[name].to_pylist() for name in (SYMBOL, ENSEMBL)}
    if len(np.unique(tokens)) < len(tokens) or (len(tokens) and tokens.min() < 0):
        raise InputError(f"{path}: a {TOKEN} is there twice, or is negative")
    symbols = [symbol or ensembl or "" for symbol, ensembl in zip(text[SYMBOL], text[ENSEMBL], strict=True)]
    ensembl = [name or "" for name in text[ENSEMBL]]
    return {SYMBOL: np.array(symbols, object), ENSEMBL: np.array(ensembl, object), TOKEN: tokens}
