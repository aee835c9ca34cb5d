"""What leads out of a file is refused at every step, and every column has a value for every row."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from atlases import sound_plate
from cellshuffle.atlas.h5ad import member, open_h5ad
from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.tables import column_codes
from cellshuffle.errors import InputError
from cellshuffle.inspection.atlas import check_atlas
from cellshuffle.labels.codes import plate_labels
from cellshuffle.packing.pack import pack_plate

DRUG = {"drug": {"column": "drug"}}


@pytest.fixture
def plates(tmp_path):
    """Two sound plates of 60 cells."""
    paths = [tmp_path / f"plate{k}.h5ad" for k in (1, 2)]
    for k, path in enumerate(paths):
        plate = sound_plate(k)
        plate.obs["text"] = [f"t{i}" for i in range(60)]  # anndata makes others categories
        plate.obs["number"] = pd.array([i % 3 for i in range(60)], "Int64")
        plate.layers["counts"] = plate.X.copy()
        plate.obsm["X_pca"] = np.zeros((60, 2))
        plate.obsm["table"] = pd.DataFrame({"a": range(60)}, index=plate.obs_names)
        plate.write_h5ad(path)
    return paths


def findings(paths, tasks=DRUG, **options):
    """Lines of the check, on one train plate a file and the last file as the test plate too."""
    entry = {"packed": None, "select": {}}
    plates = [entry | {"plate": str(k), "source": str(p), "split": "train"} for k, p in enumerate(paths)]
    request = {
        "plates": [*plates, plates[-1] | {"split": "test"}], "layer": None, "transform": "none",
        "columns": [], "balance": [], "tasks": tasks, "max_cells": {"train": None, "test": None},
    }  # fmt: skip
    return check_atlas(request | options)[0]


def move_out(file, name, other):
    """Move an object into another file, whose own path it keeps; the other file."""
    with h5py.File(other, "a") as outside:
        file.copy(name, outside, name)
    del file[name]


def external(file, name, other):
    move_out(file, name, other)
    file[name] = h5py.ExternalLink(str(other), f"/{name}")


def soft_through_external(file, name, other):
    move_out(file, name, other)
    file["uns/other"] = h5py.ExternalLink(str(other), "/")
    file[name] = h5py.SoftLink(f"/uns/other/{name}")


def two_soft_links(file, name, other):
    soft_through_external(file, name, other)
    file["uns/again"] = h5py.SoftLink("other")
    del file[name]
    file[name] = h5py.SoftLink(f"/uns/again/{name}")


def virtual(file, name, other):
    dataset = next(iter(file[name].values())) if isinstance(file[name], h5py.Group) else file[name]
    name, shape, dtype = dataset.name, dataset.shape, dataset.dtype
    move_out(file, name, other)
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource(str(other), name, shape)
    file.create_virtual_dataset(name, layout)


WAYS = [external, soft_through_external, two_soft_links, virtual]
NAMES = [
    "obs",
    "obs/drug",
    "obs/drug/codes",
    "obs/drug/categories",
    "X",
    "X/data",
    "X/indptr",
    "var",
    "var/_index",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_what_leads_to_another_file_is_refused(plates, tmp_path, way, name):
    path = plates[0]
    with h5py.File(path, "r+") as file:
        way(file, name, tmp_path / "elsewhere.h5")
    words = "another file, which is not followed"
    lines = findings(plates)
    assert len(lines) == 1 and words in lines[0], lines
    with pytest.raises(InputError, match=words):
        pack_plate(path, tmp_path / "packed.h5ad")
    if name.startswith("obs"):
        with pytest.raises(InputError, match=words):
            plate_labels([path], DRUG)
    else:
        with pytest.raises(InputError, match=words):
            Plates([path])


def test_links_inside_the_file_are_followed(plates, tmp_path):
    path, expected = plates[0], anndata.read_h5ad(plates[0])
    with h5py.File(path, "r+") as file:
        for name in ("obs/drug", "X/data", "var"):
            file.move(name, f"uns/{name}")
        file["uns/near"] = h5py.SoftLink("obs/drug")
        file["obs/drug"] = h5py.SoftLink("/uns/./near")
        file["X/data"] = h5py.SoftLink("/uns/X/data")
        file["var"] = h5py.SoftLink("uns/var")
    assert findings(plates) == []
    pack_plate(path, tmp_path / "packed.h5ad")
    found = anndata.read_h5ad(tmp_path / "packed.h5ad")
    pd.testing.assert_frame_equal(found.obs[list(expected.obs)], expected.obs)
    assert (found.X != expected.X).nnz == 0


def test_links_to_nothing_and_to_themselves(plates):
    path = plates[0]
    with h5py.File(path, "r+") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
        file["c"] = h5py.SoftLink("/nothing")
    with open_h5ad(path) as file:
        with pytest.raises(
            InputError, match=r"plate1.h5ad: \w is a link that leads to nothing but other links"
        ):
            member(file, "a")
        with pytest.raises(InputError, match="has no c"):
            member(file, "c")


def cut(file, name, change):
    """Make an array of the file shorter (change < 0) or longer."""
    stored, attributes = file[name][:], dict(file[name].attrs)
    del file[name]
    file[name] = stored[:change] if change < 0 else np.concatenate([stored, stored[:change]])
    file[name].attrs.update(attributes)


COLUMNS = ["drug/codes", "text", "number/values", "number/mask", "size"]


@pytest.mark.parametrize("change", [-10, 7])
@pytest.mark.parametrize("part", COLUMNS)
def test_a_column_of_another_length_is_refused(plates, tmp_path, part, change):
    """Also one that no task reads, and where the first cells alone are used."""
    path, column = plates[0], part.split("/")[0]
    with h5py.File(path, "r+") as file:
        cut(file, f"obs/{part}", change)
    words = f"obs column '{column}' has {60 + change} values for 60 rows"
    assert any(words in line for line in findings(plates))
    with open_h5ad(path) as file, pytest.raises(InputError, match=words):
        column_codes(file, column)
    with pytest.raises(InputError, match=words):
        plate_labels(plates, {"task": {"column": column}}, max_cells=20)
    with pytest.raises(InputError, match=words):
        pack_plate(path, tmp_path / "packed.h5ad")


def test_one_plate_short_and_another_long(plates):
    for path, change in zip(plates, (-10, 10), strict=True):
        with h5py.File(path, "r+") as file:
            cut(file, "obs/drug/codes", change)
    lines = findings(plates, max_cells={"train": 70, "test": None})
    assert [f"has {n} values for 60 rows" in line for n, line in zip((50, 70), lines, strict=True)] == [
        True
    ] * 2
    with pytest.raises(InputError, match="has 50 values for 60 rows"):
        plate_labels(plates, DRUG, max_cells=70)


PARTS = {
    "obs/_index": "60 rows in X but 50 cells in obs",
    "var/_index": "30 columns in X but 20 genes in var",
    "obsm/X_pca": "50 rows in obsm/X_pca for 60 cells",
    "obsm/table/_index": "50 rows in obsm/table for 60 cells",
    "layers/counts/indptr": "do not fit together",
    "X/indptr": "do not fit together",
}


@pytest.mark.parametrize("name", PARTS)
def test_other_lengths(plates, name):
    with h5py.File(plates[0], "r+") as file:
        cut(file, name, -10)
    layer = "counts" if name.startswith("layers") else None
    assert any(PARTS[name] in line for line in findings(plates, layer=layer))
    if not name.startswith("obsm"):
        with pytest.raises(InputError, match=r"but 50 cells in obs|but 20 genes in var|do not fit"):
            Plates(plates, layer=layer)


def test_a_layer_of_other_cells(plates):
    with h5py.File(plates[0], "r+") as file:
        file["layers/counts"].attrs["shape"] = np.array([50, 30])
    assert findings(plates) == [f"{plates[0]}: 50 rows in layers/counts for 60 cells; write the file anew"]


@pytest.mark.parametrize("code", [4, 100, -2])
def test_codes_without_a_category(plates, tmp_path, code):
    with h5py.File(plates[0], "r+") as file:
        file["obs/drug/codes"][-1] = code
    words = "obs column 'drug' has codes beyond its categories, of which there are 4"
    assert any(words in line for line in findings(plates))
    with pytest.raises(InputError, match=words):
        plate_labels(plates, DRUG, max_cells=20)


def test_pointers_beyond_the_values(plates):
    with h5py.File(plates[0], "r+") as file:
        file["X/indptr"][1] = 10**6
    with pytest.raises(InputError, match="indptr goes down, or too far, at row 0"):
        Plates(plates)[np.arange(60)]


def test_categories_that_cannot_be_told_apart(plates):
    with h5py.File(plates[0], "r+") as file:
        file["obs/drug/categories"][1] = file["obs/drug/categories"][0]
    with pytest.raises(InputError, match="obs column 'drug' has a category twice"):
        plate_labels(plates, DRUG)


def test_a_column_of_one_column(plates, tmp_path):
    """anndata refuses such files; a column vector can only be meant as a column."""
    with h5py.File(plates[0], "r+") as file:
        expected = file["obs/text"].asstr()[:].tolist()
        values = file["obs/text"][:].reshape(-1, 1)
        del file["obs/text"]
        file.create_dataset("obs/text", data=values, dtype=h5py.string_dtype())
        file["obs/wide"] = np.zeros((60, 3))
    assert any("'wide' is a matrix of shape (60, 3), not one value" in line for line in findings(plates))
    with h5py.File(plates[0], "r+") as file:
        del file["obs/wide"]
    assert findings(plates) == []
    pack_plate(plates[0], tmp_path / "packed.h5ad")
    for path in (plates[0], tmp_path / "packed.h5ad"):
        ((codes, values),) = plate_labels([path], {"text": {"column": "text"}})["text"]
        assert values[codes].tolist() == expected
    assert anndata.read_h5ad(tmp_path / "packed.h5ad").obs["text"].tolist() == expected
