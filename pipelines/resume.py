"""Training that survives kill -9: the model and the loader are saved together, in one file.

    python pipelines/resume.py imagenet/train --state run.pt    # kill it, start it again

Started again it goes on after the last step that was saved, in the middle of an epoch, and sees
the same batches as if it had never stopped: the same files, crops, partners and weights. --log
records a digest of every batch, to convince yourself.

The last two saves are kept, each with a checksum, so that there is one to go on from if a disk
lost part of the other. They hold tensors, numbers and text: reading one runs no code.
"""

import argparse
import io
import os
import sys
from hashlib import sha256
from pathlib import Path

import torch
from torch import nn

from dali_mix import MixLoader, MixLoss, recipes

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.backends.cudnn.deterministic = True  # else the same batches need not give the same weights


def small_model(classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


def places(path):
    """Where saves lie, the newest first: one that was not finished, the last, the one before."""
    return [path.with_name(path.name + end) for end in (".partial", "", ".before")]


def save(path, parts):
    """Write the state of all parts, so that there is a whole file whenever this is interrupted."""
    content = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in parts.items()}, content)
    partial, last, before = places(path)
    with open(partial, "wb") as file:
        file.write(content.getbuffer())
        file.write(sha256(content.getbuffer()).digest())
        file.flush()
        os.fsync(file.fileno())
    if last.exists():
        os.replace(last, before)
    os.replace(partial, last)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # the new names as well
    os.close(folder)


def load(path, parts):
    """Put all parts into the newest state that is whole; False if none was ever saved."""
    partial, *finished = places(path)
    for file in (partial, *finished):
        if not file.exists():
            continue
        content = file.read_bytes()
        if sha256(content[:-32]).digest() == content[-32:]:
            break
        print(f"{file} is half-written or damaged, and left out", file=sys.stderr)
    else:
        if any(file.exists() for file in finished):
            raise ValueError(f"no save of {path} is whole; remove all to start anew")
        return False
    try:
        states = torch.load(io.BytesIO(content[:-32]), map_location=DEVICE, weights_only=True)
    except Exception as error:  # torch has one for every way of being something else
        raise ValueError(f"{file} is no save of this program ({type(error).__name__})") from error
    for name, part in parts.items():
        part.load_state_dict(states[name])
    return True


def digest(x, target):
    """Eight hexadecimal digits that change with any bit of the batch."""
    parts = [part.cpu().contiguous().numpy().tobytes() for part in (x, *target)]
    return sha256(b"".join(parts)).hexdigest()[:8]


def train(args):
    torch.manual_seed(args.seed)
    loader = MixLoader.from_imagefolder(
        args.folder,
        batch_size=args.batch_size,
        size=args.size,
        seed=args.seed,
        num_threads=args.threads,
    )
    model = small_model(len(recipes.class_names(args.folder))).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    criterion = MixLoss(nn.CrossEntropyLoss())
    parts = {"model": model, "optimizer": optimizer, "loader": loader}
    if load(args.state, parts):
        print(f"going on in epoch {loader.epoch} after {loader.batch} of {len(loader)} batches")
    step = 0
    for epoch in range(loader.epoch, args.epochs):
        for batch, (x, target) in enumerate(loader, loader.batch):
            loss = criterion(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if args.log:
                with open(args.log, "a") as log:
                    print(epoch, batch, digest(x, target), f"{loss.item():.9g}", file=log)
            if step % args.every == 0:
                save(args.state, parts)
        print(f"epoch {epoch}: loss {loss.item():.4f}", flush=True)
    save(args.state, parts)
    weights = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    print(f"done, weights {digest(weights, ())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="one folder for each class")
    parser.add_argument("--state", type=Path, default=Path("run.pt"), help="where to go on from")
    parser.add_argument("--every", type=int, default=100, help="steps between two saves")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--threads", type=int, help="CPU threads of the pipeline; None: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="file for a line per step")
    args = parser.parse_args()
    args.state = args.state.resolve()
    if min(args.every, args.epochs, args.batch_size, args.size) < 1:
        parser.error("--every, --epochs, --batch-size and --size must be at least 1")
    try:
        train(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()
