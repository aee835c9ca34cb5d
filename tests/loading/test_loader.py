"""The loader and Plates as scDataset's collection, against anndata, numpy and plain scDataset."""

import pickle
import subprocess
import sys
import warnings

import anndata
import h5py
import numpy as np
import pytest
import scdataset
import scipy.sparse as sp
import torch
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.rows import Rows
from cellshuffle.errors import InputError
from cellshuffle.loading import loader as loader_module
from cellshuffle.loading.loader import Loader
from cellshuffle.loading.samplers import sampler
from cellshuffle.packing.pack import pack_plate
from hypothesis import given, settings
from hypothesis import strategies as st
from independent import plain_order, plain_transform
from loaders import LOADING, N_CELLS, N_GENES, RANDOM, expected_codes, expected_order, named, same
from runs import LIBRARY
from torch.utils.data import DataLoader


@pytest.mark.parametrize("packed", [True, False])
def test_plates_are_a_collection_of_scdataset(atlas, packed):
    files, cells = atlas[packed], atlas[2]
    plates = Plates(files, obs=["drug", "dose"])
    assert plates.classes == {"drug": ["a", "b", "c"], "dose": ["5", "50"]}
    random = scdataset.BlockShuffling(block_size=1)
    dataset = scdataset.scDataset(plates, random, **LOADING)
    for epoch in range(2):
        for batch, order in zip(dataset, expected_order(epoch), strict=True):
            np.testing.assert_array_equal(batch.cells, order)
            np.testing.assert_array_equal(batch.X.dense(), cells.X[order].toarray())
            matrix = sp.csr_matrix((batch["X"].data, batch["X"].indices, batch["X"].indptr), batch.X.shape)
            np.testing.assert_array_equal(matrix.toarray(), cells.X[order].toarray())
            for column in ("drug", "dose"):
                assert batch.obs[column].dtype == np.int64
                np.testing.assert_array_equal(batch[column], expected_codes(cells, column)[order])
    without = next(iter(scdataset.scDataset(Plates(files), random, **LOADING)))
    assert isinstance(without, Rows)
    np.testing.assert_array_equal(without.dense(), cells.X[expected_order(0)[0]].toarray())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_plates_in_the_workers_of_a_dataloader(atlas, method):
    plates = Plates(atlas[0], obs=["drug"], workers=2)
    plates[np.arange(N_CELLS)]  # threads that decode run here, not in a forked worker
    dataset = scdataset.scDataset(plates, scdataset.BlockShuffling(block_size=4), **LOADING)
    batches = list(DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=method))
    seen = np.concatenate([batch.cells for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(N_CELLS))
    for batch in batches:
        np.testing.assert_array_equal(batch.X.dense(), atlas[2].X[batch.cells].toarray())


def dense_of(X):
    return X.dense() if isinstance(X, Rows) else X.to_dense().numpy()


@pytest.mark.parametrize("transform", [None, "log1p", "cp10k_log1p"])
@pytest.mark.parametrize("form", ["dense", "csr", "torch_csr"])
def test_every_form_and_transform(atlas, form, transform):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # torch's, of sparse tensors
        loader = Loader(
            atlas[1],
            sampler(**named(RANDOM)),
            **LOADING,
            form=form,
            transform=transform,
            obs=["drug", "line"],
        )
        batches = list(loader)
    assert loader.classes == {"drug": ["a", "b", "c"], "line": ["x", "y"]}
    same(batches, expected_order(0))
    for batch in batches:
        counts = plain_transform(atlas[2].X[batch.cells].toarray(), transform or "none")
        assert batch.X.shape == counts.shape and len(batch) == len(counts)
        np.testing.assert_allclose(dense_of(batch.X), counts, rtol=1e-5)
        for column in ("drug", "line"):
            assert batch.obs[column].dtype == torch.int64
            np.testing.assert_array_equal(batch.obs[column], expected_codes(atlas[2], column)[batch.cells])


def test_a_function_as_transform_gets_x(atlas):
    options = {**LOADING, "obs": {"own": np.arange(2 * N_CELLS).reshape(-1, 2)}}
    for form, function in (("dense", torch.sqrt), ("csr", Rows.dense)):
        for batch in Loader(atlas[0], sampler(**named(RANDOM)), **options, form=form, transform=function):
            counts = torch.from_numpy(atlas[2].X[batch.cells].toarray()).float()
            torch.testing.assert_close(torch.as_tensor(batch.X), counts.sqrt() if form == "dense" else counts)
            np.testing.assert_array_equal(batch.obs["own"][:, 1], 2 * batch.cells + 1)


@pytest.mark.parametrize("transform", [None, "cp10k_log1p", torch.sqrt])
@pytest.mark.parametrize("prefetch", [0, 3])
def test_made_dense_on_the_device_by_a_process(atlas, monkeypatch, transform, prefetch):
    """As with device="cuda", here on the CPU."""
    options = {**LOADING, "transform": transform, "obs": ["drug"]}
    expected = list(Loader(atlas[1], sampler(**named(RANDOM)), **options))
    monkeypatch.setattr(loader_module, "is_gpu", lambda device: True)
    loader = Loader(atlas[1], sampler(**named(RANDOM)), **options, prefetch=prefetch)
    for ours, theirs in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(ours.cells, theirs.cells)
        torch.testing.assert_close(ours.X, theirs.X)
        torch.testing.assert_close(ours.obs["drug"], theirs.obs["drug"])
    found = list(DataLoader(loader, batch_size=None))
    same(found, expected_order(1))
    if not prefetch:
        with pytest.raises(InputError, match=r"^device 'cpu' has a process of its own .* num_workers"):
            next(iter(DataLoader(loader, batch_size=None, num_workers=1)))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_where_and_genes_are_an_atlas_of_these_alone(atlas, tmp_path_factory, data):
    where = data.draw(
        st.sampled_from(
            [{"pass_filter": "full"}, {"dose": 5, "drug": ["a", "c"]}, {"line": "x"}, {"drug": ["b"]}, None]
        )
    )
    names = [f"gene{k}" for k in range(N_GENES)]
    genes = data.draw(st.none() | st.lists(st.sampled_from(names), min_size=1, unique=True))
    limit = data.draw(st.none() | st.integers(1, 20))
    kept, folder = [], tmp_path_factory.mktemp("kept")
    for number, path in enumerate(atlas[0]):
        cells = anndata.read_h5ad(path)
        for column, values in (where or {}).items():
            values = values if isinstance(values, list) else [values]
            cells = cells[cells.obs[column].isin(values)]
        cells = cells[:, genes if genes is not None else names].copy()
        if cells.n_obs:
            cells.X = sp.csr_matrix(cells.X)
            cells.X.sort_indices()
            kept.append(folder / f"{number}.h5ad")
            cells.write_h5ad(kept[-1])
    packed = data.draw(st.booleans())
    entry = data.draw(st.sampled_from([RANDOM, {"sampler": "BlockShuffling", "block_size": 4}]))
    options = {**LOADING, "form": "csr", "transform": data.draw(st.sampled_from([None, "cp10k_log1p"]))}
    chosen = Plates(atlas[packed], max_cells=limit, where=where, genes=genes, obs=["drug"])
    ours = Loader(chosen, sampler(**named(entry)), **options)
    theirs = Loader(Plates(kept, limit, obs=["drug"]), sampler(**named(entry)), **options)
    assert len(chosen) == len(theirs.plates) and ours.classes == theirs.classes
    assert chosen.genes.tolist() == (names if genes is None else genes)
    if limit is None:
        plates = Plates(atlas[packed])
        ours = Loader(plates, sampler(**named(entry)), **options, where=where, genes=genes, obs=["drug"])
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_array_equal(one.obs["drug"], other.obs["drug"])
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(one.X, part), getattr(other.X, part))
    again = pickle.loads(pickle.dumps(chosen))
    np.testing.assert_array_equal(again[np.arange(len(chosen))].X.data, chosen[np.arange(len(chosen))].X.data)


