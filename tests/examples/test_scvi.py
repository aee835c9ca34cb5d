"""SCVI trained over the loader, by scvi-tools' own interface for data modules."""

import subprocess
import sys

import cellshuffle
import numpy as np
import pytest
import scvi
import torch
import train_scvi


@pytest.fixture(scope="module")
def trained(plates):
    return train_scvi.train(plates)


def test_the_loss_falls(trained):
    model, _ = trained
    for name in ("elbo_train", "elbo_validation"):
        elbo = model.history[name].to_numpy().ravel()
        assert len(elbo) == 5 and (np.diff(elbo) < 0).all() and elbo[-1] < 0.7 * elbo[0]


def test_the_tensors_are_those_of_the_files(trained, cells):
    _, data = trained
    cells = cells[(cells.obs["pass_filter"] == "full").to_numpy()]
    batch = next(iter(data.train_dataloader()))
    tensors = data.on_before_batch_transfer(batch)
    np.testing.assert_array_equal(tensors["X"], cells.X[batch.cells].toarray())
    names = np.array(data.batch_labels)[tensors["batch"].ravel()]
    assert names.tolist() == cells.obs["plate"].iloc[batch.cells].tolist()
    assert tensors["batch"].shape == tensors["labels"].shape == (128, 1) and data.n_obs == len(cells)


def test_latent_space_and_a_saved_model(trained, plates, tmp_path):
    model, data = trained
    latent = train_scvi.latent(model, data, plates)
    assert latent.shape == (4500, 10) and np.isfinite(latent).all()
    model.save(tmp_path / "model", datamodule=data)
    loaded = scvi.model.SCVI.load(tmp_path / "model", adata=False, accelerator="cpu")
    for ours, theirs in zip(loaded.module.parameters(), model.module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_latent_is_that_of_the_model_with_an_anndata(trained, cells, plates):
    """The same weights in a model that scvi-tools sets up by itself, over the same cells in memory."""
    model, data = trained
    cells = cells.copy()
    cells.X = cells.X.astype(np.float32)
    scvi.model.SCVI.setup_anndata(cells, batch_key="plate")
    other = scvi.model.SCVI(cells, gene_likelihood="nb")
    other.module.load_state_dict(model.module.state_dict())
    other.module.eval()
    other.is_trained_ = True
    ours = train_scvi.latent(model, data, plates)
    np.testing.assert_allclose(other.get_latent_representation(), ours, rtol=1e-4, atol=1e-5)


def test_loaders_with_other_codes_are_refused(trained, plates):
    _, data = trained
    with pytest.raises(ValueError, match="plate: the loaders have different batches"):
        data.inference_dataloader(train_scvi.in_order(plates[:2]))
    genes = list(data.train.plates.genes[::-1])
    with pytest.raises(ValueError, match="the loaders have different genes"):
        train_scvi.PlatesDataModule(data.train, "plate", train_scvi.in_order(plates, genes=genes))
    sampler = cellshuffle.sampler("Streaming")
    with pytest.raises(ValueError, match="different batches"):
        data.inference_dataloader(cellshuffle.Loader(plates, sampler))


def test_as_a_program(plates, tmp_path):
    command = [sys.executable, train_scvi.__file__, *plates]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "latent space: (4500, 10)" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "scvi_model/model.pt").exists()
