"""MixLoss around criteria that are not torch's: called as they are, or refused with a sentence."""

import functools

import pytest
import torch
from mixed_batches import WEIGHT, C, Focal, N, batch, label_vectors, value_and_gradient
from odd_criteria import MAKERS, REDUCE, Flat, Forwarding, Head, Margin
from torch import nn
from torch.nn import functional

from dali_mix import MixLoss, MixTarget, MultiMixTarget

every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@every_maker
def test_it_is_called_as_it_is_for_each_label(make, reduction):
    logits, target = batch(seed=6)
    criterion = make("none")
    own = target.lam.double()
    losses = [make("none")(logits.clone(), y.clone()).double() for y in target[:2]]
    expected = REDUCE[reduction](own * losses[0] + (1 - own) * losses[1])
    x, labels = logits.clone(), [y.clone() for y in target[:2]]
    found = MixLoss(criterion, reduction=reduction)(x, *labels, target.lam)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(x, logits) and all(map(torch.equal, labels, target[:2]))


@every_maker
def test_one_tensor_may_be_both_labels(make):
    logits, target = batch(seed=6)
    found = MixLoss(make("none"), reduction="mean")(logits, target.y1, target.y1, target.lam)
    plain = MixLoss(make("none"), reduction="mean")(logits.clone(), target.y1.clone())
    torch.testing.assert_close(found, plain, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(plain, make("none")(logits.clone(), target.y1.clone()).mean())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("make", [m for name, m in MAKERS.items() if name != "method"])
def test_one_that_reduces_is_refused_and_goes_on_as_it_was(make, reduction):
    logits, target = batch(seed=6)
    criterion = make(reduction)
    for given in (None, "mean"):
        with pytest.raises(TypeError, match=f"got .* with reduction=.{reduction}.: how much"):
            MixLoss(criterion, reduction=given)
    losses = make("none")(logits.clone(), target.y1.clone())
    found = criterion(logits.clone(), target.y1.clone())
    if make is MAKERS["subclass"] and reduction == "mean":
        losses = losses / WEIGHT[target.y1].mean()
    if make is not MAKERS["flat"]:
        torch.testing.assert_close(found.double(), REDUCE[reduction](losses).double())


class Frozen(nn.Module):
    """Whoever writes to it is told."""

    def __init__(self):
        super().__init__()
        self.__dict__["ready"] = True

    def __setattr__(self, name, value):
        assert "ready" not in vars(self), f"{name} was written"
        super().__setattr__(name, value)

    @property
    def reduction(self):
        return "none"

    @reduction.setter
    def reduction(self, value):
        raise AssertionError("reduction was written")

    def forward(self, x, y):
        return functional.cross_entropy(x, y, reduction="none")


def everything_in(thing):
    return {
        name: (id(held), everything_in(held) if isinstance(held, (dict, nn.Module)) else repr(held))
        for name, held in (thing if isinstance(thing, dict) else vars(thing)).items()
    }


@pytest.mark.parametrize(
    "criterion",
    [
        Frozen(),
        Flat(reduction="none"),
        Forwarding("none"),
        Focal("none"),
        nn.CrossEntropyLoss(weight=WEIGHT),
        nn.HuberLoss(),
        nn.BCEWithLogitsLoss(),
    ],
    ids=lambda criterion: type(criterion).__name__,
)
def test_the_criterion_is_never_written_to(criterion):
    before = everything_in(criterion)
    of_ids = not isinstance(criterion, (nn.HuberLoss, nn.BCEWithLogitsLoss))
    logits, target = batch() if of_ids else label_vectors()
    loss = MixLoss(criterion)
    loss(logits, target)
    loss(logits, target.y1 if of_ids else target.y1.double())
    if isinstance(criterion, nn.Module) and of_ids:
        with pytest.raises(IndexError):
            loss(logits, torch.full((N,), C), torch.full((N,), C), 0.5)
    assert everything_in(criterion) == before


class Warmup(nn.Module):
    """A temperature that grows with the calls, counted in an attribute and in a buffer."""

    reduction = "none"

    def __init__(self):
        super().__init__()
        self.calls, self.seen = 0, []
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, x, y):
        self.calls += 1
        self.count += 1
        self.seen.append(len(y))
        return functional.cross_entropy(x * min(self.calls, 10), y, reduction="none")


def test_what_a_criterion_counts_goes_on():
    logits, target = batch()
    criterion = Warmup()
    loss = MixLoss(criterion, reduction="mean")
    first, twin = loss(logits, target), Warmup()
    own = target.lam.double()
    expected = (own * twin(logits, target.y1) + (1 - own) * twin(logits, target.y2)).mean()
    torch.testing.assert_close(first, expected, rtol=1e-6, atol=1e-6)
    loss(logits, target)
    loss(logits, target.y1)
    assert criterion.calls == criterion.count == len(criterion.seen) == 5
    assert loss.state_dict()["criterion.count"] == 5


