"""An order of cells from a file, such as one that was recorded from another loader."""

from pathlib import Path

import numpy as np

from cellshuffle.errors import InputError
from cellshuffle.loading.coverage import check_range, read_order
from cellshuffle.loading.orders import CellOrder


class OrderFile(CellOrder):
    """The cell numbers of a `.npy` file, in their order: one row an epoch, or one for all epochs.

    Cells are numbered from 0 through the train plates in the order of the configuration. A file may leave
    cells out and have others several times; `coverage` counts them. The file is not read as a whole.
    Raises InputError where it is no array of whole numbers, or has a number that no cell has.
    """

    def __init__(self, path: str | Path):
        super().__init__()
        self.path, self.rows = str(path), read_order(path)

    def __reduce__(self):
        """To another process goes the path, not the file's content."""
        return OrderFile, (self.path,)

    def get_len(self, data_collection):
        return self.rows.shape[1]

    def draw(self, plate_sizes, seed, epoch):
        if len(self.rows) > 1 and epoch >= len(self.rows):
            raise InputError(
                f"{self.path}: has rows for {len(self.rows)} epochs, but epoch {epoch + 1} is asked for; "
                "give a row for every epoch, or a single one for all"
            )
        row = self.rows[epoch if len(self.rows) > 1 else 0]
        check_range(self.path, row, int(np.sum(plate_sizes)))
        return row.astype(np.int64)
