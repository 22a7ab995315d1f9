"""What manifold_mixup refuses, and that it leaves the model as it was."""

import pytest
import torch
from manifold_models import N, dense, hooks, make_target
from torch import nn

from dali_mix import manifold_mixup


class Attention(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        return {"tuple": (x, x), "dict": {"x": x}}[self.kind]


class Picky(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        self.inner(x)
        return x


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_an_output_that_is_no_tensor_is_refused_with_the_name_of_the_layer(kind):
    model = Picky(Attention(kind))
    with (
        pytest.raises(TypeError, match=f"layer 'inner' must return one tensor .* returns a {kind}"),
        manifold_mixup(model, layers=["inner"], target=make_target()),
    ):
        model(torch.randn(N, 4))


@pytest.mark.parametrize(
    ("h", "error", "match"),
    [
        (torch.randn(7, N), ValueError, r"must have the batch of the target, 5, .* got \(7, 5\)"),
        (torch.tensor(1.0), ValueError, r"must have the batch of the target, 5, .* got \(\)"),
        (torch.ones(N, 2).long(), TypeError, "must be floating point to be mixed, got torch.int64"),
        (torch.ones(N, 2, device="meta"), ValueError, "on the device of layer 'inner', meta, got"),
    ],
    ids=["time first", "no batch", "ids", "device"],
)
def test_an_output_that_does_not_fit_is_refused(h, error, match):
    model = Picky(nn.Identity())
    with (
        pytest.raises(error, match=match),
        manifold_mixup(model, layers=["inner"], target=make_target()),
    ):
        model(h)


@pytest.mark.parametrize("inputs", [(), (torch.ones(N), torch.ones(N)), (torch.ones(N).long(),)])
def test_an_input_that_is_not_one_floating_point_tensor_is_refused(inputs):
    class Free(nn.Module):
        def forward(self, *inputs):
            return inputs

    model = Free()
    with (
        pytest.raises(TypeError, match="include_input needs a model that takes one floating point"),
        manifold_mixup(model, include_input=True, target=make_target()),
    ):
        model(*inputs)


@pytest.mark.parametrize(
    ("layers", "error", "match"),
    [
        ("first", TypeError, "layers must be a list of modules or names, got 'first'"),
        (nn.Sequential(), TypeError, "layers must be a list of modules or names, got Sequential"),
        ([], ValueError, "layers must name at least one layer"),
        (["frist"], ValueError, "got 'frist'; .* such as 'first'"),
        ([""], ValueError, "layers must name modules of the model, got ''"),
        ([nn.Linear(1, 1)], ValueError, "got a Linear that is none"),
        ([1], TypeError, "layers must hold modules or their names, got 1"),
        (["first", "first"], ValueError, "layers must differ, got 'first' twice"),
        (["blocks"], ValueError, "layer 'blocks', a ModuleList, never runs itself"),
    ],
)
def test_layers_that_do_not_fit_are_refused_before_the_block(layers, error, match):
    model = dense()
    model.blocks = nn.ModuleList([nn.Identity()])
    with pytest.raises(error, match=match):
        manifold_mixup(model, layers=layers, target=make_target())
    assert not hooks(model)


def test_a_target_without_partners_is_refused_in_training():
    with pytest.raises(TypeError, match="must be a ManifoldTarget, got MixTarget"):
        manifold_mixup(dense(), layers=["first"], target=make_target().mix)
