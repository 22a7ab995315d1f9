"""A target of a mixed batch where a tensor is meant: a sentence names what takes it."""

import pytest
import torch
from target_kinds import TARGETS, C, N, assert_same
from torch import nn
from torch.nn import functional

EVERY = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
LOGITS = torch.randn(N, C, generator=torch.Generator().manual_seed(0))
MISUSES = {
    "argmax == target": (lambda t: LOGITS.argmax(1) == t, "=="),
    "target == argmax": (lambda t: t == LOGITS.argmax(1), "=="),
    "argmax != target": (lambda t: LOGITS.argmax(1) != t, "!="),
    "eq": (lambda t: LOGITS.argmax(1).eq(t), "eq"),
    "cross-entropy": (lambda t: nn.CrossEntropyLoss()(LOGITS, t), "cross_entropy"),
    "function": (lambda t: functional.cross_entropy(LOGITS, t), "cross_entropy"),
    "squared error": (lambda t: nn.MSELoss()(LOGITS, t), "mse_loss"),
    "BCE": (lambda t: nn.BCEWithLogitsLoss()(LOGITS, t), "binary_cross_entropy_with_logits"),
    "one-hot": (lambda t: functional.one_hot(t, C), "one_hot"),
    "stack": (lambda t: torch.stack([t, t]), "stack"),
    "scatter": (lambda t: LOGITS.scatter(1, t, 1.0), "scatter"),
}


@EVERY
@pytest.mark.parametrize(("misuse", "name"), MISUSES.values(), ids=MISUSES.keys())
def test_a_function_of_tensors_names_what_takes_it(misuse, name, target):
    kind, parts = type(target).__name__, ", ".join(target._fields)
    sentence = rf"^{name} is for tensors, got a {kind}, which holds {parts}\. Use MixLoss.* MixAcc"
    with pytest.raises(TypeError, match=sentence):
        misuse(target)


@EVERY
@pytest.mark.parametrize("name", ["argmax", "view", "size", "shape", "long", "dtype", "device"])
def test_an_attribute_of_tensors_names_what_to_use(name, target):
    sentence = rf"^{name} is for tensors, got a {type(target).__name__}, .* target\.batch_size"
    with pytest.raises(AttributeError, match=sentence):
        getattr(target, name)
    assert not hasattr(target, name)


@EVERY
def test_any_other_attribute_is_missing_as_ever(target):
    with pytest.raises(AttributeError, match=rf"^'{type(target).__name__}'.* attribute 'lamda'$"):
        _ = target.lamda


@EVERY
def test_it_is_compared_as_a_tuple_with_all_but_tensors(target):
    parts = tuple(target)  # the tensors themselves, which are equal by identity
    assert target == parts and parts == target
    assert not (target != parts)  # noqa: SIM202
    assert target != 3 and target is not None and target in [None, "x", target]
    assert hash(target) == hash(tuple(target))


@EVERY
def test_functions_of_its_parts_take_them(target):
    assert_same(type(target)(*torch.utils._pytree.tree_leaves(target)), target)
    float_parts = [part for part in target if part.is_floating_point()]
    assert torch.cat([part.flatten() for part in float_parts]).numel()
    for part, other in zip(torch.atleast_1d(*target), target, strict=True):
        assert torch.equal(part, other)


@EVERY
def test_cuda_is_called_with_its_arguments_on_every_part(target, monkeypatch):
    def elsewhere(part, device=None, non_blocking=False):
        assert (device, non_blocking) == ("cuda:1", True)
        return part.to("meta")

    monkeypatch.setattr(torch.Tensor, "cuda", elsewhere)
    moved = target.cuda("cuda:1", non_blocking=True)
    assert type(moved) is type(target) and all(part.is_meta for part in moved)


@pytest.mark.gpu
@EVERY
def test_cuda_moves_it(target):
    assert all(part.is_cuda for part in target.cuda())
    assert_same(target.cuda().to("cpu"), target)
