"""PyTorch Lightning over packed plates, on one or several processes, gone on with where it was stopped.

python train_lightning.py packed/*.h5ad --devices 2
"""

import argparse

import cellshuffle
import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn


class Classifier(lightning.LightningModule):
    def __init__(self, n_genes, n_classes):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(n_genes, 64), nn.ReLU(), nn.Linear(64, n_classes))

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.network(batch.X), batch.obs["cell_line"])
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def train(plates, folder="checkpoints", devices=1, max_epochs=3, every=50, callbacks=()):
    """(the trained model, its trainer); a checkpoint in `folder`, one `every` so many steps, is gone on with.

    Lightning saves in it where the loader stands, so that this also holds in the middle of an epoch.
    """
    lightning.seed_everything(0)
    random = cellshuffle.sampler("BlockShuffling", block_size=1)
    # drop_last: every process has whole minibatches, so the mean of their gradients is that of all cells
    loader = cellshuffle.Loader(
        plates, random, batch_size=64, transform="log1p", obs=["cell_line"], drop_last=True
    )
    model = Classifier(loader.plates.n_genes, len(loader.classes["cell_line"]))
    checkpoint = ModelCheckpoint(folder, save_last=True, every_n_train_steps=every)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=devices,
        max_epochs=max_epochs,
        callbacks=[checkpoint, *callbacks],
        logger=False,
    )
    trainer.fit(model, loader, ckpt_path="last")
    return model, trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plates", nargs="+")
    parser.add_argument("--devices", type=int, default=1)
    arguments = parser.parse_args()
    model, trainer = train(arguments.plates, devices=arguments.devices)
    print(f"process {trainer.global_rank}: {trainer.global_step} steps, {trainer.callback_metrics}")
