"""Turns arguments of other libraries into keyword arguments of `dali_mix.fn.mix`. Loads no DALI.

    x, y1, y2, lam = dmix.mix(images, labels, std=255, **migrate.from_timm(mixup_alpha=0.8))

The law is the other library's: what is drawn, for which samples, and which images are mixed. lam is
always counted from the pixels. A method whose alpha is 0 is off and never drawn, as there. If the
other library has a flaw that dali_mix has not, the function says so.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dali_mix.methods import CutMix, Method, MixUp

__all__ = [
    "from_deim",
    "from_fastai",
    "from_mmpretrain",
    "from_timm",
    "from_timm_naflex",
    "from_torchvision",
]

_TIMM_SHARES = {"batch": "batch", "pair": "pair", "elem": "sample"}
_WHOLE_BATCH = {"per": "batch", "choose_per": "batch", "prob_per": "batch"}


def from_timm(
    mixup_alpha: float = 1.0,
    cutmix_alpha: float = 0.0,
    cutmix_minmax: Sequence[float] | None = None,
    prob: Any = 1.0,
    switch_prob: float = 0.5,
    mode: str = "batch",
    correct_lam: bool = True,
    label_smoothing: float = 0.1,
    num_classes: int = 1000,
    multi_label: bool = False,
) -> dict[str, Any]:
    """Arguments of `timm.data.Mixup` and `FastCollateMixup`, with their defaults (timm 1.0.31).

    label_smoothing, num_classes and multi_label concern the targets, and change nothing here.
    timm's soft target is `target.dense(num_classes, smoothing=label_smoothing)`.
    `MixLoss(CrossEntropyLoss(label_smoothing=label_smoothing))` gives the same loss without a soft
    target. For multi_label, pass labels that are float vectors.

    Odd batches are allowed: the image in the middle is its own partner. With cutmix_minmax the
    largest side is drawn too; timm never draws it.

    ValueError: mode="half" and correct_lam=False, which have no equivalent; both alphas 0.
    """
    if mode not in _TIMM_SHARES:
        raise ValueError(
            f'mode must be "batch", "pair" or "elem", got {mode!r}; timm\'s "half" puts out half a '
            "batch, which has no equivalent here."
        )
    for name, alpha in (("mixup_alpha", mixup_alpha), ("cutmix_alpha", cutmix_alpha)):
        if not (isinstance(alpha, numbers.Real) and float(alpha) < math.inf):  # nan is neither
            raise ValueError(f"{name} must be a finite number, got {alpha!r}.")
    if not (isinstance(switch_prob, numbers.Real) and 0 <= switch_prob <= 1):
        raise ValueError(f"switch_prob must be in [0, 1], got {switch_prob!r}.")
    found: list[tuple[Method, float]] = []
    cuts = cutmix_minmax is not None or cutmix_alpha > 0
    if cuts:
        _check_corrected(correct_lam, cutmix_minmax)
    if mixup_alpha > 0:
        found.append((MixUp(mixup_alpha, fold=False), 1 - switch_prob if cuts else 1.0))
    if cuts:
        found.append((_cutmix(cutmix_alpha, cutmix_minmax), switch_prob if found else 1.0))
    if not found:
        raise ValueError("mixup_alpha or cutmix_alpha must be above 0, or cutmix_minmax be given.")
    # With per="pair", the two samples of a pair share the choice and the probability too.
    each = "batch" if mode == "batch" else "sample"
    shares = {"per": _TIMM_SHARES[mode], "choose_per": each, "prob_per": each}
    return _arguments(found, prob=prob, partner="reverse", **shares)


def from_timm_naflex(
    mixup_alpha: float = 0.8,
    cutmix_alpha: float = 1.0,
    switch_prob: float = 0.5,
    prob: float = 1.0,
    local_shuffle: int = 4,
    label_smoothing: float = 0.0,
    num_classes: int = 1000,
    multi_label: bool = False,
) -> dict[str, Any]:
    """Arguments of `timm.data.naflex_mixup.NaFlexMixup`, with their defaults (timm 1.0.31), for
    images that differ in size. The two of a pair lie centre on centre.

    Pairs are neighbours in the order of height over width. timm shuffles each `local_shuffle` of
    them before it pairs them; here only images of equal shape are shuffled, so that pairs are more
    alike. With an odd batch any image may stay unmixed. label_smoothing, num_classes and
    multi_label concern the targets: see `from_timm`.

    ValueError: an alpha is not a finite number, or both are 0.
    """
    found = from_timm(mixup_alpha, cutmix_alpha, prob=prob, switch_prob=switch_prob)
    inside = {"mixup": {}, "cutmix": {"place": "inside"}}
    methods = [replace(method, overlap=True, **inside[method.name]) for method in found["methods"]]
    return found | {"methods": methods, "partner": "aspect"}


def from_torchvision(
    *,
    mixup_alpha: float | None = None,
    cutmix_alpha: float | None = None,
    p: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Arguments of `torchvision.transforms.v2.MixUp` or `CutMix`, or `RandomChoice` of the two.

    mixup_alpha:  alpha of MixUp (torchvision's default is 1.0); None or 0: MixUp is not used
    cutmix_alpha: alpha of CutMix, likewise
    p:            p of `RandomChoice([MixUp, CutMix], p)`: a value for each alpha that is not
                  None; default: all equal

    Boxes may have odd sides; torchvision rounds sides down to even ones. Pass its num_classes to
    `target.dense(num_classes)`; `MixLoss` does not need it.
    """
    found: list[tuple[Method, float]] = []
    if mixup_alpha is not None:
        found.append((MixUp(mixup_alpha, fold=False), 1.0))
    if cutmix_alpha is not None:
        found.append((CutMix(cutmix_alpha), 1.0))
    if all(_is_off(method) for method, _ in found):
        raise ValueError(
            "mixup_alpha or cutmix_alpha must be given, and above 0: torchvision's default is 1.0."
        )
    if p is not None:
        if not _adds_up(p):
            raise ValueError(
                f"p must be numbers that are not negative, and at least one above 0, got {p!r}."
            )
        if len(p) != len(found):
            raise ValueError(
                f"p must have one value for each of the {len(found)} transforms, got {len(p)}."
            )
        found = [(method, weight) for (method, _), weight in zip(found, p, strict=True)]
    return _arguments(found, partner="roll", **_WHOLE_BATCH)


