"""SCVI of scvi-tools over packed plates, by its interface for data modules of one's own.

    python train_scvi.py packed/*.h5ad

SCVI models raw counts, so the plates must hold counts, and the loader gets no transform.
"""

import sys

import cellshuffle
import numpy as np
import scvi
import torch
from lightning.pytorch import LightningDataModule


class PlatesDataModule(LightningDataModule):
    """Minibatches of a Loader for models of scvi-tools, with the registry that describes them.

    train, validation: Loaders of dense counts with the obs column `batch_key`. No labels, no covariates.
    """

    def __init__(self, train, batch_key, validation=None):
        super().__init__()
        self.train, self.validation, self.batch_key = train, validation, batch_key
        self.n_obs, self.n_train, self.n_vars = train.n_cells, train.n_cells, train.plates.n_genes
        self.batch_labels, self.label_keys = train.classes[batch_key], ["unlabelled"]
        self.n_batch, self.n_labels, self.n_samples = len(self.batch_labels), 1, 0
        if validation is not None:
            self.check(validation)

    def train_dataloader(self):
        return self.train

    def val_dataloader(self):
        return [] if self.validation is None else self.validation

    def inference_dataloader(self, loader):
        """The minibatches of any Loader, for methods of a trained model that take a `dataloader`."""
        self.check(loader)
        return map(self.on_before_batch_transfer, loader)

    def check(self, loader):
        """A code means the same batch, and a column of X the same gene, in each of the loaders."""
        if loader.classes.get(self.batch_key) != self.batch_labels:
            raise ValueError(f"{self.batch_key}: the loaders have different batches")
        if list(loader.plates.genes) != list(self.train.plates.genes):
            raise ValueError("the loaders have different genes")

    def on_before_batch_transfer(self, batch, dataloader_idx=0):
        codes = batch.obs[self.batch_key][:, None]
        return {"X": batch.X, "batch": codes, "labels": torch.zeros_like(codes)}

    @property
    def registry(self):
        genes = {"n_obs": self.n_obs, "n_vars": self.n_vars, "column_names": self.train.plates.genes}
        return {
            "scvi_version": scvi.__version__,
            "model_name": "SCVI",
            "setup_method_name": "setup_datamodule",
            "setup_args": {"batch_key": self.batch_key, "labels_key": None, "size_factor_key": None},
            "field_registries": {
                "X": field(
                    {"attr_name": "X", "attr_key": None}, genes, n_vars=self.n_vars, n_cells=self.n_obs
                ),
                "batch": categories("batch", self.batch_key, self.batch_labels),
                "labels": categories("labels", None, self.label_keys),
                "size_factor": field(),
                "extra_categorical_covs": field(n_extra_categorical_covs=0),
                "extra_continuous_covs": field(n_extra_continuous_covs=0),
            },
        }


def field(data=None, state=None, **summary):
    return {"data_registry": data or {}, "state_registry": state or {}, "summary_stats": summary}


def categories(name, column, labels):
    state = {"categorical_mapping": np.array(labels), "original_key": column}
    return field({"attr_name": "obs", "attr_key": f"_scvi_{name}"}, state, **{f"n_{name}": len(labels)})


def train(plates, max_epochs=5):
    """(the trained model, its data module); trained on cells that passed the filter, validated on others."""
    scvi.settings.seed = 0
    random = cellshuffle.sampler("BlockShuffling", block_size=1)
    # drop_last: batch normalisation cannot train on a last minibatch of a single cell
    loader = cellshuffle.Loader(
        plates, random, batch_size=128, obs=["plate"], where={"pass_filter": "full"}, drop_last=True
    )
    data = PlatesDataModule(loader, "plate", in_order(plates, where={"pass_filter": "minimal"}))
    model = scvi.model.SCVI(registry=data.registry, gene_likelihood="nb")
    model.train(datamodule=data, max_epochs=max_epochs, check_val_every_n_epoch=1, accelerator="cpu")
    return model, data


def in_order(plates, **options):
    return cellshuffle.Loader(plates, cellshuffle.sampler("Streaming"), obs=["plate"], **options)


def latent(model, data, plates):
    """(n_cells, n_latent) means, in the order of the plates."""
    return model.get_latent_representation(dataloader=data.inference_dataloader(in_order(plates)))


if __name__ == "__main__":
    plates = sys.argv[1:]
    model, data = train(plates)
    print(model.history["elbo_train"].join(model.history["elbo_validation"]))
    print("latent space:", latent(model, data, plates).shape)
    model.save("scvi_model", datamodule=data, overwrite=True)
    scvi.model.SCVI.load("scvi_model", adata=False)
