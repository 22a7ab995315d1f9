"""Which labels MixLoss takes around losses of torch: types and shapes, mixed and plain alike."""

import pytest
import torch
from mixed_batches import C, N, batch
from torch import nn

from dali_mix import MixLoss, MixTarget

INTEGERS = [torch.uint8, torch.int8, torch.uint16, torch.int16, torch.int32, torch.uint32]


def both(loss, x, y):
    """The loss of plain labels, and of the same labels as those of a mixed batch."""
    return loss(x, y), loss(x, MixTarget(y, y, 0.3))


@pytest.mark.parametrize("dtype", [*INTEGERS, torch.int64, torch.uint64, torch.bool], ids=str)
@pytest.mark.parametrize("family", [nn.BCEWithLogitsLoss, nn.BCELoss, nn.MSELoss])
def test_multi_hot_labels_of_any_type(family, dtype):
    x = batch()[0].sigmoid()
    hot = torch.rand(N, C, generator=torch.Generator().manual_seed(4)) < 0.4
    expected = family()(x, hot.double())
    for found in both(MixLoss(family()), x, hot.to(dtype)):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [*INTEGERS, torch.int64, torch.uint64], ids=str)
@pytest.mark.parametrize("shape", [(N, 1), (N,), (N, 2, 3)], ids=str)
@pytest.mark.parametrize("family", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_class_ids_of_any_type(family, shape, dtype):
    dims = shape[1:] if len(shape) > 2 else ()
    x, target = batch(dims)
    expected = family()(x, target.y1)
    for found in both(MixLoss(family()), x, target.y1.view(shape).to(dtype)):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("labels", ["integers", "floats"])
@pytest.mark.parametrize("of_logits", [(N,), (N, 1), (N, 3), (N, 1, 3)], ids=str)
@pytest.mark.parametrize("family", [nn.MSELoss, nn.HuberLoss, nn.PoissonNLLLoss, nn.KLDivLoss])
@pytest.mark.filterwarnings("ignore:reduction")
def test_a_column_meets_labels_without_it(family, of_logits, labels):
    g = torch.Generator().manual_seed(8)
    x = torch.rand(of_logits, generator=g, dtype=torch.float64)
    y1, y2 = (torch.randint(1, 9, of_logits, generator=g).double() for _ in range(2))
    lam = torch.tensor([0.1, 0.9, 0.3, 1.0, 0.0])
    losses = [family(reduction="none")(x, y).view(N, -1) for y in (y1, y2)]
    own = lam.double()[:, None]
    expected = (own * losses[0] + (1 - own) * losses[1]).mean()
    flat = of_logits[:1] + tuple(n for n in of_logits[1:] if n != 1)
    other = flat if 1 in of_logits else (flat[0], 1, *flat[1:])
    kind = torch.int32 if labels == "integers" else torch.float64
    for shape in (of_logits, other):
        a, b = (y.view(shape).to(kind) for y in (y1, y2))
        torch.testing.assert_close(MixLoss(family())(x, a, b, lam), expected)
        torch.testing.assert_close(MixLoss(family())(x, a), family()(x, y1))


ELEMENTWISE = [
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.KLDivLoss,
    nn.PoissonNLLLoss,
    nn.SoftMarginLoss,
    nn.HingeEmbeddingLoss,
    nn.MultiLabelSoftMarginLoss,
]
WRONG = {
    "ids": torch.zeros(N, dtype=torch.long),
    "floats": torch.zeros(N),
    "row": torch.zeros(N, 2),
    "more": torch.zeros(N, C, 1),
}


@pytest.mark.parametrize("labels", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("mixing", ["mixed", "plain"])
@pytest.mark.parametrize("family", ELEMENTWISE)
def test_other_shapes_never_broadcast(family, mixing, labels):
    arguments = (MixTarget(labels, labels, 0.3),) if mixing == "mixed" else (labels,)
    with pytest.raises(ValueError, match="labels must have the shape of the predictions"):
        MixLoss(family())(torch.rand(N, C), *arguments)


def test_bce_of_class_ids_names_dense():
    logits, target = batch()
    with pytest.raises(
        ValueError, match=r"labels \(5,\)\. Class ids .* target\.dense\(num_classes"
    ):
        MixLoss(nn.BCEWithLogitsLoss())(logits, target)
    dense = target.dense(C)
    expected = nn.BCEWithLogitsLoss()(logits, dense)
    torch.testing.assert_close(MixLoss(nn.BCEWithLogitsLoss())(logits, dense), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", [nn.MSELoss, nn.HuberLoss, nn.L1Loss])
def test_integers_are_not_rounded_to_half_precision(family, dtype):
    x = torch.rand(N, 1, dtype=dtype, requires_grad=True)
    y = torch.tensor([[257], [1001], [2049], [3], [4099]])
    for found in both(MixLoss(family()), x, y):
        torch.testing.assert_close(found, family()(x.float(), y.float()))
        found.backward()
