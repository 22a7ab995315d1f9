"""dali_mix in a LightningModule: the loaders, the loss and the metrics, and nothing else changes.

    pip install lightning
    python pipelines/lightning_module.py imagenet --epochs 2

DIR holds `train` and `val`, each with one folder of images for each class. Lightning moves the
MixTarget to the device, and the loss takes it as it comes. The loaders are made in the hooks
`train_dataloader` and `val_dataloader`, which Lightning calls when the process group stands: so
each rank reads its own shard and draws its own lam, and no sampler has to be put in.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from dali_mix import CutMix, MixAccuracy, MixLoader, MixLoss, MixUp, recipes

try:
    import lightning
    import torchmetrics
except ModuleNotFoundError as error:
    if error.name != "lightning":
        raise
    lightning = None


class MixedClassifier(lightning.LightningModule if lightning else nn.Module):
    def __init__(self, args):
        super().__init__()
        self.args = args
        classes = len(recipes.class_names(args.folder / "train"))
        self.model = nn.Sequential(  # here your model would come
            nn.Conv2d(3, 32, 5, stride=2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, classes),
        )
        self.criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))
        self.training_accuracy = MixAccuracy()  # modules: Lightning moves their counts along
        self.validation_accuracy = MixAccuracy()
        # Ranks may differ by a file, and log(sync_dist=True) rounds the mean number of images down.
        self.validation_loss = torchmetrics.MeanMetric()

    def train_dataloader(self):
        return self.loader("train", methods=[MixUp(alpha=0.2), CutMix()], seed=self.args.seed)

    def val_dataloader(self):
        return self.loader("val", training=False)

    def loader(self, part, **options):
        return MixLoader.from_imagefolder(
            self.args.folder / part,
            batch_size=self.args.batch_size,
            size=self.args.size,
            num_threads=self.args.threads,
            device="gpu" if self.device.type == "cuda" else "cpu",
            device_id=self.device.index,
            **options,
        )

    def training_step(self, batch, _):
        x, target = batch  # target: MixTarget
        logits = self.model(x)
        loss = self.criterion(logits, target)
        self.training_accuracy.update(logits, target)
        self.log("loss", loss, prog_bar=True, batch_size=target.batch_size)
        return loss

    def on_train_epoch_end(self):
        # compute() adds up all ranks; the share of the labels' weight that was hit.
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
        return torch.optim.AdamW(self.parameters(), lr=self.args.lr)


def train(args):
    for part in ("train", "val"):
        if not (args.folder / part).is_dir():
            raise ValueError(f"DIR must hold train and val, but {args.folder / part} is no folder.")
    lightning.seed_everything(args.seed, verbose=False)
    trainer = lightning.Trainer(
        max_epochs=args.epochs,
        accelerator=args.accelerator,
        devices=args.devices,
        use_distributed_sampler=False,  # the loaders shard by themselves
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(MixedClassifier(args))
    if trainer.is_global_zero:
        for name, value in sorted(trainer.callback_metrics.items()):
            print(f"{name}: {value.item():.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="with train and val in it")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64, help="of each rank")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of each pipeline")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--accelerator", default="auto", help="of lightning.Trainer")
    parser.add_argument("--devices", type=int, default=1, help="of lightning.Trainer")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if min(args.epochs, args.batch_size, args.size, args.threads, args.devices) < 1:
        parser.error("--epochs, --batch-size, --size, --threads, --devices must be at least 1")
    if lightning is None:
        parser.exit(2, f"{parser.prog}: lightning is not installed; run `pip install lightning`.\n")
    try:
        train(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()
