"""The graph functions, written once for DALI's pipeline mode and its dynamic mode.

`Mixing` composes the two operators and pairs the labels; what differs between the modes is behind
`Mode`, which `dali_mix.fn` and `dali_mix.dynamic` implement.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from dali_mix.methods import CutMix, Method, MixUp
from dali_mix.plan import Plan
from dali_mix.schedule import Scheduled

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Output(TypedDict, total=False):
    """Arguments of the output, with the names, meanings and defaults of `crop_mirror_normalize`."""

    mean: Any
    std: Any
    scale: float
    shift: float
    dtype: Any
    output_layout: str
    mirror: Any
    crop: Any
    crop_h: Any
    crop_w: Any
    crop_pos_x: Any
    crop_pos_y: Any
    pad_output: bool


class Draw(TypedDict, total=False):
    """Arguments of the draw."""

    per: str
    prob: Any
    prob_per: str
    choose_per: str
    partner: Any
    lam: Any
    box: Any
    seed: int
    """In pipeline mode."""
    rng: Any
    """In dynamic mode."""


class DrawAndOutput(Draw, Output, total=False):
    """What the mixing functions take."""


_MIXUP = MixUp()
_PAIRINGS = ("derange", "shuffle", "reverse", "roll")
_GIVEN_TENSORS = {"partner": "INT32", "box": "INT32", "lam": "FLOAT", "prob": "FLOAT"}
_SIZE = ("crop", "crop_h", "crop_w")


class Mode(ABC):
    """What differs between pipeline mode and dynamic mode, and what follows from it."""

    ops: Any
    """`nvidia.dali.fn`, or dynamic mode: where DALI's operators are found, ours among them."""
    dtypes: ClassVar[dict[str, Any]]
    """FLOAT and INT32 as these operators take them."""
    random: str
    """Name of the argument of the random state: "seed" or "rng"."""

    @abstractmethod
    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        """What the plan operator looks at to know the batch: images, or something of the same
        count, or nothing."""

    @abstractmethod
    def constant(self, value: float) -> Any:
        """A float for each sample."""

    @abstractmethod
    def place_like(self, values: Any, images: Any) -> Any:
        """`values` on the device of `images`."""

    def vector(self, values: Sequence[Any]) -> Any:
        """One float vector for each sample, of numbers and tensors with a value for each sample."""
        if all(isinstance(value, numbers.Real) for value in values):
            return [float(value) for value in values]
        return self.ops.stack(
            *(
                self.constant(float(value))
                if isinstance(value, numbers.Real)
                else self.cast(value, "FLOAT")
                for value in values
            )
        )

    def cast(self, value: Any, dtype: str) -> Any:
        value = value.node() if isinstance(value, Scheduled) else value
        return self.ops.cast(value, dtype=self.dtypes[dtype])

    def permute(self, values: Any, indices: Any) -> Any:
        return self.ops.permute_batch(values, indices=indices)


