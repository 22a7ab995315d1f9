"""manifold_mixup: which activations are mixed, with what, and what is refused."""

import pytest
import torch
import torch.distributed as dist
from manifold_models import (
    LAM,
    MODELS,
    PARTNER,
    N,
    by_hand,
    dense,
    hooks,
    make_target,
    mixed,
)
from torch import nn
from torch.utils.checkpoint import checkpoint

from dali_mix import manifold_mixup


@pytest.mark.parametrize("layer", ["first", "second", "third"])
@pytest.mark.parametrize(("make", "data"), MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("as_module", [False, True], ids=["name", "module"])
def test_the_output_of_the_layer_is_mixed_and_no_other(make, data, layer, as_module):
    torch.manual_seed(0)
    model, x, target = make(), data(), make_target()
    given = getattr(model, layer) if as_module else layer
    with manifold_mixup(model, layers=[given], target=target) as drawn:
        out = model(x)
    assert drawn == layer
    torch.testing.assert_close(out, by_hand(model, x, target, layer))


def test_a_nested_layer_goes_by_its_dotted_name():
    torch.manual_seed(0)
    model, x, target = dense(), torch.randn(N, 4), make_target()
    with manifold_mixup(model, layers=["second.0"], target=target) as drawn:
        out = model(x)
    assert drawn == "second.0"
    hidden = mixed(torch.tanh(model.first(x)), target).float()
    torch.testing.assert_close(out, model.third(model.second[1](hidden)))


@pytest.mark.parametrize("keyword", [False, True])
def test_the_input_counts_as_a_layer_when_asked(keyword):
    torch.manual_seed(0)
    model, x, target = dense(), torch.randn(N, 4), make_target()
    before = x.clone()
    with manifold_mixup(model, include_input=True, target=target) as drawn:
        out = model(x=x) if keyword else model(x)
    assert drawn == "input"
    torch.testing.assert_close(out, model(mixed(x, target).float()))
    assert torch.equal(x, before)


def test_layers_are_drawn_alike_often_and_again_with_the_same_generator():
    model, x, target = dense(), torch.randn(N, 4), make_target()

    def draws(seed):
        generator = torch.Generator().manual_seed(seed)
        drawn = []
        for _ in range(300):
            context = manifold_mixup(
                model,
                layers=["first", "second"],
                include_input=True,
                target=target,
                generator=generator,
            )
            with context as layer:
                model(x)
            drawn.append(layer)
        return drawn

    state = torch.get_rng_state()
    drawn = draws(1)
    assert torch.equal(state, torch.get_rng_state())  # a generator of its own
    assert drawn == draws(1) != draws(2)
    # 100 expected each; a fair draw leaves [67, 133] with a probability below 1e-4.
    assert all(67 <= drawn.count(layer) <= 133 for layer in ("first", "second", "input"))


def test_without_a_generator_the_draw_is_torchs():
    model, x, target = dense(), torch.randn(N, 4), make_target()

    def draws():
        torch.manual_seed(7)
        for _ in range(20):
            with manifold_mixup(model, layers=["first", "second"], target=target) as layer:
                model(x)
            yield layer

    assert (once := list(draws())) == list(draws())
    assert {*once} == {"first", "second"}


def test_gradients_flow_to_both_samples():
    model, target = nn.Sequential(nn.Identity()), make_target()
    x = torch.randn(N, 2, requires_grad=True)
    weight = torch.randn(N, 2)
    with manifold_mixup(model, layers=["0"], target=target):
        (model(x) * weight).sum().backward()
    expected = torch.zeros(N, 2)
    for own, other in enumerate(PARTNER.tolist()):
        expected[own] += LAM[own] * weight[own]
        expected[other] += (1 - LAM[own]) * weight[own]
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_stays_and_lam_keeps_its_precision(dtype):
    model, target = nn.Sequential(nn.Identity()), make_target(lam=torch.full((N,), 0.3333))
    h = (torch.randn(N, 7, dtype=torch.float64) * 100).to(dtype)
    with manifold_mixup(model, layers=["0"], target=target):
        out = model(h)
    assert out.dtype == dtype
    torch.testing.assert_close(out, mixed(h, target).to(dtype))


def test_a_sample_with_lam_1_stays_to_the_bit_and_lam_0_is_the_partner():
    model, target = nn.Sequential(nn.Identity()), make_target()
    h = torch.randn(N, 3)
    with manifold_mixup(model, layers=["0"], target=target):
        out = model(h)
    assert torch.equal(out[2], h[2]) and torch.equal(out[3], h[PARTNER[3]])


def test_under_autocast_the_activation_stays_in_half_precision():
    torch.manual_seed(0)
    model, x, target = dense(), torch.randn(N, 4), make_target()
    with torch.autocast("cpu", torch.bfloat16):
        with manifold_mixup(model, layers=["first"], target=target):
            out = model(x)
        expected = by_hand(model, x, target, "first")
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected)


