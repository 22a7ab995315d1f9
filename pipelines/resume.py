"""Training that survives kill -9: the model and the loader are saved together, in one file.

    python pipelines/resume.py    # kill it, start it again

A restarted run goes on after the last saved step, also in the middle of an epoch. It sees the same
batches as a run that never stopped: the same files, crops, partners and weights. The last two saves
are kept, each with a checksum, in case the disk loses part of one. They hold tensors, numbers and
text only, so that reading one runs no code.
"""

import io
import os
import sys
from hashlib import sha256
from pathlib import Path

import torch
from torch import nn

from dali_mix import MixLoader, MixLoss, recipes

FOLDER = Path("imagenet/train")
STATE = Path("run.pt").resolve()  # the newest save
EVERY = 100  # steps between two saves
EPOCHS = 90
LOADER = {"batch_size": 64, "size": 224, "seed": 0}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.backends.cudnn.deterministic = True  # so that the same batches give the same weights
PARTIAL, BEFORE = (STATE.with_name(STATE.name + end) for end in (".partial", ".before"))


def save(parts):
    """Write the state of all parts. If this is interrupted, an older save is whole."""
    content = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in parts.items()}, content)
    with open(PARTIAL, "wb") as file:
        file.write(content.getbuffer())
        file.write(sha256(content.getbuffer()).digest())
        file.flush()
        os.fsync(file.fileno())
    if STATE.exists():
        os.replace(STATE, BEFORE)
    os.replace(PARTIAL, STATE)
    folder = os.open(STATE.parent, os.O_RDONLY)
    os.fsync(folder)  # write the new names to the disk too
    os.close(folder)


def load(parts):
    """Load the newest whole save into all parts, if there is any save."""
    for file in filter(Path.exists, (PARTIAL, STATE, BEFORE)):
        content, checksum = (data := file.read_bytes())[:-32], data[-32:]
        if sha256(content).digest() == checksum:
            states = torch.load(io.BytesIO(content), map_location=DEVICE, weights_only=True)
            for name, part in parts.items():
                part.load_state_dict(states[name])
            return
        print(f"{file} is half-written or damaged, and left out", file=sys.stderr)
    if STATE.exists() or BEFORE.exists():
        raise ValueError(f"no save of {STATE} is whole; remove all to start anew")


def step(parts, x, target):
    loss = MixLoss(nn.CrossEntropyLoss())(parts["model"](x), target)
    parts["optimizer"].zero_grad()
    loss.backward()
    parts["optimizer"].step()
    return loss.item()


def main():
    torch.manual_seed(0)
    loader = MixLoader.from_imagefolder(FOLDER, **LOADER)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, len(recipes.class_names(FOLDER)))]
    model = nn.Sequential(nn.Conv2d(3, 16, 7, stride=4), nn.ReLU(), *head).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    parts = {"model": model, "optimizer": optimizer, "loader": loader}
    load(parts)
    print(f"begins in epoch {loader.epoch} after {loader.batch} of {len(loader)} batches")
    for epoch in range(loader.epoch, EPOCHS):
        for batch, (x, target) in enumerate(loader, loader.batch + 1):
            loss = step(parts, x, target)
            if batch % EVERY == 0:
                save(parts)
        save(parts)
        print(f"epoch {epoch}: loss of the last batch {loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
