"""What writing the cells once more costs: the bytes of the cells that are written, and the rate for all."""

import numpy as np
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.atlas.plates import Plates
from cellshuffle.packing import rewriting


def test_a_part_is_written_and_counted_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr(rewriting, "MOST", 30)
    monkeypatch.setattr(rewriting, "AT_ONCE", 8)
    write_atlas(
        tmp_path / "plate.h5ad", counts_of(90, 20, 0), obs_of(90, 0, drug=(["a", "b"], "categorical"))
    )
    plates, cells = Plates([tmp_path / "plate.h5ad"]), np.random.default_rng(0).permutation(90)
    written = []
    monkeypatch.setattr(
        rewriting.os, "fsync", lambda number: written.append(len((tmp_path / rewriting.NAME).read_bytes()))
    )
    found = rewriting.measure_rewriting(plates, cells, tmp_path)
    rows = [plates[np.sort(cells[low : low + 8][: 30 - low])] for low in range(0, 30, 8)]
    n_bytes = sum(array.nbytes for r in rows for array in (r.data, r.indices, r.indptr))
    assert found["measured_bytes"] == n_bytes == written[0]
    assert (found["cells"], found["measured_cells"]) == (90, 30)
    assert found["seconds"] == round(found["seconds"], 3) >= 2.9 * found["measured_seconds"] - 0.01
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plate.h5ad"]
