"""Hidden-layer mixing: the context in which one layer is mixed. Its target: manifold_target.py."""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dali_mix.training.batch_target import along_batch
from dali_mix.training.checkpointing import Hook, hooked
from dali_mix.training.manifold_target import ManifoldTarget

__all__ = ["manifold_mixup"]

_WRAPPERS = ("module", "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
"""DistributedDataParallel, torch.compile, checkpoint_wrapper and FSDP put them into names."""


def manifold_mixup(
    model: nn.Module,
    *,
    layers: Sequence[nn.Module | str] = (),
    target: Any,
    include_input: bool = False,
    generator: torch.Generator | None = None,
    in_eval: bool = False,
) -> contextlib.AbstractContextManager[str | None]:
    """Mix one hidden layer of the forward pass inside (Verma et al. 2019, manifold mixup).

        with dali_mix.manifold_mixup(model, layers=["stem", "layer1"], target=target):
            logits = model(x)
        loss = criterion(logits, target)        # criterion: a MixLoss

    model:         the module that is called, DistributedDataParallel or not
    layers:        modules of the model or their names, as in `model.named_modules()`, each of which
                   runs once in a forward pass and returns one floating point tensor (N, ...):
                   feature maps (N, C, H, W), tokens (N, L, D), embeddings (N, D) …
    target:        ManifoldTarget of the batch
    include_input: the input counts as one more layer: the only floating point tensor among the
                   arguments of the model
    generator:     of the layer drawn; default: torch's own on the CPU
    in_eval:       mix a model in eval mode, too
    returns:       a context manager that gives the name of the layer drawn ("input" for the input)

    Each entry draws one layer, all alike likely, and replaces its output h by

        lam[n] * h[n] + (1 - lam[n]) * h[partner[n]]

    computed in float32 at least and returned in the dtype and memory format of h, under autocast,
    too. Gradients flow to both samples. The hook is gone after the block, whatever happens inside.

    Eval mode: nothing is mixed and the context gives None. A ManifoldTarget is an error there, as a
    mixed loss of an unmixed batch would be wrong; others pass, so that validation shares the code.
    One forward pass belongs into the block: a layer that runs again is an error, and so is one that
    does not run at all. What torch.utils.checkpoint computes again in the backward pass is mixed
    again, inside the block and after it. With checkpointing of another make call backward() inside.
    DistributedDataParallel: ranks whose random states differ draw layers of their own.
    torch.compile: compile layer by layer, `model.layer1 = torch.compile(model.layer1)`; the output
    of such a layer, and the input of a model compiled as a whole, are mixed between the graphs. A
    layer inside a compiled module is an error: its graph would ignore the hook, or be compiled anew
    for each batch. The context itself cannot be compiled.

    ValueError, TypeError: arguments that do not fit, and outputs that are not one floating point
    tensor with the batch in front.
    """
    choices = _checked_layers(model, layers)
    if include_input:
        _check_compiled({"": model}, "", model)
        choices.append(("input", None))
    if not choices:
        raise ValueError("layers must name at least one layer, got none; or set include_input.")
    if not (model.training or in_eval):
        if isinstance(target, ManifoldTarget):
            raise ValueError(
                "a model in eval mode is not mixed, but target is a ManifoldTarget; call "
                "model.train(), validate on target.y1, or set in_eval=True."
            )
        return contextlib.nullcontext()
    if not isinstance(target, ManifoldTarget):
        raise TypeError(
            f"target must be a ManifoldTarget, got {type(target).__name__}; let the pipeline emit "
            "plan.partner, and build ManifoldTarget(y1, y2, lam, partner)."
        )
    return _mixing(model, choices, target, generator)


@contextlib.contextmanager
def _mixing(
    model: nn.Module,
    choices: list[tuple[str, nn.Module | None]],
    target: ManifoldTarget,
    generator: torch.Generator | None,
) -> Iterator[str]:
    device = "cpu" if generator is None else generator.device
    drawn = int(torch.randint(len(choices), (), generator=generator, device=device))
    name, module = choices[drawn]
    hook = _Hook(_describe(name, module), target)
    place: Hook
    if module is None:
        place = functools.partial(model.register_forward_pre_hook, with_kwargs=True), hook.on_input
    else:
        place = module.register_forward_hook, hook.on_output
    with hooked(place):
        yield name
    if not hook.ran:
        raise RuntimeError(
            f"{hook.what} did not run inside manifold_mixup, so that nothing was mixed; call the "
            "model in the block, name layers that run, and do not compile around them."
        )


class _Hook:
    """Mixes what passes a layer, once."""

    def __init__(self, what: str, target: ManifoldTarget) -> None:
        self.what = what
        self.target = target
        self.ran = False

    def on_output(self, module: nn.Module, arguments: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise TypeError(
                f"{self.what} must return one tensor to be mixed, but returns a "
                f"{type(output).__name__}; name a layer inside or around it that returns a tensor."
            )
        return self.mix(output)

    def on_input(
        self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tensors = [v for v in (*arguments, *keywords.values()) if isinstance(v, Tensor)]
        floats = [tensor for tensor in tensors if tensor.is_floating_point()]
        if len(floats) != 1:
            raise TypeError(
                "include_input needs a model that takes one floating point tensor, but it got "
                f"{len(floats)}; name layers alone, for class or token ids their embedding."
            )
        mixed = self.mix(floats[0])
        exchanged = [mixed if value is floats[0] else value for value in arguments]
        return tuple(exchanged), {k: mixed if v is floats[0] else v for k, v in keywords.items()}

    def mix(self, own: Tensor) -> Tensor:
        # In a backward pass, activation checkpointing runs the layer again: the same once more.
        if self.ran and torch._C._current_graph_task_id() == -1:
            raise RuntimeError(
                f"{self.what} runs more than once inside manifold_mixup, and would be mixed each "
                "time; take one block for each forward pass, and layers that run once in it."
            )
        self.ran = True
        self._check(own, self.target.batch_size)
        lam, partner = self.target.lam, self.target.partner
        wide = own.to(torch.promote_types(own.dtype, torch.float32))
        share = along_batch(1 - lam.to(wide.dtype), wide)
        # The own activations first: torch.lerp takes its memory format from there.
        return torch.lerp(wide, wide.index_select(0, partner), share).to(own.dtype)

    def _check(self, own: Tensor, n: int) -> None:
        if not own.is_floating_point():
            what = f"{self.what} must be floating point to be mixed, got {own.dtype}"
            raise TypeError(f"{what}; for class or token ids name their embedding.")
        if own.dim() == 0 or own.shape[0] != n:
            raise ValueError(
                f"{self.what} must have the batch of the target, {n}, as its first dimension, got "
                f"{tuple(own.shape)}; name a layer of shape ({n}, …)."
            )
        if own.device != self.target.lam.device:
            devices = f"{own.device}, got {self.target.lam.device}; use target.to(…)."
            raise ValueError(f"target must be on the device of {self.what}, {devices}")


def _checked_layers(
    model: nn.Module, layers: Sequence[nn.Module | str]
) -> list[tuple[str, nn.Module | None]]:
    """Names and modules, each once."""
    if isinstance(layers, (str, nn.Module)):
        given = repr(layers) if isinstance(layers, str) else type(layers).__name__
        raise TypeError(f"layers must be a list of modules or names, got {given}; list them.")
    modules = dict(model.named_modules())
    found: list[tuple[str, nn.Module | None]] = []
    for layer in layers:
        name, module = _find(modules, layer)
        if any(module is other for _, other in found):
            raise ValueError(f"layers must differ, got {name!r} twice; name it once.")
        if getattr(module.forward, "__func__", None) is nn.Module.forward:
            what = f"{_describe(name, module)}, a {type(module).__name__},"
            raise ValueError(f"{what} never runs itself; name its members.")
        _check_compiled(modules, name, module)
        found.append((name, module))
    return found


def _find(modules: dict[str, nn.Module], layer: nn.Module | str) -> tuple[str, nn.Module]:
    if isinstance(layer, nn.Module):
        for name, module in modules.items():
            if module is layer:
                return name, module
        kind = type(layer).__name__
        raise ValueError(f"layers must be modules of the model, got a {kind} that is none.")
    if not isinstance(layer, str):
        raise TypeError(f"layers must hold modules or their names, got {layer!r}; name modules.")
    found = [layer] * (layer in modules) + [n for n in modules if _own(n) == _own(layer)]
    if layer and found:
        return found[0], modules[found[0]]
    close = difflib.get_close_matches(layer, [*filter(None, modules)], 1) or [*modules][1:2]
    raise ValueError(
        f"layers must name modules of the model, got {layer!r}; take names from "
        f"model.named_modules(), such as {', '.join(map(repr, close)) or 'none: it has no layers'}."
    )


def _own(name: str) -> list[str]:
    return [part for part in name.split(".") if part not in _WRAPPERS]


def _check_compiled(modules: dict[str, nn.Module], name: str, module: nn.Module) -> None:
    """A hook works on a compiled wrapper, but neither below one nor where compiled in place."""
    parts = name.split(".") if name else []
    around = [modules[".".join(parts[:depth])] for depth in range(len(parts))]
    in_place = any(outer._compiled_call_impl is not None for outer in (*around, module))
    if in_place or any("_orig_mod" in outer._modules for outer in around):
        raise ValueError(
            f"{_describe(name, module)} lies inside a compiled module, whose graph would not "
            "see the hook; compile layer by layer, as model.layer1 = torch.compile(model.layer1)."
        )


def _describe(name: str, module: nn.Module | None) -> str:
    if module is None:
        return "the input"
    return f"layer {name!r}" if name else "the model itself"
