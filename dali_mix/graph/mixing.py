"""The graph functions, written once for DALI's pipeline mode and its dynamic mode.

`Mixing` composes the operators and pairs the labels; what differs between the modes is behind
`Mode`, which `dali_mix.fn` and `dali_mix.dynamic` implement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dali_mix.graph import arguments as args
from dali_mix.graph.arguments import Draw, DrawAndOutput, Output
from dali_mix.graph.labels import Labels
from dali_mix.graph.pixels import Pixels
from dali_mix.graph.travel import Travel
from dali_mix.methods import CutMix, Method, MixUp
from dali_mix.plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MIXUP = MixUp()


class Mixing(Pixels, Labels, Travel):
    """The public functions, for one mode."""

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
        mask: Any = None,
        **draw: Unpack[Draw],
    ) -> Plan:
        """Draw how a batch of N images is mixed: the draw alone, no pixels.

        images:  batch of images, CPU or GPU; only their number and sizes are read, so GPU images
                 cost no synchronisation. None: the batch size of the pipeline, for a given `size`
        labels:  batch with as many samples; with exec_dynamic=False CPU labels count GPU images
        methods: one method or several, `dali_mix.MixUp(...)`, `dali_mix.CutMix(...)` …
        mask:    given, not drawn, in place of a method: CPU batch of (h, w) uint8, own weight in
                 1/255, for the pixels of the output or for cells of it
        returns: `Plan`, on the CPU; offset, fit, frames and mask are None where no method has them

        The output that the plan is for: `size`, or `crop`, or `crop_h` and `crop_w`, in pixels as
        (H, W); by default the size of the images.

        The draw:
          weights:     relative weight of each method, numbers or DALI tensors; default: alike
          choose_per:  "sample" (default) or "batch": what takes one method
          per:         "sample" (default), "pair" or "batch": what shares a draw of weight and box.
                       "pair" draws a random matching whose members share everything drawn, and
                       leaves an odd one unmixed
          prob:        probability in [0, 1] that a sample is mixed, number, DALI tensor or
                       `dali_mix.Scheduled`; default 1
          prob_per:    "sample" (default) or "batch": what `prob` decides on
          partner:     "derange" (default: a uniform permutation without fixed points), "shuffle"
                       (with), "reverse", "roll" (the image before); "same_class", "other_class"
                       (any such image by `labels`, class ids; unmixed where there is none);
                       "others" (the image across, in the other batch that apply is given); or
                       given: an int DALI tensor of batch indices, of K-1 with K images
          lam:         given, not drawn: in [0, 1], mixup's weight, or what a box or mask is to
                       leave
          box:         given, not drawn: int DALI tensor (y0, x0, y1, x1) for each sample, for
                       cutmix; clipped to the image. Not with `lam`
          seed:        of the operator; default: the pipeline's. In dynamic mode `rng`, a DALI RNG

        A batch of one is left unmixed, but by "others". An unmixed sample has lam 1 and is its own
        partner.

        ValueError: an argument out of its range, when the pipeline is built or run.
        """
        listed = args.as_methods(methods)
        given = args.given(crop=crop, crop_h=crop_h, crop_w=crop_w)
        if size is not None:
            if given:
                raise ValueError(f"size cannot be combined with {', '.join(given)}: give one.")
            given = {"crop": size}
        if mask is not None:
            if methods is not _MIXUP or weights is not None:
                raise ValueError("mask takes the place of methods and weights: give one of them.")
            return self._masked(images, labels, mask, draw, given)
        first_labels = labels[0] if isinstance(labels, (tuple, list)) else labels
        inputs = self._mode.counted_by(images, first_labels, bool(given))
        arguments = self._draw_arguments(listed, weights, draw, first_labels)
        # On the CPU, also when it looks at the shapes of GPU images.
        columns = self._mode.ops.dali_mix.plan(*inputs, device="cpu", **given, **arguments)
        return Plan(**args.named(args.columns_of(listed), columns))

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
        second:  (images2, labels2), a second stream to take the partners from, alike in kind and
                 size; with another reader, what the papers do. Image i is mixed with the one across
        returns: (x, y1, y2, lam): mixed images, own labels, partners' labels, and float32 weights
                 of the own labels, all on the device of the images; labels keep their shape and
                 type, a tuple stays a tuple. Without labels: (x, plan)

        With methods of K > 2 images: (x, ys, weights), for each sample (K, …) labels, own first,
        and (K,) weights.

        partner="previous" takes the partners from the batch before, so that a batch of one mixes
        too; that batch is kept, and is part of checkpoints. In pipelines only.

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
        return self._mix("mixup", images, labels, MixUp(alpha, fold=fold), None, arguments)

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
        return self._mix("cutmix", images, labels, CutMix(alpha, fold=fold), None, arguments)

    def _mix(
        self,
        caller: str,
        images: Any,
        labels: Any,
        methods: Method | Sequence[Method],
        weights: Sequence[Any] | None,
        arguments: DrawAndOutput,
    ) -> tuple[Any, ...]:
        args.reject_unknown(self._mode.random, caller, arguments, Draw, Output, DrawAndOutput)
        listed = args.as_methods(methods)
        given: dict[str, Any] = dict(arguments)
        others, second = self._second(images, labels, given)
        draw = args.only(given, tuple(Draw.__annotations__))
        output = args.only(given, tuple(Output.__annotations__))
        size = args.only(output, args.SIZE)
        plan = self.plan(images, labels, listed, weights=weights, **size, **draw)
        x = self.apply(images, plan, others=others, **output)
        if labels is None:
            return x, plan
        return x, *self._targets(labels, second, plan, images, args.images_of(listed))

    def _second(self, images: Any, labels: Any, given: dict[str, Any]) -> tuple[Any, Any]:
        """The other batch and its labels, where partners come from one; says so in `given`."""
        second, partner = given.pop("second", None), given.get("partner")
        named = isinstance(partner, str)  # else a tensor, which compares to nothing
        if second is None and named and partner == "previous":
            given["partner"] = "others"
            parts = isinstance(labels, (tuple, list))
            before = self._mode.previous
            old = tuple(map(before, labels)) if parts else None
            return before(images), old if parts or labels is None else before(labels)
        if second is None:
            return None, None
        if not isinstance(second, (tuple, list)) or len(second) != 2:
            raise TypeError("second must be (images2, labels2), where labels2 may be None.")
        if partner is not None:
            raise ValueError(
                f"partner must be left out with second, got {partner!r}: each image is mixed with "
                "the one across."
            )
        if (second[1] is None) != (labels is None):
            raise ValueError(
                "second must have labels2 where there are labels, and none where there are none."
            )
        given["partner"] = "others"
        return second[0], second[1]

    def _masked(self, images: Any, labels: Any, mask: Any, draw: Draw, size: Any) -> Plan:
        """A plan with a given mask: partners drawn, shares counted."""
        if {"lam", "box"} & set(draw):
            raise ValueError("mask cannot be combined with lam or box: the mask decides lam.")
        given: Any = dict(draw) | {"lam": 0.5} | size
        drawn = self.plan(images, labels, **given)
        plan = drawn._replace(blend=None, mask=mask)
        ops = self._mode.ops
        outputs = ops.dali_mix.resized(mask, partner=plan.partner, box=plan.box, size=plan.size)
        return plan._replace(lam=outputs[1])

    def _draw_arguments(
        self, methods: list[Method], weights: Sequence[Any] | None, draw: Draw, labels: Any
    ) -> dict[str, Any]:
        """The arguments of the plan operator."""
        args.reject_unknown(self._mode.random, "plan", draw, Draw)
        arguments: dict[str, Any] = dict(draw)
        if isinstance(arguments.get("partner"), str):
            arguments["pairing"] = args.as_pairing(arguments.pop("partner"))
        if arguments.get("pairing") in args.BY_CLASS:
            if labels is None:
                raise ValueError(f"partner={arguments['pairing']!r} needs labels, got none.")
            arguments["classes"] = self._mode.cast(self._mode.on_cpu(labels), "INT32")
        args.check_no_lists(arguments)
        args.check_no_words(arguments)
        for name, dtype in args.GIVEN_TENSORS.items():
            if name in arguments and args.is_tensor(arguments[name]):
                arguments[name] = self._mode.cast(arguments[name], dtype)
        return args.given(
            methods=[method.text for method in methods],
            fold=[int(method.fold) for method in methods],
            alpha=self._mode.vector([method.alpha for method in methods]),
            weights=self._mode.vector(args.as_weights(weights, len(methods))),
            **arguments,
        )
