"""Use dali_mix in a LightningModule: only the loaders, the loss and the metrics change.

    pip install lightning
    python pipelines/lightning_module.py

FOLDER holds `train` and `val`, each with one folder of images for each class. Lightning calls the
hooks `train_dataloader` and `val_dataloader` after it has set up the process group. So loaders that
are made there read the shard of their rank and draw their own lam, and need no sampler.
"""

from pathlib import Path

import lightning
import torch
import torchmetrics
from torch import nn

from dali_mix import CutMix, MixAccuracy, MixLoader, MixLoss, MixUp, recipes

FOLDER = Path("imagenet")
LOADER = {"batch_size": 64, "size": 224}  # of each rank
METHODS = [MixUp(alpha=0.2), CutMix()]
LEARNING_RATE = 1e-3
TRAINER = {"max_epochs": 90, "accelerator": "auto", "devices": "auto"}


class MixedClassifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        classes = len(recipes.class_names(FOLDER / "train"))
        stem = [nn.Conv2d(3, 32, 5, stride=2), nn.BatchNorm2d(32), nn.ReLU()]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes)]
        self.model = nn.Sequential(*stem, *head)  # put your model here
        self.criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))
        self.training_accuracy = MixAccuracy()  # a module: Lightning moves it to the device
        self.validation_accuracy = MixAccuracy()
        # Ranks may differ by a file, and log(sync_dist=True) rounds their mean number of images.
        self.validation_loss = torchmetrics.MeanMetric()

    def train_dataloader(self):
        return self.loader("train", methods=METHODS)

    def val_dataloader(self):
        return self.loader("val", training=False)

    def loader(self, part, **options):
        options["device"] = "gpu" if self.device.type == "cuda" else "cpu"
        options["device_id"] = self.device.index
        return MixLoader.from_imagefolder(FOLDER / part, **LOADER, **options)

    def training_step(self, batch, _):
        x, target = batch  # target: MixTarget
        logits = self.model(x)
        loss = self.criterion(logits, target)
        self.training_accuracy.update(logits, target)
        self.log("loss", loss, prog_bar=True, batch_size=target.batch_size)
        return loss

    def on_train_epoch_end(self):
        # The weight of the labels that were predicted right, over all ranks.
        self.log("training accuracy", self.training_accuracy.compute().float())
        self.training_accuracy.reset()

    def validation_step(self, batch, _):
        x, y = batch  # y: (N,) int64
        logits = self.model(x)
        self.validation_accuracy.update(logits, y)
        self.validation_loss.update(self.criterion(logits, y), weight=len(y))
        self.log("validation loss", self.validation_loss)

    def on_validation_epoch_end(self):
        self.log("validation accuracy", self.validation_accuracy.compute().float())
        self.validation_accuracy.reset()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=LEARNING_RATE)


def main():
    lightning.seed_everything(0, verbose=False)
    # The loaders read their shards without a sampler.
    trainer = lightning.Trainer(use_distributed_sampler=False, **TRAINER)
    trainer.fit(MixedClassifier())
    if trainer.is_global_zero:
        for name, value in sorted(trainer.callback_metrics.items()):
            print(f"{name}: {value.item():.4f}")


if __name__ == "__main__":
    main()
