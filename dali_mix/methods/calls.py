"""Errors for names that do not exist. Each is one sentence that says what to do, also for names
that other libraries use. Loads no DALI."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GRAPH_FUNCTIONS = (
    "apply",
    "apply_boxes",
    "apply_mask",
    "apply_points",
    "blend_labels",
    "cutmix",
    "mix",
    "mixup",
    "pair_labels",
    "plan",
    "resized",
)
"""The functions of `dali_mix.fn` and `dali_mix.dynamic`."""

_LEAVE = "leave it out"
_CROP = (
    "windows must lie inside the image; enlarge it before, with fn.pad, or with "
    'fn.crop(images, crop=(H, W), out_of_bounds_policy="pad")'
)
_BATCH = 'per="batch" shares one draw'
_LABELS = "labels are the second argument"
_NAMED_PROB = "it is prob, an argument of mix, mixup, cutmix and plan"
_NAMED_LAM = "it is lam, an argument of mix, mixup, cutmix and plan"
_NAMED_ALPHA = "the parameter of Beta is alpha, an argument of mixup, cutmix and the methods"
_SMOOTH = (
    "labels are smoothed by MixLoss(CrossEntropyLoss(label_smoothing=…)), or by "
    "target.dense(num_classes, smoothing=…)"
)
_TIMM = "dali_mix.migrate.from_timm takes timm's arguments"
_RANDOM = "random states are given by seed= in pipelines, by rng= in dynamic mode"

ELSEWHERE: Mapping[str, str] = {
    # DALI
    "name": f"one call makes several operators, which DALI names; {_LEAVE}",
    "device": 'outputs are on the device of the images; pass images.gpu(), or decode on "mixed"',
    "bytes_per_sample_hint": f"it is a hint that changes no output; {_LEAVE}",
    "preserve": f"outputs of the pipeline are always computed; {_LEAVE}",
    "out_of_bounds_policy": _CROP,
    "fill_value": _CROP,
    "fill_values": _CROP,
    "crop_d": "volumes are cropped in height and width; cut the depth before, with fn.slice",
    "crop_pos_z": "volumes are cropped in height and width; cut the depth before, with fn.slice",
    "output_dtype": "its name here is dtype",
    "image_type": "channels stay as they are; the decoder takes output_type",
    "batch_size": "the batch is that of the images",
    "layout": "the layout is that of the images, and output_layout that of the output",
    "input_layout": "the layout is that of the images; fn.reshape(layout=…) changes it",
    # timm
    "num_classes": "labels stay as they are; target.dense(num_classes) makes vectors of class ids",
    "label_smoothing": _SMOOTH,
    "smoothing": _SMOOTH,
    "mixup_alpha": _TIMM,
    "cutmix_alpha": _TIMM,
    "cutmix_minmax": "it is dali_mix.CutMix(place='inside', minmax=…)",
    "switch_prob": "mix chooses among its methods by weights=[1 - switch_prob, switch_prob]",
    "mode": 'it is per="batch", "pair" or "sample" (elem)',
    "correct_lam": f"lam is always counted from the pixels; {_LEAVE}",
    "mixup_prob": _NAMED_PROB,
    # torchvision, kornia, mmpretrain, PyTorch, the authors' programs
    "p": _NAMED_PROB,
    "probability": _NAMED_PROB,
    "probs": "weights chooses among the methods of mix, and prob whether an image is mixed at all",
    "labels_getter": _LABELS,
    "target": _LABELS,
    "targets": _LABELS,
    "y": _LABELS,
    "same_on_batch": _BATCH,
    "inplace": f"images are never written to; {_LEAVE}",
    "generator": _RANDOM,
    "random_state": _RANDOM,
    "alphas": _NAMED_ALPHA,
    "beta": _NAMED_ALPHA,
    "lambda_": _NAMED_LAM,
    "lambda_val": _NAMED_LAM,
    "lmbda": _NAMED_LAM,
    "ratio": _NAMED_LAM,
    "data_format": "output_layout chooses between CHW and HWC",
    "channels_first": "output_layout chooses between CHW and HWC",
    "decay_power": "its name here is decay",
    "patch_size": "its name here is patch",
}
"""What to do here, for each argument of another library."""


def check_call(
    caller: str,
    signature: inspect.Signature,
    values: Sequence[Any],
    named: Iterable[str],
    ours: Mapping[str, str],
    options: Iterable[str] = (),
) -> None:
    """A TypeError for names that `signature` lacks, and for too many values by position.

    ours:    what to say of names that other functions of dali_mix take
    options: names that the error lists first
    """
    takes = signature.parameters
    for name in named:
        if name in takes:
            continue
        start = f"{caller}() has no argument {name!r}"
        if name in ELSEWHERE and name not in ours:
            raise TypeError(f"{start}: {ELSEWHERE[name]}.")
        hint = ours.get(name, "")
        if not hint and (close := difflib.get_close_matches(name, takes, 1)):
            hint = f"Did you mean {close[0]}?"
        listed = ", ".join(dict.fromkeys([*sorted(options), *takes]))
        raise TypeError(f"{start}; it takes {listed}. {hint}".rstrip())
    places = [name for name, p in takes.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(values) > len(places):
        rest = [name for name in takes if name not in places]
        by_name = f" and {', '.join(rest)} by name" if rest else ""
        raise TypeError(
            f"{caller}() takes {', '.join(places) or 'nothing'} by position{by_name}, got "
            f"{shown(values[len(places)])} in place {len(places) + 1}."
        )


def no_attribute(module: str, name: str, *groups: Mapping[str, str]) -> AttributeError:
    """The error for a name that a module lacks.

    groups: names that exist, such as "MixUp", and what to write, such as "dali_mix.MixUp"
    """
    wanted = _letters(name)
    found = [text for known in groups for there, text in known.items() if _letters(there) == wanted]
    if not found:
        every = {there: text for known in groups for there, text in known.items()}
        found = [every[there] for there in difflib.get_close_matches(name, every, 1, cutoff=0.75)]
    hint = f"; did you mean {' or '.join(found)}?" if found else ""
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}")


def graph_function_lacks(module: str, name: str) -> AttributeError:
    """The error for a name that `dali_mix.fn` or `dali_mix.dynamic` lacks."""
    functions = {there: f"{module}.{there}" for there in GRAPH_FUNCTIONS}
    elsewhere = {there: f"dali_mix.{there}" for there in sys.modules["dali_mix"].__all__}
    return no_attribute(module, name, elsewhere, functions)


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def shown(value: Any) -> str:
    """`value` on one line of at most 60 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
