"""Train fastai 2's Learner on mixed batches: one-cycle policy, validation, metrics, best weights.

    pip install fastai
    python pipelines/fastai_learner.py

FOLDER holds `train` and `val`, each with one folder of images for each class. MixLoader replaces
fastai's data loaders. MixLoss replaces the callback MixUp and its loss: fastai mixes a loaded
batch, DALI mixes while it makes the batch. In validation the loss and fastai's metrics get plain
labels.
"""

from pathlib import Path

import torch
from fastai.callback.schedule import Learner  # has fit_one_cycle and lr_find
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.learner import CastToTensor
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from torch import nn

from dali_mix import MixLoader, MixLoss, MixUp, recipes

FOLDER = Path("imagenet")
LOADER = {"batch_size": 64, "size": 224}
METHODS = MixUp(alpha=0.4)  # fastai's own law: one draw for each image, folded
EPOCHS = 20
LEARNING_RATE = 3e-3
SEED = 0


def loaders():
    """Training and validation batches of FOLDER. They replace a DataBlock of fastai."""
    training = MixLoader.from_imagefolder(FOLDER / "train", methods=METHODS, seed=SEED, **LOADER)
    validation = MixLoader.from_imagefolder(FOLDER / "val", training=False, **LOADER)
    return DataLoaders(training, validation)


def network(classes):
    """Put your model here, such as fastai's xresnet50 or one of torchvision or timm."""
    stem = [nn.Conv2d(3, 32, 5, stride=2), nn.BatchNorm2d(32), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes)]
    return nn.Sequential(*stem, *head).to("cuda" if torch.cuda.is_available() else "cpu")


def main():
    set_seed(SEED)
    classes = len(recipes.class_names(FOLDER / "train"))
    learner = Learner(
        loaders(),
        network(classes),
        loss_func=MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1)),
        metrics=accuracy,
    )
    learner.remove_cb(CastToTensor)  # it would make a plain tuple of a MixTarget
    best = SaveModelCallback(monitor="accuracy")  # its weights are loaded again at the end
    learner.fit_one_cycle(EPOCHS, LEARNING_RATE, cbs=best)
    loss, share = learner.validate()
    print(f"validation loss {loss:.4f}, accuracy {share:.4f}")


if __name__ == "__main__":
    main()