def from_fastai(
    *, mixup_alpha: float | None = None, cutmix_alpha: float | None = None
) -> dict[str, Any]:
    """Arguments of fastai's callback `MixUp` (v1: `MixUpCallback`), or of `CutMix`.

    mixup_alpha:  alpha of MixUp (fastai's default is 0.4); None or 0: MixUp is not used
    cutmix_alpha: alpha of CutMix (fastai's default is 1.0), likewise

    Boxes may have odd sides; fastai rounds sides to even ones. Partners are drawn as in fastai, so
    some images are their own partner. Set partner="derange" in the result to mix all images.

    ValueError: both or neither are given. A learner with both mixes every image twice, which has
    no equivalent; `dali_mix.fn.mix` takes both methods, and draws one for each image.
    """
    mixup = None if mixup_alpha is None else MixUp(mixup_alpha)
    cutmix = None if cutmix_alpha is None else CutMix(cutmix_alpha)
    used = [method for method in (mixup, cutmix) if method is not None and not _is_off(method)]
    if len(used) != 1:
        raise ValueError(
            "one of mixup_alpha and cutmix_alpha, above 0, must be given, got "
            f"{'both' if used else 'neither'}; fastai with both callbacks mixes every image twice, "
            "which has no equivalent here."
        )
    per = "sample" if used[0] is mixup else "batch"
    return _arguments([(used[0], 1.0)], partner="shuffle", per=per)


def from_mmpretrain(
    augments: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    probs: float | Sequence[float] | None = None,
) -> dict[str, Any]:
    """Arguments of mmpretrain's `batch_augments`: `RandomBatchAugment(augments, probs)`.

    augments: one or several configs, dict(type="Mixup", alpha=…) or dict(type="CutMix", alpha=…,
              cutmix_minmax=…). One with alpha 0 is never drawn: the others share its probability
    probs:    probability of each augment. If their sum is below 1, the other batches stay unmixed.
              Default: all equal, and no batch unmixed

    Boxes may have odd sides; mmpretrain rounds sides down to even ones.

    ValueError: ResizeMix, which has another law there, correct_lam=False, or a type that does not
    mix.
    """
    listed = [augments] if isinstance(augments, Mapping) else list(augments)
    if not listed:
        raise ValueError("augments must hold at least one config, got none.")
    chances: Any = [probs] if isinstance(probs, numbers.Real) else probs
    if chances is None:
        chances = [1 / len(listed)] * len(listed)
    if not _adds_up(chances, most=1 + 1e-6):
        raise ValueError(
            "probs must be numbers that are not negative, and add up to more than 0 and at most 1, "
            f"got {probs!r}."
        )
    if len(chances) != len(listed):
        raise ValueError(
            f"probs must have one value for each of the {len(listed)} augments, got {len(chances)}."
        )
    found = [(_of_mmpretrain(augment), p) for augment, p in zip(listed, chances, strict=True)]
    total = sum(chances)
    prob = {} if total > 1 - 1e-6 else {"prob": total}
    return _arguments(found, partner="shuffle", **_WHOLE_BATCH, **prob)


