"""Train with few maps of classes: a mean teacher labels the other photographs, CutMix mixes them.

    python pipelines/mean_teacher.py

FOLDER holds `train` and `val`, each with photographs in `images` and, under the same names, maps of
classes in `maps`; and `more`, with photographs alone. As in FixMatch (Sohn et al. 2020) the
student learns, from a strong view, what the teacher is sure of in a weak one. As in CutMix-Seg
(French et al. 2020) strong views are mixed, and by the same plan what the teacher says of them.
"""

from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, recipes, training

FOLDER = Path("photos")
CLASSES = 21  # pixels of a map hold 0 to 20, or 255, which is ignored
SIZE = 224  # height and width in pixels
BATCH_SIZE = 8  # photographs of each kind
EPOCHS = 90
DECAY = 0.99  # of the teacher, the average of what the student was
SURE = 0.95  # the probability from which on an answer of the teacher counts
GPU = torch.cuda.current_device() if torch.cuda.is_available() else None
DEVICE, DECODER = ("cpu", "cpu") if GPU is None else ("cuda", "mixed")
PIPELINE = {"batch_size": BATCH_SIZE, "num_threads": 4, "device_id": GPU, "seed": 0}
OUTPUT = {"mean": recipes.IMAGENET_MEAN, "std": recipes.IMAGENET_STD}


def read(part, kind, output_type=types.RGB, interp_type=types.INTERP_LINEAR):
    """Photographs or maps, in the same order, which is a new one in every epoch."""
    files = sorted(str(path) for path in (FOLDER / part / kind).iterdir())
    options = {"pad_last_batch": True, "shuffle_after_epoch": part != "val"}
    encoded, _ = fn.readers.file(files=files, name=f"{part} {kind}", **options)
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    images = fn.decoders.image(encoded, device=DECODER, output_type=output_type)
    return fn.resize(images, size=[SIZE, SIZE], interp_type=interp_type)


def labelled(part):
    maps = read(part, "maps", types.GRAY, types.INTERP_NN)
    return fn.crop_mirror_normalize(read(part, "images"), **OUTPUT), fn.squeeze(maps, axes=2)


@pipeline_def(**PIPELINE)
def training_pipeline():
    weak = fn.flip(read("more", "images"), horizontal=fn.random.coin_flip())
    change = {name: fn.random.uniform(range=[0.6, 1.4]) for name in ("brightness", "saturation")}
    plan = dmix.plan(weak, methods=CutMix(), prob=0.8)
    strong = dmix.apply(fn.color_twist(weak, **change), plan, **OUTPUT)
    return *labelled("train"), fn.crop_mirror_normalize(weak, **OUTPUT), strong, *plan.columns


def network():
    """Put your model here. With batch norm, give AveragedModel use_buffers=True."""
    layers = nn.Conv2d(3, 32, 5, 4, padding=2), nn.ReLU(), nn.Conv2d(32, CLASSES, 3, padding=1)
    return nn.Sequential(*layers).to(DEVICE)


def main():
    torch.manual_seed(0)
    loader = MixLoader(training_pipeline(), reader_name="more images", mixed=False, plan=True)
    validation = MixLoader(pipeline_def(labelled)("val", **PIPELINE), reader_name="val images")
    student, average = network(), get_ema_multi_avg_fn(DECAY)
    teacher = AveragedModel(student, multi_avg_fn=average).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    entropy = nn.CrossEntropyLoss(ignore_index=255, reduction="none")
    larger = nn.Upsample(size=(SIZE, SIZE), mode="bilinear")
    for epoch in range(EPOCHS):
        for x, (maps, weak, strong), plan in loader:
            sure, answers = teacher(weak).softmax(1).max(1)  # (N, SIZE / 4, SIZE / 4)
            (answers,) = training.apply_mask(answers, plan, count=1)  # cut, never blended
            counts = training.apply(sure, plan, layout="HW") >= SURE
            own, others = student(torch.cat([x, strong])).chunk(2)
            loss = entropy(larger(own), maps.long()).mean()
            loss += (entropy(others, answers) * counts).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            teacher.update_parameters(student)
        right = torch.cat([larger(teacher(x)).argmax(1) == maps for x, maps in validation])
        print(f"epoch {epoch}: {right.float().mean():.1%} of the pixels of validation are right")


if __name__ == "__main__":
    main()