def test_a_choice_among_chosen_cells(atlas):
    first = Plates(atlas[1], where={"pass_filter": "full"}, genes=["gene9", "gene3", "gene7"], obs=["drug"])
    second = first.select(where={"line": "x"}, genes=["gene7", "gene9"])
    mask = (atlas[2].obs["pass_filter"] == "full") & (atlas[2].obs["line"] == "x")
    expected = atlas[2][mask.to_numpy(), ["gene7", "gene9"]].X.toarray()
    cells = second[np.arange(len(second))]
    np.testing.assert_array_equal(cells.X.dense(), expected)
    assert len(second) == mask.sum() and second.genes.tolist() == ["gene7", "gene9"]
    np.testing.assert_array_equal(cells.obs["drug"], expected_codes(atlas[2][mask.to_numpy()], "drug"))


def test_weights(atlas):
    own = np.random.default_rng(0).random(N_CELLS)
    weighted = sampler("BlockWeightedSampling", block_size=2)
    cells = atlas[2].obs.groupby(["drug", "line"], observed=True)["dose"].transform("size").to_numpy()
    n_combinations = len(np.unique(cells_names(atlas[2])))
    balanced = N_CELLS / (n_combinations * (cells + 7))
    entry = {"sampler": "BlockWeightedSampling", "block_size": 2}
    for weights, values in (
        (own, own),
        ({"balance": ["drug", "line"], "min_count_baseline": 7}, balanced),
    ):
        loader = Loader(atlas[0], weighted, **LOADING, form="csr", weights=weights)
        same(loader, plain_order(entry, N_CELLS, values, *LOADING.values(), 1)[0])
    assert weighted.weights is None  # a person's sampler stays as it is


