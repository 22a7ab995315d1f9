"""The variants of bench/training.py, and the DALI pipeline of each. Training: training_run.py.

One thing changes at a time: all share the reader, the order of the files and the crops of a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import dali_mix.fn as dmix
from bench.training_data import Data, Files
from dali_mix import CutMix, MixUp

# isort: split
from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline

UNMIXED = dmix.Plan(partner=None, blend=None, box=None, lam=None, size=None)
FOLDED, UNFOLDED, CUT = MixUp(), MixUp(fold=False), CutMix()


@dataclass(frozen=True)
class Variant:
    """How a batch is mixed and judged."""

    methods: tuple[MixUp | CutMix, ...] = ()
    per: str = "sample"
    two_readers: bool = False
    """Partners come from a second stream of the same files, shuffled independently."""
    nominal: bool = False
    """Labels are weighted with the share drawn for the box, not with the share counted."""
    manifold: bool = False
    """The input or one of two hidden layers is mixed, instead of the pixels."""
    smoothing: float = 0.0
    """Label smoothing of the criterion."""


VARIANTS = {
    "none": Variant(),
    "none, smoothed": Variant(smoothing=0.1),
    "mixup": Variant((FOLDED,)),
    "mixup, smoothed": Variant((FOLDED,), smoothing=0.1),
    "mixup per pair": Variant((FOLDED,), per="pair"),
    "mixup per batch": Variant((FOLDED,), per="batch"),
    "mixup unfolded": Variant((UNFOLDED,)),
    "mixup unfolded per batch": Variant((UNFOLDED,), per="batch"),
    "two readers": Variant((UNFOLDED,), two_readers=True),
    "two readers per batch": Variant((UNFOLDED,), per="batch", two_readers=True),
    "cutmix": Variant((CUT,)),
    "cutmix, smoothed": Variant((CUT,), smoothing=0.1),
    "cutmix, nominal lam": Variant((CUT,), nominal=True),
    "both": Variant((FOLDED, CUT)),
    "both, smoothed": Variant((FOLDED, CUT), smoothing=0.1),
    "manifold": Variant((FOLDED,), manifold=True),
    "manifold, smoothed": Variant((FOLDED,), manifold=True, smoothing=0.1),
}
OUTPUTS = ["x", "y1", "y2", "lam", "partner"]


class Graph:
    """What goes into one pipeline; all seeds of operators derive from `seed` and their purpose."""

    def __init__(self, data: Data, batch: int, seed: int) -> None:
        self.data, self.batch, self.seed = data, batch, seed
        self.normalized = {"mean": 127.5, "std": 127.5, "output_layout": "CHW"}

    def training(self, variant: Variant, files: Files) -> Pipeline:
        """Pipeline with the OUTPUTS; its reader is named Reader."""
        with self._pipeline() as pipeline:
            images, labels = self._read(files, "Reader")
            mix = self._mixed_with_second_reader if variant.two_readers else self._mixed
            pipeline.set_outputs(*mix(variant, images, labels, files))
        return pipeline

    def test(self, files: Files) -> Pipeline:
        """Pipeline with x and y, nothing random."""
        with self._pipeline() as pipeline:
            paths, labels = map(list, zip(*files, strict=True))
            encoded, y = fn.readers.file(
                name="Reader", files=paths, labels=labels, pad_last_batch=True
            )
            images = fn.decoders.image(encoded, output_type=self._color())
            images = fn.resize(images, size=self.data.size, mode="not_smaller")
            size = (self.data.size, self.data.size)
            pipeline.set_outputs(dmix.apply(images, UNMIXED, crop=size, **self.normalized), y)
        return pipeline

    def _pipeline(self) -> Pipeline:
        return Pipeline(batch_size=self.batch, num_threads=1, device_id=None, seed=self.seed)

    def _color(self) -> Any:
        return types.GRAY if self.data.channels == 1 else types.RGB

    def _seed_of(self, purpose: str) -> int:
        words = [self.seed, *purpose.encode()]
        return int(np.random.SeedSequence(words).generate_state(1)[0]) % 2**30

    def _read(self, files: Files, name: str) -> tuple[Any, Any]:
        """Decoded, randomly cropped images of one size, and labels, in an order of their own."""
        order = np.random.default_rng(self._seed_of(f"{name} start")).permutation(len(files))
        paths, labels = map(list, zip(*(files[i] for i in order), strict=True))
        encoded, y = fn.readers.file(
            name=name,
            files=paths,
            labels=labels,
            pad_last_batch=True,
            shuffle_after_epoch=True,
            shuffle_after_epoch_seed=self._seed_of(f"{name} order"),
        )
        images = fn.decoders.image_random_crop(
            encoded,
            output_type=self._color(),
            random_area=list(self.data.area),
            random_aspect_ratio=list(self.data.aspect),
            seed=self._seed_of(f"{name} crop"),
        )
        return fn.resize(images, size=(self.data.size, self.data.size)), y

    def _mirror(self, name: str) -> Any:
        if not self.data.mirror:
            return 0
        return fn.random.coin_flip(probability=self.data.mirror, seed=self._seed_of(name))

    def _mixed(self, variant: Variant, images: Any, labels: Any, _: Files) -> tuple[Any, ...]:
        draw = {"per": variant.per, "seed": self._seed_of("plan")}
        if variant.methods == (CUT,):
            # Drawn here rather than in the plan, so that the nominal weight is at hand; the same
            # boxes then go with both weights.
            alpha = float(CUT.alpha)
            draw["lam"] = fn.random.beta(alpha=alpha, beta=alpha, seed=self._seed_of("share"))
        plan = dmix.plan(images, labels, list(variant.methods) or MixUp(alpha=0), **draw)
        x = dmix.apply(
            images,
            UNMIXED if variant.manifold else plan,
            mirror=self._mirror("mirror"),
            **self.normalized,
        )
        partners = fn.permute_batch(labels, indices=plan.partner)
        lam = draw["lam"] if variant.nominal else plan.lam
        return x, labels, partners, lam, plan.partner

    def _mixed_with_second_reader(
        self, variant: Variant, own: Any, y1: Any, files: Files
    ) -> tuple[Any, ...]:
        """Sample i of one stream mixed with sample i of the other.

        apply() pairs images of one batch, and DALI cannot join two. So the first half of the own
        images is put together with the partners that belong to it in one batch, the second half in
        another, and of each that half is kept whose own images are in their place.
        """
        half = self.batch // 2
        partners, y2 = self._read(files, "Partner")
        own = self._flipped(own, "mirror")
        partners = self._flipped(partners, "partner mirror")
        first, across = fn.external_source(
            source=_halves(half), num_outputs=2, dtype=types.INT32, ndim=0
        )
        elsewhere = fn.permute_batch(partners, indices=across)
        draw = {"per": variant.per, "partner": across, "seed": self._seed_of("plan")}
        plan = dmix.plan(own, y1, list(variant.methods), **draw)
        joined = (first * own + (1 - first) * elsewhere, first * elsewhere + (1 - first) * own)
        upper, lower = (
            dmix.apply(fn.cast(batch, dtype=types.UINT8), plan, **self.normalized)
            for batch in joined
        )
        x = first * upper + (1 - first) * lower
        return fn.reshape(x, layout="CHW"), y1, y2, plan.lam, plan.partner

    def _flipped(self, images: Any, name: str) -> Any:
        return fn.flip(images, horizontal=self._mirror(name)) if self.data.mirror else images


def _halves(half: int) -> Any:
    """For every batch: 1 in the first half and 0 in the second; the same place in the other."""
    first = np.arange(2 * half, dtype=np.int32) < half
    across = (np.arange(2 * half, dtype=np.int32) + half) % (2 * half)
    return lambda: (first.astype(np.int32), across)