class Mixing:
    """The public functions, for one mode."""

    def __init__(self, mode: Mode):
        self._mode = mode

    def plan(
        self,
        images: Any = None,
        labels: Any = None,
        methods: Method | Sequence[Method] = _MIXUP,
        *,
        weights: Sequence[Any] | None = None,
        size: Any = None,
        crop: Any = None,
        crop_h: Any = None,
        crop_w: Any = None,
        **draw: Unpack[Draw],
    ) -> Plan:
        """Draw how a batch of N images is mixed: the draw alone, no pixels.

        images:  batch of images, CPU or GPU; only their number and sizes are read, so GPU images
                 cost no synchronisation. None: the batch size of the pipeline, for a given `size`
        labels:  batch with as many samples; with exec_dynamic=False CPU labels count GPU images
        methods: one method or several, `dali_mix.MixUp(...)`, `dali_mix.CutMix(...)`
        returns: `Plan(partner, blend, box, lam, size)`, on the CPU

        The output that the plan is for: `size`, or `crop`, or `crop_h` and `crop_w`, in pixels as
        (H, W); by default the size of the images.

        The draw:
          weights:     relative weight of each method, numbers or DALI tensors; default: alike
          choose_per:  "sample" (default) or "batch": what takes one method
          per:         "sample" (default), "pair" or "batch": what shares a draw of weight and box.
                       "pair" draws a random matching whose members share everything drawn, and
                       leaves an odd one unmixed
          prob:        probability in [0, 1] that a sample is mixed, number or DALI tensor;
                       default 1
          prob_per:    "sample" (default) or "batch": what `prob` decides on
          partner:     "derange" (default: a uniform permutation without fixed points), "shuffle"
                       (with), "reverse", "roll" (the image before), or given: an int DALI tensor
                       of batch indices
          lam:         given, not drawn: in [0, 1], mixup's weight, or what the box of cutmix is to
                       leave
          box:         given, not drawn: int DALI tensor (y0, x0, y1, x1) for each sample, for
                       cutmix; clipped to the image. Not with `lam`
          seed:        of the operator; default: the pipeline's. In dynamic mode `rng`, a DALI RNG

        A batch of one is left unmixed. An unmixed sample has lam 1 and is its own partner.

        ValueError: an argument out of its range, when the pipeline is built or run.
        """
        methods = _as_methods(methods)
        given = _given(crop=crop, crop_h=crop_h, crop_w=crop_w)
        if size is not None:
            if given:
                raise ValueError(f"size cannot be combined with {', '.join(given)}: give one.")
            given = {"crop": size}
        first_labels = labels[0] if isinstance(labels, (tuple, list)) else labels
        inputs = self._mode.counted_by(images, first_labels, bool(given))
        arguments = self._draw_arguments(methods, weights, draw)
        # On the CPU, also when it looks at the shapes of GPU images.
        return Plan(*self._mode.ops.dali_mix.plan(*inputs, device="cpu", **given, **arguments))

    def apply(self, images: Any, plan: Plan, **output: Unpack[Output]) -> Any:
        """Mix each image with its partner; crop, mirror, normalise, lay out and cast, in one pass.

        images:  batch of (H, W, C) or (C, H, W) uint8, float32 or float16 images, CPU or GPU; not
                 written to
        plan:    for the same batch; a column that is None takes its default (no partner, blend 1,
                 no box, any size)
        returns: batch of (C, H, W) or (H, W, C) images, on the device of `images`

        Equivalent to, for every sample i with partner j and every output pixel outside its box:
            k = scale/std;  k*blend[i]*a + k*(1-blend[i])*b + shift - mean*k
        and k*b + shift - mean*k inside it, where a, b are the pixels of images i and j, each after
        its own crop and mirror; then cast. Integer types saturate and round halves to even.

        Output arguments, as in `fn.crop_mirror_normalize`:
          mean, std:               per channel or one for all; default 0 and 1
          scale, shift:            default 1 and 0
          dtype:                   FLOAT (default), FLOAT16, UINT8, INT8
          output_layout:           "CHW" (default) or "HWC"
          mirror:                  nonzero flips horizontally, number or DALI tensor; default 0
          crop, or crop_h, crop_w: output size in pixels; default: the whole image
          crop_pos_y, crop_pos_x:  place of the window in [0, 1]; default 0.5, the centre
          pad_output:              add channels of zeros up to a power of two; default False

        ValueError: sizes of a pair that differ, a window that leaves its image, a plan drawn for
        another size, and arguments out of their range, when the pipeline runs.
        """
        self._reject_unknown("apply", output, Output)
        columns = _given(partner=plan.partner, blend=plan.blend, box=plan.box, size=plan.size)
        return self._mode.ops.dali_mix.apply(images, **columns, **output)

    def mix(
        self,
        images: Any,
        labels: Any = None,
        methods: Method | Sequence[Method] = _MIXUP,
        *,
        weights: Sequence[Any] | None = None,
        **arguments: Unpack[DrawAndOutput],
    ) -> tuple[Any, ...]:
        """Plan, apply, and pair the labels.

        images:  batch of (H, W, C) or (C, H, W) uint8, float32 or float16 images, CPU or GPU
        labels:  batch of class ids (any integer type, shape () or (1,)) or of float vectors, CPU or
                 GPU; a tuple of such batches; or None
        methods: one method or several, from which each sample (or batch) takes one by `weights`
        returns: (x, y1, y2, lam): mixed images, own labels, partners' labels, and float32 weights
                 of the own labels, all on the device of the images; labels keep their shape and
                 type, a tuple stays a tuple. Without labels: (x, plan)

        The arguments of the draw are those of `plan`, the arguments of the output those of `apply`.
        """
        return self._mix("mix", images, labels, methods, weights, arguments)

    def mixup(
        self,
        images: Any,
        labels: Any = None,
        *,
        alpha: Any = 0.4,
        fold: bool = True,
        **arguments: Unpack[DrawAndOutput],
    ) -> tuple[Any, ...]:
        """Mixup (Zhang et al. 2018): x = lam*own + (1-lam)*partner, lam from Beta(alpha, alpha).

        alpha:   finite number >= 0 (0: off) or DALI tensor
        fold:    replace a draw t by max(t, 1 - t), so that the own image dominates; the paper does
                 not
        returns: (x, y1, y2, lam) as `mix`, whose other arguments it shares
        """
        return self._mix("mixup", images, labels, MixUp(alpha, fold), None, arguments)

    def cutmix(
        self,
        images: Any,
        labels: Any = None,
        *,
        alpha: Any = 1.0,
        fold: bool = False,
        **arguments: Unpack[DrawAndOutput],
    ) -> tuple[Any, ...]:
        """CutMix (Yun et al. 2019): the partner shows in a box; lam is the share of own pixels.

        alpha:   finite number >= 0 (0: off) or DALI tensor; the share that the box is to leave is
                 drawn from Beta(alpha, alpha), and counted again after clipping
        fold:    replace a draw t by max(t, 1 - t)
        returns: (x, y1, y2, lam) as `mix`, whose other arguments it shares
        """
        return self._mix("cutmix", images, labels, CutMix(alpha, fold), None, arguments)

    def _mix(
        self,
        caller: str,
        images: Any,
        labels: Any,
        methods: Method | Sequence[Method],
        weights: Sequence[Any] | None,
        arguments: DrawAndOutput,
    ) -> tuple[Any, ...]:
        self._reject_unknown(caller, arguments, Draw, Output)
        given: dict[str, Any] = dict(arguments)
        draw = {name: value for name, value in given.items() if name in Draw.__annotations__}
        output = {name: value for name, value in given.items() if name in Output.__annotations__}
        size = {name: output[name] for name in _SIZE if name in output}
        plan = self.plan(images, labels, methods, weights=weights, **size, **draw)
        x = self.apply(images, plan, **output)
        if labels is None:
            return x, plan
        own, partners = self._pair(labels, plan, images)
        return x, own, partners, self._mode.place_like(plan.lam, images)

    def _pair(self, labels: Any, plan: Plan, images: Any) -> tuple[Any, Any]:
        """Own labels and partners' labels, on the device of the images."""
        if isinstance(labels, (tuple, list)):
            pairs = [self._pair(part, plan, images) for part in labels]
            return tuple(own for own, _ in pairs), tuple(partners for _, partners in pairs)
        partners = self._mode.permute(labels, plan.partner)
        place_like = self._mode.place_like
        return place_like(labels, images), place_like(partners, images)

    def _draw_arguments(
        self, methods: list[Method], weights: Sequence[Any] | None, draw: Draw
    ) -> dict[str, Any]:
        """The arguments of the plan operator."""
        self._reject_unknown("plan", draw, Draw)
        arguments: dict[str, Any] = dict(draw)
        if isinstance(arguments.get("partner"), str):
            arguments["pairing"] = _as_pairing(arguments.pop("partner"))
        for name in ("partner", "lam", "prob"):
            if isinstance(arguments.get(name), (list, tuple)):
                raise TypeError(
                    f"{name} must be a DALI tensor with one value for each sample, got "
                    f"{arguments[name]!r}: the batch size may vary, a list cannot."
                )
        for name, dtype in _GIVEN_TENSORS.items():
            if name in arguments and _is_tensor(arguments[name]):
                arguments[name] = self._mode.cast(arguments[name], dtype)
        return _given(
            methods=[method.name for method in methods],
            fold=[int(method.fold) for method in methods],
            alpha=self._mode.vector([method.alpha for method in methods]),
            weights=self._mode.vector(_as_weights(weights, len(methods))),
            **arguments,
        )

    def _reject_unknown(self, caller: str, arguments: Any, *known: Any) -> None:
        names = {name for group in known for name in group.__annotations__}
        names -= {"seed", "rng"} - {self._mode.random}
        for name in arguments:
            if name not in names:
                raise TypeError(
                    f"{caller}() has no argument {name!r}; it takes {', '.join(sorted(names))}."
                )


def _as_methods(methods: Method | Sequence[Method]) -> list[Method]:
    listed: list[Any] = list(methods) if isinstance(methods, (list, tuple)) else [methods]
    if not listed:
        raise ValueError("methods must name at least one method, got none.")
    for method in listed:
        if not isinstance(method, (MixUp, CutMix)):
            raise TypeError(
                f"methods must be dali_mix.MixUp or dali_mix.CutMix objects, got {method!r}."
            )
    return listed


def _as_pairing(partner: str) -> str:
    if partner not in _PAIRINGS:
        raise ValueError(
            f"partner must be one of {', '.join(map(repr, _PAIRINGS))} or a DALI tensor of batch "
            f"indices, got {partner!r}."
        )
    return partner


def _as_weights(weights: Sequence[Any] | None, count: int) -> Sequence[Any]:
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        raise ValueError(
            f"weights must have one value for each of the {count} methods, got {len(weights)}."
        )
    return weights


def _is_tensor(value: Any) -> bool:
    return not isinstance(value, (numbers.Real, str, list, tuple))


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
