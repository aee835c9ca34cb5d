"""Packed plates for the examples, made by the installed package."""

from pathlib import Path

import anndata
import cellshuffle
import pytest
from cellshuffle.simulation.counts import simulate_plate

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def plates(tmp_path_factory):
    """Three packed plates of 1,500 cells and 300 genes."""
    assert not Path(cellshuffle.__file__).is_relative_to(REPOSITORY / "workflow"), "not the installed package"
    folder = tmp_path_factory.mktemp("plates")
    published = [folder / f"plate{number}.h5ad" for number in (1, 2, 3)]
    for number, path in enumerate(published, start=1):
        simulate_plate(path, number, cells_per_plate=1500, genes=300, cell_lines=4, drugs=20, seed=0)
    return cellshuffle.pack(published, folder / "packed")


@pytest.fixture(scope="session")
def cells(plates):
    """The cells of the plates as one AnnData, read from what they were packed from."""
    return anndata.concat([anndata.read_h5ad(path.parents[1] / path.name) for path in plates])