def test_gradients_reach_the_parameters_of_the_criterion():
    logits, target = batch()
    criterion = Head("none")
    MixLoss(criterion, reduction="mean")(logits, target).backward()
    found = criterion.fc.weight.grad.clone()
    criterion.zero_grad()
    own = target.lam.double()
    (
        own * criterion(logits, target.y1) + (1 - own) * criterion(logits, target.y2)
    ).mean().backward()
    torch.testing.assert_close(found, criterion.fc.weight.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_it_computes_in_the_type_of_the_plain_call(dtype):
    logits, target = batch()
    loss = MixLoss(Head("none"), reduction="mean").to(dtype)
    plain = loss(logits.to(dtype), target.y1)
    mixed = loss(logits.to(dtype), MixTarget(target.y1, target.y1, target.lam))
    assert mixed.dtype == plain.dtype == dtype
    torch.testing.assert_close(mixed, plain)


def test_several_labels():
    logits, pair = batch()
    ys = torch.stack((*pair[:2], pair.y1.roll(1)), 1)
    shares = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    found = MixLoss(Margin("none"), reduction="mean")(logits, MultiMixTarget(ys, shares))
    losses = [Margin("none")(logits.clone(), y.clone()) for y in ys.unbind(1)]
    expected = sum(s * loss.mean() for s, loss in zip(shares, losses, strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


class Total(nn.Module):
    reduction = "sum"

    def forward(self, x, y):
        return functional.mse_loss(x, y, reduction=self.reduction)


@pytest.mark.parametrize("criterion", [lambda x, y: (x - y).abs().mean(), Total()])
def test_with_blended_labels_a_criterion_may_reduce(criterion):
    x, target = label_vectors()
    own = target.lam.double()[:, None]
    blended = own * target.y1 + (1 - own) * target.y2
    found = value_and_gradient(MixLoss(criterion, mix="labels"), x, target)
    expected = value_and_gradient(criterion, x, blended)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_what_gives_one_loss_per_element_may_have_no_reduction():
    x, target = label_vectors()
    own = target.lam.double()[:, None]
    losses = own * (x - target.y1).abs() + (1 - own) * (x - target.y2).abs()
    found = MixLoss(lambda x, y: (x - y).abs(), reduction="mean")(x, target)
    torch.testing.assert_close(found, losses.mean(), rtol=1e-6, atol=1e-6)


COLUMN, FLAT = torch.rand(N, 1), torch.rand(N)
MAPS = batch((2,))


@pytest.mark.parametrize(
    ("criterion", "x", "y", "got"),
    [
        (lambda x, y: (x - y) ** 2, COLUMN, FLAT, r"shape \(5, 5\)"),
        (lambda x, y: (x - y) ** 2, FLAT, COLUMN, r"shape \(5, 5\)"),
        (lambda x, y: functional.mse_loss(x, y), FLAT, FLAT, "one number"),
        (lambda x, y: ((x - y) ** 2).mean(0, keepdim=True), COLUMN, COLUMN, r"shape \(1, 1\)"),
        (lambda x, y: (functional.mse_loss(x, y), x), FLAT, FLAT, "tuple"),
        (lambda x, y: functional.mse_loss(x, y).item(), FLAT, FLAT, "float"),
        (Flat(axis=1, reduction="none"), MAPS[0], MAPS[1].y1, r"shape \(10,\)"),
    ],
)
@pytest.mark.parametrize("mixing", ["mixed", "plain"])
def test_what_is_not_one_loss_per_sample_or_element_is_refused(criterion, x, y, got, mixing):
    arguments = (y, y, 0.3) if mixing == "mixed" else (y,)
    with pytest.raises(ValueError, match=f"must return one loss per sample or .*, got {got}. Make"):
        MixLoss(criterion, reduction="mean")(x, *arguments)


def soft_target_cross_entropy(x, target):
    return -(target * x.log_softmax(-1)).sum(-1).mean()


@pytest.mark.parametrize(
    "criterion",
    [
        soft_target_cross_entropy,
        nn.Identity(),
        nn.DataParallel(nn.CrossEntropyLoss()),
        functools.partial(soft_target_cross_entropy),
        torch.dist,
    ],
)
def test_one_that_says_nothing_of_its_reduction_is_asked(criterion):
    with pytest.raises(TypeError, match=r"reduction=None.*MixLoss\(…, reduction=.mean.\)"):
        MixLoss(criterion)
