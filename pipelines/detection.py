"""Train a detector on a COCO data set with mosaic and mixup.

    python pipelines/detection.py

The program first makes a small data set: rectangles on noise, images of many sizes, annotations in
COCO's format. For yours, leave `make_set` out; the model is a toy. An image is decoded once and
lies in four mosaics. Boxes are cut as their images are, and mixup weighs them.
"""

import json
from pathlib import Path

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types
from PIL import Image
from torch import nn

import dali_mix.fn as dmix
from dali_mix import MixLoader, MixUp, Mosaic, recipes

FOLDER, LABELS = Path("rectangles"), Path("rectangles.json")
COLORS = [(220, 40, 40), (40, 200, 60), (50, 70, 230)]
IMAGES = 240
SIZE, CELLS = 128, 8  # side of the model's input in pixels, of its output in cells
BATCH_SIZE = 16
EPOCHS = 10


def make_set():
    FOLDER.mkdir(exist_ok=True)
    rng, images, boxes = np.random.default_rng(0), [], []
    for i in range(IMAGES):
        height, width = rng.integers(90, 240, 2).tolist()
        pixels = rng.integers(90, 165, (height, width, 3), np.uint8)
        for color in rng.choice(3, rng.integers(1, 4), replace=False).tolist():
            h, w = rng.integers(24, 64, 2).tolist()
            y, x = rng.integers([height - h, width - w]).tolist()
            pixels[y : y + h, x : x + w] = COLORS[color]
            told = {"image_id": i, "category_id": color + 1, "bbox": [x, y, w, h], "area": h * w}
            boxes.append(told | {"id": len(boxes), "iscrowd": 0})
        images.append({"id": i, "file_name": f"{i}.jpg", "height": height, "width": width})
        Image.fromarray(pixels).save(FOLDER / f"{i}.jpg")
    names = [{"id": k + 1, "name": f"color {k}"} for k in range(len(COLORS))]
    LABELS.write_text(json.dumps({"images": images, "annotations": boxes, "categories": names}))


@pipeline_def(batch_size=BATCH_SIZE, num_threads=4, device_id=None, enable_checkpointing=True)
def pipeline():
    read = {"annotations_file": str(LABELS), "random_shuffle": True, "pad_last_batch": True}
    encoded, boxes, labels = fn.readers.coco(file_root=str(FOLDER), ratio=True, ltrb=True, **read)
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    images = fn.resize(fn.decoders.image(encoded), size=SIZE, mode="not_larger")
    plan = dmix.plan(images, methods=Mosaic(SIZE, cropped=True), prob=0.5)
    x = dmix.apply(images, plan, dtype=types.UINT8, output_layout="HWC")
    boxes, labels, _ = dmix.apply_boxes(boxes, labels, plan, min_visible=0.2)
    plan = dmix.plan(x, methods=MixUp(uniform=(0.45, 0.55)), prob=0.3)
    x = dmix.apply(x, plan, mean=recipes.IMAGENET_MEAN, std=recipes.IMAGENET_STD)
    return x, *dmix.apply_boxes(boxes, labels, plan)


def loss_of(output, target):
    """`output`: (N, 8, CELLS, CELLS), whether a box has its centre there, the box, the colours."""
    image, boxes, labels, weights = target.centered().flat()
    column, row = (boxes[:, :2] * CELLS).long().clamp(max=CELLS - 1).unbind(1)
    found, there = output[image, :, row, column], torch.zeros_like(output[:, 0])
    there[image, row, column] = 1
    objects = nn.functional.binary_cross_entropy_with_logits(output[:, 0], there)
    each = nn.functional.cross_entropy(found[:, 5:], labels - 1, reduction="none")
    each += nn.functional.l1_loss(found[:, 1:5].sigmoid(), boxes, reduction="none").sum(1)
    return 10 * objects + (each * weights).sum() / weights.sum().clamp(min=1e-6)


def main():
    make_set()
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 32, 4, stride=4), nn.ReLU(), nn.Conv2d(32, 64, 4, stride=4), nn.ReLU()]
    model = nn.Sequential(*stem, nn.Conv2d(64, 5 + len(COLORS), 3, padding=1))
    loader, optimizer = MixLoader(pipeline(seed=0)), torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(EPOCHS):
        for x, target in loader:  # x: (N, 3, SIZE, SIZE); target: BoxTarget(boxes, labels, weights)
            loss = loss_of(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
