"""MixLoss under the transforms of torch, at small and large numbers of logits, as cross-entropy is.

Each is compared with the sum of two plain criteria under the same transform.
"""

import functools

import pytest
import torch
from mixed_batches import WEIGHT, C, N, batch, label_vectors, value_and_gradient
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from dali_mix import MixLoss, MixTarget, MultiMixTarget

ALL = {"weight": WEIGHT, "label_smoothing": 0.2, "ignore_index": 3}
CRITERIA = {
    "bare": (nn.CrossEntropyLoss(reduction="sum"), batch()),
    "all": (nn.CrossEntropyLoss(reduction="sum", **ALL), batch()),
    "maps": (nn.CrossEntropyLoss(reduction="sum"), batch((2, 3))),
    "bce": (nn.BCEWithLogitsLoss(reduction="sum"), label_vectors()),
    "smooth l1": (nn.SmoothL1Loss(reduction="sum"), label_vectors()),
}
every_criterion = pytest.mark.parametrize(
    ("criterion", "mixed"), CRITERIA.values(), ids=CRITERIA.keys()
)


def parts(mixed):
    x, target = mixed
    return x, *(y.double() if y.is_floating_point() else y for y in target)


def two_criteria(criterion, x, y1, y2, lam):
    """What it should be, where lam is one for all: these criteria have reduction="sum"."""
    return lam * criterion(x, y1) + (1 - lam) * criterion(x, y2)


def per_sample(criterion, x, y1, y2, lam):
    each = zip(x.split(1), y1.split(1), y2.split(1), lam, strict=True)
    return sum(two_criteria(criterion, *sample) for sample in each)


close = functools.partial(torch.testing.assert_close, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")
@every_criterion
def test_derivatives_of_every_mode(criterion, mixed):
    x, *labels = parts(mixed)
    x = x.detach().clone()
    found = functools.partial(MixLoss(criterion), target=MixTarget(*labels))
    expected = lambda x: per_sample(criterion, x, *labels)  # noqa: E731
    found_of = lambda x: found(x)  # noqa: E731
    along = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape)
    close(grad(found_of)(x), grad(expected)(x))
    close(jvp(found_of, (x,), (along,)), jvp(expected, (x,), (along,)))
    if x.dim() == 2:
        close(hessian(found_of)(x), hessian(expected)(x))
        close(jacrev(jacrev(found_of))(x), hessian(expected)(x))
        close(jacfwd(found_of)(x), grad(expected)(x))
    close(
        torch.autograd.functional.jacobian(found_of, x, vectorize=True),
        grad(expected)(x),
    )


@every_criterion
def test_gradients_per_sample(criterion, mixed):
    x, *labels = parts(mixed)
    loss = MixLoss(criterion)
    one = lambda x, *labels: loss(x[None], *(y[None] for y in labels))  # noqa: E731
    expected = grad(lambda x: per_sample(criterion, x, *labels))(x)
    close(vmap(grad(one))(x, *labels), expected)


@every_criterion
def test_many_targets_of_one_prediction(criterion, mixed):
    x, *labels = parts(mixed)
    rolled = [torch.stack([y.roll(k, 0) for k in range(3)]) for y in labels]
    loss = MixLoss(criterion)
    found = vmap(grad(lambda x, *y: loss(x, *y)), in_dims=(None, 0, 0, 0))(x, *rolled)
    for k, of_one in enumerate(found):
        close(of_one, grad(lambda x, k=k: per_sample(criterion, x, *(y[k] for y in rolled)))(x))


def test_gradients_per_sample_of_a_model():
    layer = nn.Linear(4, C).double()
    x, target = torch.randn(N, 4, dtype=torch.float64), batch()[1]
    loss = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))
    parameters = dict(layer.named_parameters())

    def one(parameters, x, *labels):
        return loss(functional_call(layer, parameters, (x[None],)), *(y[None] for y in labels))

    found = vmap(grad(one), in_dims=(None, 0, 0, 0, 0))(parameters, x, *target)
    for i in range(N):
        layer.zero_grad()
        loss(layer(x[i : i + 1]), *(part[i : i + 1] for part in target)).backward()
        close(found["weight"][i], layer.weight.grad)


