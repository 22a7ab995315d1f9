"""MixLoss where it trains: reduced precision, torch.compile, DistributedDataParallel."""

import functools

import pytest
import torch
import torch.distributed as dist
from mixed_batches import OPTIONS, WEIGHT, C, Focal, N, batch, label_vectors, value_and_gradient
from torch import nn
from torch.nn import functional

from dali_mix.training.mix_loss import MixLoss


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_logits_give_a_float32_loss_and_their_own_gradient(dtype):
    logits, target = batch()
    half = logits.to(dtype)
    value, grad = value_and_gradient(MixLoss(nn.CrossEntropyLoss()), half, target)
    expected = value_and_gradient(MixLoss(nn.CrossEntropyLoss()), half.float(), target)
    assert value.dtype == torch.float32 and grad.dtype == dtype
    torch.testing.assert_close(value, expected[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(grad, expected[1].to(dtype))


def test_under_autocast_the_loss_is_that_of_float32():
    target = batch()[1]
    layer, x = nn.Linear(4, C), torch.randn(N, 4)
    loss = MixLoss(nn.CrossEntropyLoss(weight=WEIGHT.float(), label_smoothing=0.1))
    with torch.autocast("cpu", torch.bfloat16):
        logits = layer(x)
        value = loss(logits, target)
    value.backward()
    assert logits.dtype == torch.bfloat16 and value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), target))


@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss(), nn.MSELoss(), nn.SmoothL1Loss()])
def test_under_autocast_label_vectors_keep_lam_in_float32(criterion):
    logits, target = label_vectors()
    half = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = MixLoss(criterion)(half, target)
    torch.testing.assert_close(value, MixLoss(criterion)(half.float(), target))


COMPILED = {
    "cross-entropy": (nn.CrossEntropyLoss(**OPTIONS["all"]), batch(ignored=True)),
    "function": (functools.partial(functional.cross_entropy, label_smoothing=0.1), batch()),
    "nll": (nn.NLLLoss(), batch()),
    "bce": (nn.BCEWithLogitsLoss(), label_vectors()),
    "regression": (nn.HuberLoss(), label_vectors()),
    "another": (Focal("none"), batch()),
}


@pytest.mark.parametrize("parts", [False, True], ids=["target", "parts"])
@pytest.mark.parametrize(("criterion", "mixed"), COMPILED.values(), ids=COMPILED.keys())
def test_it_compiles_into_one_graph(criterion, mixed, parts):
    logits, target = mixed
    loss = MixLoss(criterion)
    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    arguments = tuple(target) if parts else (target,)
    torch.testing.assert_close(
        value_and_gradient(compiled, logits, *arguments),
        value_and_gradient(loss, logits, *arguments),
    )


def test_it_trains_under_distributed_data_parallel(tmp_path):
    logits, target = batch()
    model = nn.Linear(C, C).double()
    loss = MixLoss(nn.CrossEntropyLoss())
    loss(model(logits), target).backward()
    expected = model.weight.grad.clone()
    model.zero_grad()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        loss(nn.parallel.DistributedDataParallel(model)(logits), target).backward()
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(model.weight.grad, expected)