def from_deim(mixup_prob: float, copyblend_prob: float = 0.0) -> dict[str, Any]:
    """Arguments of the mixup of detectors: `BatchImageCollateFunction` of DEIM and D-FINE.

    mixup_prob: probability that a batch is mixed. For mixup_epochs pass the `prob` of the result as
                `dali_mix.Scheduled`

    lam is uniform from 0.45 to 0.55, one for the batch, and each image is mixed with the one before
    it. The boxes of both images stay. Their weights, which `dali_mix.fn.apply_boxes` gives, are
    lam and 1 - lam: "mixup" in the targets there.

    ValueError: copyblend_prob above 0. CopyBlend needs the boxes of objects: it is a plan of your
    own, with `box_blend`.
    """
    if not (isinstance(mixup_prob, numbers.Real) and 0 < float(mixup_prob) <= 1):
        raise ValueError(f"mixup_prob must be above 0 and at most 1, got {mixup_prob!r}.")
    if copyblend_prob:
        raise ValueError(
            f"copyblend_prob must be 0, got {copyblend_prob!r}: CopyBlend is a plan of your own, "
            "with the boxes of objects and box_blend."
        )
    mixup = MixUp(uniform=(0.45, 0.55))
    return _arguments([(mixup, 1.0)], partner="roll", prob=float(mixup_prob), **_WHOLE_BATCH)


def _of_mmpretrain(augment: Mapping[str, Any]) -> Method:
    given = dict(augment)
    kind = given.pop("type", None)
    if kind == "ResizeMix":
        raise ValueError(
            "ResizeMix of mmpretrain has a law of its own (the box is clipped, and its area is "
            "drawn); add dali_mix.ResizeMix(), the paper's, to the methods in its place."
        )
    takes = {"Mixup": {"alpha"}, "CutMix": {"alpha", "cutmix_minmax", "correct_lam"}}
    if kind not in takes:
        raise ValueError(f'type of an augment must be "Mixup" or "CutMix", got {kind!r}.')
    if "alpha" not in given or not set(given) <= takes[kind]:
        raise ValueError(
            f"{kind} takes alpha, as mmpretrain's, and at most {', '.join(sorted(takes[kind]))}, "
            f"got {', '.join(sorted(given)) or 'nothing'}."
        )
    if kind == "Mixup":
        return MixUp(given["alpha"], fold=False)
    minmax = given.get("cutmix_minmax")
    _check_corrected(given.get("correct_lam", True), minmax)
    return _cutmix(given["alpha"], minmax)


def _cutmix(alpha: float, minmax: Sequence[float] | None) -> CutMix:
    """With minmax, the sides are drawn instead of the share, and the box lies inside the image."""
    if minmax is None:
        return CutMix(alpha)
    try:
        low, high = minmax
        return CutMix(1.0, place="inside", minmax=(low, high))
    except (TypeError, ValueError):  # not two, or not what CutMix takes
        raise ValueError(
            f"cutmix_minmax must be (low, high), above 0 and at most 1, got {minmax!r}."
        ) from None


def _adds_up(chances: Any, most: float = math.inf) -> bool:
    """Whether they are weights to draw by: not negative, with a sum above 0 and up to `most`."""
    try:
        drawable = all(0 <= chance < math.inf for chance in chances)
        return drawable and bool(0 < sum(chances) <= most)
    except TypeError:  # one number, or words
        return False


def _is_off(method: Method) -> bool:
    """An alpha of 0 switches a method off, unless it draws by another number."""
    draws_by_alpha = getattr(method, "minmax", None) is None
    return draws_by_alpha and isinstance(method.alpha, numbers.Real) and method.alpha == 0


def _arguments(found: Sequence[tuple[Method, float]], **draw: Any) -> dict[str, Any]:
    """What `mix` takes; methods that are never drawn are left out."""
    drawn = [(method, weight) for method, weight in found if weight > 0 and not _is_off(method)]
    if not drawn:
        raise ValueError("no method is left to draw: one with a chance must have an alpha above 0.")
    weights = {"weights": [weight for _, weight in drawn]} if len(drawn) > 1 else {}
    return {"methods": [method for method, _ in drawn], **weights, **draw}


def _check_corrected(correct_lam: bool, minmax: Sequence[float] | None) -> None:
    """With minmax the other libraries always correct lam, whatever the argument says."""
    if minmax is None and not correct_lam:
        raise ValueError(
            "correct_lam=False has no equivalent: it weighs labels by a share that the clipped box "
            "has not. Leave it out; lam is always counted here."
        )