@pytest.mark.parametrize("classes", [4095, 4096, 21843])
def test_large_logits_are_nothing_apart(classes):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(256, classes, generator=g)
    y1, y2 = (torch.randint(classes, (256,), generator=g) for _ in range(2))
    target = MixTarget(y1, y2, torch.rand(256, generator=g))
    criterion = nn.CrossEntropyLoss()
    loss = MixLoss(criterion)
    found = grad(lambda x: loss(x, target))(x)
    close(found, value_and_gradient(loss, x, target)[1])
    exact = grad(
        lambda x: torch.lerp(
            *(nn.CrossEntropyLoss(reduction="none")(x, y) for y in (y2, y1)), target.lam.double()
        ).mean()
    )(x.double())
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("several", [False, True], ids=["two", "several"])
@every_criterion
def test_fake_tensors(criterion, mixed, several):
    real = parts(mixed)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # the weight of the criterion
        x, y1, y2, lam = map(mode.from_tensor, real)
        target = MixTarget(y1, y2, lam)
        if several:
            target = MultiMixTarget(torch.stack((y1, y2, y1), 1), torch.rand(N, 3))
        x.requires_grad_()
        loss = MixLoss(criterion)(x, target)
        assert loss.shape == () and loss.dtype == torch.float64
        loss.backward()
        assert x.grad.shape == x.shape


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
@every_criterion
def test_make_fx(criterion, mixed, mode):
    x, *labels = parts(mixed)
    if mode != "real" and getattr(criterion, "weight", None) is not None:
        criterion = nn.CrossEntropyLoss(ignore_index=3)  # torch's own with a weight is not traced
    loss = MixLoss(criterion)

    def step(x, *labels):
        x = x.detach().requires_grad_()
        value = loss(x, *labels)
        return value, *torch.autograd.grad(value, x)

    traced = make_fx(step, tracing_mode=mode)(x, *labels)
    close(traced(x, *labels), step(x, *labels))
    assert "_local_scalar_dense" not in traced.code
    if mode == "symbolic":
        more = [torch.cat((part, part.roll(1, 0), part[:2])) for part in (x, *labels)]
        close(traced(*more), step(*more))


@pytest.mark.parametrize("strict", [False, True])
@every_criterion
def test_export_with_a_batch_of_any_size(criterion, mixed, strict):
    x, *labels = parts(mixed)
    size = torch.export.Dim("n", min=2)
    shapes = ({0: size}, {0: size}, {0: size}, {0: size})
    exported = torch.export.export(
        MixLoss(criterion), (x, *labels), dynamic_shapes=shapes, strict=strict
    ).module()
    for k in (2, 3, N):
        some = [part[:k] for part in (x, *labels)]
        close(exported(*some), per_sample(criterion, *some))


@every_criterion
def test_it_compiles_once_for_all_batch_sizes(criterion, mixed):
    x, *labels = parts(mixed)
    loss = MixLoss(criterion)
    torch.compiler.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    for size in (5, 4, 3, 9, 2, 13, 7):
        some = [torch.cat([part] * 3)[:size] for part in (x, *labels)]
        close(value_and_gradient(compiled, *some), value_and_gradient(loss, *some))
    assert counter.frame_count <= 2  # for the first size, then for any


def test_it_compiles_with_options_that_change():
    x, target = batch()
    criterion = nn.CrossEntropyLoss()
    loss = MixLoss(criterion)
    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for smoothing in (0.0, 0.2):
        criterion.label_smoothing = smoothing
        close(compiled(x, target), loss(x, target))


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@every_criterion
def test_deterministic_algorithms(criterion, mixed, deterministic):
    x, *labels = parts(mixed)
    found = value_and_gradient(MixLoss(criterion), x, MixTarget(*labels))
    close(found, value_and_gradient(functools.partial(per_sample, criterion), x, *labels))


@pytest.mark.parametrize("setting", ["float64", "float16", "meta"])
@every_criterion
def test_defaults_of_torch_change_nothing(criterion, mixed, setting):
    x, *labels = parts(mixed)
    loss = MixLoss(criterion)
    expected = value_and_gradient(loss, x, *labels), loss(x.float(), *labels[:2], 0.3)
    try:
        if setting == "meta":
            torch.set_default_device("meta")
        else:
            torch.set_default_dtype(getattr(torch, setting))
        found = value_and_gradient(loss, x, *labels), loss(x.float(), *labels[:2], 0.3)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
