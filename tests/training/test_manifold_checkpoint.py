"""manifold_mixup beside activation checkpointing: the gradients are those without checkpointing."""

import threading

import pytest
import torch
from manifold_models import N, dense, hooks, make_target
from torch import nn
from torch.distributed._composable import checkpoint as composable
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    checkpoint_wrapper,
)
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from dali_mix import manifold_mixup

KINDS = pytest.mark.parametrize("reentrant", [False, True], ids=["not reentrant", "reentrant"])


class Net(nn.Module):
    """Layers a to d, of which `run` decides how b and c are computed."""

    def __init__(self, run=None):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.d = nn.Linear(4, 6), nn.Linear(6, 3)
        self.b, self.c = (nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in "bc")
        self.run = run or (lambda b, c, h: c(b(h)))

    def forward(self, x):
        return self.d(self.run(self.b, self.c, self.a(x)))


def around_each(reentrant):
    def run(b, c, h):
        for layer in (b, c):
            h = checkpoint(layer, h, use_reentrant=reentrant)
        return h

    return run


def around_both(reentrant):
    return lambda b, c, h: checkpoint(lambda h: c(b(h)), h, use_reentrant=reentrant)


def nested(reentrant):
    def both(b, c, h):
        h = checkpoint(b, h, use_reentrant=reentrant)
        return checkpoint(
            lambda h: checkpoint(c, h, use_reentrant=reentrant), h, use_reentrant=reentrant
        )

    return lambda b, c, h: checkpoint(lambda h: both(b, c, h), h, use_reentrant=reentrant)


def in_segments(reentrant):
    return lambda b, c, h: checkpoint_sequential([*b, *c], 2, h, use_reentrant=reentrant)


WAYS = [around_each, around_both, nested, in_segments]
INPUTS = torch.randn(3, N, 4, generator=torch.Generator().manual_seed(1))
TARGETS = [
    make_target(torch.arange(N).roll(step + 1), torch.linspace(0.1, 0.9, N).roll(step))
    for step in range(3)
]


def loss_of(model, step, layer):
    with manifold_mixup(model, layers=[layer], target=TARGETS[step]):
        out = model(INPUTS[step])
    return out.square().sum()


def gradients(model):
    assert not hooks(model)
    return [p.grad for p in model.parameters()]


def expected(*mixings):
    """Of losses over (step, layer) without checkpointing; layer None: not mixed."""
    model = Net()
    for step, layer in mixings:
        if layer is None:
            model(INPUTS[step]).square().sum().backward()
        else:
            loss_of(model, step, layer).backward()
    return gradients(model)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # nested, reentrant
@KINDS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", ["a", "b.0", "c.1", "d"])
def test_a_backward_pass_after_the_block_mixes_again(way, layer, reentrant):
    model = Net(way(reentrant))
    loss_of(model, 0, layer).backward()
    torch.testing.assert_close(gradients(model), expected((0, layer)))


@KINDS
def test_the_input_is_mixed_again(reentrant):
    model, plain = dense(), dense()
    plain.load_state_dict(model.state_dict())
    x = INPUTS[0].clone().requires_grad_()
    with manifold_mixup(plain, include_input=True, target=TARGETS[0]):
        loss = plain(x).square().sum()
    loss.backward()
    with manifold_mixup(model, include_input=True, target=TARGETS[0]):
        loss = checkpoint(model, INPUTS[0].clone().requires_grad_(), use_reentrant=reentrant)
    loss.square().sum().backward()
    torch.testing.assert_close(gradients(model), gradients(plain))


@KINDS
@pytest.mark.parametrize("second", ["b", "c"])
def test_each_forward_pass_keeps_its_own_target(reentrant, second):
    """Three losses are added up; the backward pass runs inside a later block."""
    model = Net(around_both(reentrant))
    loss = loss_of(model, 0, "b") + loss_of(model, 1, second)
    loss = loss + model(INPUTS[2]).square().sum()
    with manifold_mixup(model, layers=["b"], target=TARGETS[2]):
        other = model(INPUTS[2])
        loss.backward()
    found = [grad.clone() for grad in gradients(model)]
    torch.testing.assert_close(found, expected((0, "b"), (1, second), (2, None)))
    model.zero_grad()
    other.square().sum().backward()
    torch.testing.assert_close(gradients(model), expected((2, "b")))


@KINDS
def test_a_block_inside_another_mixes_both_layers_again(reentrant):
    def gradient(model):
        with manifold_mixup(model, layers=["b"], target=TARGETS[0]):
            loss = loss_of(model, 1, "c")
        loss.backward()
        return gradients(model)

    torch.testing.assert_close(gradient(Net(around_both(reentrant))), gradient(Net()))


@KINDS
def test_a_backward_pass_in_another_thread_mixes_again(reentrant):
    model = Net(around_each(reentrant))
    loss = loss_of(model, 0, "b")
    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()
    torch.testing.assert_close(gradients(model), expected((0, "b")))


@pytest.mark.parametrize("implementation", CheckpointImpl)
@pytest.mark.parametrize("layer", ["b", "b.0", "b._checkpoint_wrapped_module"])
def test_wrapped_layers_go_by_their_own_names(implementation, layer):
    model = Net()
    model.b = checkpoint_wrapper(model.b, implementation)
    loss_of(model, 0, layer).backward()
    layer = layer.removesuffix("._checkpoint_wrapped_module")
    torch.testing.assert_close(gradients(model), expected((0, layer)))


def test_the_composable_checkpoint_is_followed():
    model = Net()
    composable(model.b)
    loss_of(model, 0, "b.0").backward()
    torch.testing.assert_close([p.grad for p in model.parameters()], expected((0, "b.0")))


class Wrapper(nn.Module):
    """As DistributedDataParallel, torch.compile and FSDP hold what they wrap."""

    def __init__(self, name, inner):
        super().__init__()
        self.name = name
        self.add_module(name, inner)

    def forward(self, x):
        return getattr(self, self.name)(x)


@pytest.mark.parametrize("inner", ["_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"])
@pytest.mark.parametrize("outer", ["_fsdp_wrapped_module", "module"])
def test_names_are_found_through_wrappers_at_any_depth(outer, inner):
    model = Net()
    model.b = Wrapper(inner, model.b)
    loss_of(Wrapper(outer, Wrapper("module", model)), 0, "b.0").backward()
    torch.testing.assert_close(gradients(model), expected((0, "b.0")))