def test_channels_last_stays():
    model = nn.Sequential(nn.Identity())
    h = torch.randn(N, 3, 4, 6).to(memory_format=torch.channels_last)
    with manifold_mixup(model, layers=["0"], target=make_target()):
        out = model(h)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("include_input", [False, True])
def test_the_hook_is_gone_afterwards_also_after_an_exception(include_input):
    model, x, target = dense(), torch.randn(N, 4), make_target()
    layers = [] if include_input else ["second"]
    arguments = {"layers": layers, "include_input": include_input, "target": target}
    plain = model(x)
    with manifold_mixup(model, **arguments):
        assert hooks(model)
        model(x)
    assert not hooks(model)
    with pytest.raises(ZeroDivisionError), manifold_mixup(model, **arguments):
        raise ZeroDivisionError
    assert not hooks(model) and torch.equal(model(x), plain)


def test_a_layer_that_does_not_run_is_an_error_after_which_the_hook_is_gone():
    model = dense()
    with (
        pytest.raises(RuntimeError, match="layer 'second' did not run inside manifold_mixup"),
        manifold_mixup(model, layers=["second"], target=make_target()),
    ):
        model.first(torch.randn(N, 4))
    assert not hooks(model)


def test_an_exception_of_the_users_is_not_replaced():
    with (
        pytest.raises(KeyError, match="mine"),
        manifold_mixup(dense(), layers=["second"], target=make_target()),
    ):
        raise KeyError("mine")


def test_a_layer_that_runs_twice_is_an_error():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu)
    with (
        pytest.raises(RuntimeError, match="layer '1' runs more than once"),
        manifold_mixup(model, layers=[relu], target=make_target()),
    ):
        model(torch.randn(N, 4))


@pytest.mark.parametrize("reentrant", [False, True])
def test_with_activation_checkpointing_the_layer_is_mixed_anew_in_the_backward_pass(reentrant):
    torch.manual_seed(0)
    model, target = dense(), make_target()
    x = torch.randn(N, 4, requires_grad=True)
    by_hand(model, x, target, "second").square().sum().backward()
    expected = [p.grad.clone() for p in (x, *model.parameters())]
    x.grad = None
    model.zero_grad()
    with manifold_mixup(model, layers=["second"], target=target):
        checkpoint(model, x, use_reentrant=reentrant).square().sum().backward()
    torch.testing.assert_close([p.grad for p in (x, *model.parameters())], expected)


def test_in_eval_mode_a_plain_target_passes_and_nothing_is_mixed():
    model, x = dense().eval(), torch.randn(N, 4)
    with manifold_mixup(model, layers=["first"], target=torch.arange(N)) as drawn:
        out = model(x)
    assert drawn is None and torch.equal(out, model(x))


def test_in_eval_mode_a_mixed_target_is_an_error_unless_asked():
    torch.manual_seed(0)
    model, x, target = dense().eval(), torch.randn(N, 4), make_target()
    with pytest.raises(ValueError, match="in eval mode is not mixed"):
        manifold_mixup(model, layers=["first"], target=target)
    with manifold_mixup(model, layers=["first"], target=target, in_eval=True):
        out = model(x)
    torch.testing.assert_close(out, by_hand(model, x, target, "first"))


@pytest.mark.parametrize("layer", ["first", "module.first", "input"])
def test_it_trains_under_distributed_data_parallel(tmp_path, layer):
    torch.manual_seed(0)
    model, x, target = dense(), torch.randn(N, 4), make_target()
    start = mixed(x, target).float() if layer == "input" else x
    by_hand(model, start, target, layer.removeprefix("module.")).square().sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(model)
        layers = {"include_input": True} if layer == "input" else {"layers": [layer]}
        with manifold_mixup(parallel, **layers, target=target):
            out = parallel(x)
        out.square().sum().backward()
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close([p.grad for p in model.parameters()], expected)
