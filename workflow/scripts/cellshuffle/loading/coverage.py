"""Order files as arrays, and which cells they have: what can be known without a sampler."""

from dataclasses import dataclass

import numpy as np

from cellshuffle.errors import InputError

AT_ONCE = 10_000_000  # cell numbers of a file that are looked at together


@dataclass
class Coverage:
    """Which cells an order file has; counts are of its rows together."""

    epochs: int  # rows
    cells: int  # in a row
    n_cells: int  # of the plates
    seen: int  # cells that are in some row
    repeated: int  # numbers that are in the same row once more

    def words(self):
        """Sentences for a person."""
        rows = "one row for all epochs" if self.epochs == 1 else f"rows for {self.epochs} epochs"
        line = f"{rows}, {self.cells:,} cells each; "
        never = self.n_cells - self.seen
        if never:
            line += f"sees {share(self.seen, self.n_cells)} of the cells, {share(never, self.n_cells)} never"
        else:
            line += f"sees all {self.n_cells:,} cells"
        total = self.epochs * self.cells
        repeats = f"{share(self.repeated, total)} of its numbers repeat a cell of the same epoch"
        return f"{line}; {repeats if self.repeated else 'no cell comes twice in an epoch'}"


def share(part, whole):
    """A share in percent, never rounded to nothing or to all.

    >>> share(7, 100), share(1, 10**6), share(999_999, 10**6)
    ('7%', 'less than 0.1%', 'more than 99.9%')
    """
    if 0 < part < whole / 1000:
        return "less than 0.1%"
    if whole * 0.999 < part < whole:
        return "more than 99.9%"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if 1 <= percent <= 99 or part in (0, whole) else f"{percent:.1f}%"


def read_order(path):
    """The (epochs, cells) whole numbers of an order file, mapped into memory; InputError."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such order file") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        # NumPy goes on with how to load a pickle all the same.
        words = str(error).splitlines()[0].partition(". ")[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: is not an array of numbers that np.save has written ({words}); an order file is made "
            "by np.save(path, cells)"
        ) from None
    if not isinstance(rows, np.ndarray):
        rows.close()
        raise InputError(f"{path}: is an archive of arrays; np.save, not np.savez, writes an order file")
    if rows.dtype.kind not in "iu":
        raise InputError(f"{path}: holds {rows.dtype}; an order file holds whole numbers, those of cells")
    if rows.ndim not in (1, 2):
        raise InputError(f"{path}: has {rows.ndim} dimensions; give one row of cells, or one row an epoch")
    if not rows.size:
        raise InputError(f"{path}: holds no cell")
    return rows if rows.ndim == 2 else rows[None]


def check_range(path, row, n_cells):
    """Raise InputError where a row has a number that none of the cells has."""
    for low in range(0, len(row), AT_ONCE):
        part = row[low : low + AT_ONCE]
        for wrong in (part.min(), part.max()):
            if not 0 <= wrong < n_cells:
                raise InputError(
                    f"{path}: has cell {wrong}, but the {n_cells:,} train cells are numbered 0 to "
                    f"{n_cells - 1}"
                )


def coverage(path, n_cells, epochs=None):
    """The Coverage of an order file over so many cells; a byte a cell of memory.

    epochs: rows beyond these are left out. Raises InputError as `OrderFile` does, and for too few rows.
    """
    rows = read_order(path)
    if epochs is not None and 1 < len(rows) < epochs:
        raise InputError(
            f"{path}: has rows for {len(rows)} epochs, the training has {epochs}; give a row for every "
            "epoch, or a single one for all"
        )
    rows = rows[:epochs]
    seen, repeated = np.zeros(n_cells, bool), 0
    for row in rows:
        in_row = np.zeros(n_cells, bool)
        for low in range(0, len(row), AT_ONCE):
            part = row[low : low + AT_ONCE]
            check_range(path, part, n_cells)
            in_row[part] = True
        repeated += len(row) - int(in_row.sum())
        seen |= in_row
    return Coverage(len(rows), rows.shape[1], n_cells, int(seen.sum()), repeated)