def cells_names(cells):
    return cells.obs["drug"].astype(str) + cells.obs["line"].astype(str)


def test_a_minibatch_goes_to_a_device(atlas):
    batch = next(iter(Loader(atlas[1], sampler(**named(RANDOM)), **LOADING, obs=["drug"])))
    there = batch.to("meta")
    assert there.X.device.type == there.obs["drug"].device.type == "meta" and there.cells is batch.cells


WEIGHTED = {"name": "BlockWeightedSampling", "block_size": 1}
WRONG = [
    ({"form": "sparse"}, "form: there is no 'sparse'; there are dense, csr, torch_csr"),
    ({"transform": "log2"}, "transform: there is no 'log2'; there are log1p, cp10k_log1p, or a function"),
    ({"seed": -1}, "seed: -1 is not a whole number of at least 0"),
    ({"batch_size": 0}, "batch_size: 0 is not a whole number of at least 1"),
    ({"fetch_factor": 2.5}, "fetch_factor: 2.5 is not a whole number"),
    ({"prefetch": -3}, "prefetch: -3 is not"),
    (
        {"genes": ["gene3", "BRCA1"]},
        r"1 of 2 genes are not among its 30 \(first: BRCA1; it has, for example, gene0",
    ),
    ({"genes": []}, "genes: the list is empty"),
    ({"genes": ["gene3", "gene3"]}, "genes: 'gene3' is named 2 times"),
    (
        {"where": {"pass_filter": "ful"}},
        r"no plate has the value 'ful' .*'pass_filter' \(they have: full, minimal\)",
    ),
    ({"where": {"passed": "full"}}, "obs has no column 'passed'"),
    ({"where": {"drug": "b", "dose": []}}, "where: no cell of the plates has drug = b and dose = "),
    ({"where": "full"}, "where: 'full' is not {obs column: value or values}"),
    ({"obs": ["dosage"]}, "obs has no column 'dosage'"),
    ({"obs": {"own": np.arange(3)}}, "obs: 'own' has 3 codes for 175 cells"),
    ({"obs": {"own": np.zeros(N_CELLS)}}, "obs: 'own' holds float64; give whole numbers"),
    ({"weights": np.ones(N_CELLS)}, "weights: sampler BlockShuffling takes none; BlockWeightedSampling"),
    ({"sampler": WEIGHTED, "weights": np.ones(9)}, r"an array of shape \(9,\) for 175 cells"),
    ({"sampler": WEIGHTED | {"weights": np.ones(9)}}, r"an array of shape \(9,\) for 175 cells"),
    ({"sampler": WEIGHTED, "weights": np.full(N_CELLS, np.nan)}, "negative or not a finite number"),
    ({"sampler": WEIGHTED, "weights": np.zeros(N_CELLS)}, "weights: all are 0"),
    (
        {"sampler": WEIGHTED, "weights": {"balanced": ["drug"]}},
        "weights: {'balanced': .*} is neither an array",
    ),
    ({"sampler": WEIGHTED, "weights": {"balance": ["drg"]}}, "obs has no column 'drg'"),
    (
        {"sampler": WEIGHTED, "weights": {"balance": ["drug"], "min_count_baseline": -1}},
        "min_count_baseline: -1",
    ),
    ({"sampler": {"name": "BlockShuffling", "block_size": 500, "drop_last": True}}, "none of the 175 cells"),
    ({"device": "cuda"}, "device: 'cuda' is asked for, but PyTorch finds no GPU"),
    ({"device": "gpu"}, "device: 'gpu' is none that PyTorch knows"),
    ({"rank": 2, "world_size": 2}, r"rank: 2 is not one of the 2 processes"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_used_is_told(atlas, arguments, words):
    arguments = LOADING | arguments
    drawn = sampler(**arguments.pop("sampler", named(RANDOM)))
    with pytest.raises(InputError, match=words) as told:
        Loader(atlas[0], drawn, **arguments)
    assert "\n" not in str(told.value)


def test_no_sampler_and_another_loaders_state_are_told(atlas):
    with pytest.raises(InputError, match="'random' is no strategy of scDataset"):
        Loader(atlas[0], "random")
    loader = Loader(atlas[0], sampler(**named(RANDOM)), **LOADING)
    other = Loader(atlas[0], sampler(**named(RANDOM)), **LOADING | {"batch_size": 16})
    with pytest.raises(InputError, match="of a loader with batch_size 16, this one has 8"):
        loader.load_state_dict(other.state_dict())
    with pytest.raises(InputError, match="is not what state_dict gives"):
        loader.load_state_dict({"epoch": 3})
    with pytest.raises(InputError, match="epoch: -1 is not"):
        loader.set_epoch(-1)


def test_cells_without_a_label_are_told(tmp_path):
    obs = obs_of(9, drug=(["a", "b"], "categorical"))
    obs.loc[obs.index[:4], "drug"] = np.nan
    write_atlas(tmp_path / "0.h5ad", counts_of(9, 5), obs)
    with pytest.raises(InputError, match="4 cells have no value in obs column 'drug'"):
        Plates([tmp_path / "0.h5ad"], obs=["drug"])
    assert len(Plates([tmp_path / "0.h5ad"], obs=["drug"], where={"drug": ["a", "b"]})) == 5


def test_what_is_wrong_in_a_worker_is_one_line(atlas, tmp_path):
    path = tmp_path / "damaged.h5ad"
    pack_plate(atlas[0][0], path)
    with h5py.File(path, "r+") as file:
        file["X/indices"][-1] = N_GENES
    loader = Loader([path], sampler("Streaming"), form="csr")
    with pytest.raises(InputError, match=r"^.*damaged.h5ad: a gene index is not between 0 and 29$") as told:
        list(DataLoader(loader, batch_size=None, num_workers=1))
    assert "\n" not in str(told.value)


def test_the_first_minibatch_comes_at_once(atlas):
    """Nothing of the workflow is imported: no pandas, anndata, scipy or sklearn."""
    code = f"""
import sys, cellshuffle
loader = cellshuffle.Loader({list(map(str, atlas[1]))!r}, cellshuffle.sampler("Streaming"), obs=["drug"])
next(iter(loader))
assert not {{"pandas", "anndata", "scipy", "sklearn", "matplotlib", "snakemake"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(LIBRARY)}, check=True)
