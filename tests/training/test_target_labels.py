"""One door for labels: what each kind of label is, in targets, in `dense` and in the metrics."""

import pytest
import torch
from target_kinds import HOT, IDS, LAM, MAPS, PARTNER, VECTORS, C, N, manifold, multi, pair
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from dali_mix import DominantAccuracy, MixAccuracy, MixLoss, MixTarget, MultiMixTarget
from dali_mix.training.batch_target import as_labels, known_range

UNSIGNED = [torch.uint8, torch.uint16, torch.uint32, torch.uint64]
INTEGERS = pytest.mark.parametrize(
    "dtype", [*UNSIGNED, torch.int8, torch.int16, torch.int32, torch.int64], ids=str
)
KINDS = pytest.mark.parametrize("make", [pair, multi, manifold])


@INTEGERS
@pytest.mark.parametrize("y", [IDS, IDS[:, None], MAPS, HOT.long()], ids=["N", "N1", "maps", "hot"])
def test_integers_become_int64_and_a_column_of_ids_a_row(y, dtype):
    labels = as_labels(y.to(dtype))
    assert labels.dtype == torch.int64
    assert torch.equal(labels, IDS if y.shape == (N, 1) else y.long())


@pytest.mark.parametrize("y", [HOT, HOT[:, :1], VECTORS, VECTORS[:, :1], VECTORS[:, 0].double()])
def test_other_labels_are_kept(y):
    assert as_labels(y) is y


def test_what_is_no_tensor_gets_a_sentence():
    with pytest.raises(
        TypeError, match=r"labels must be a tensor, got list\. Use torch\.as_tensor"
    ):
        as_labels([1, 2])


@KINDS
@INTEGERS
@pytest.mark.parametrize("y", [IDS, IDS[:, None], MAPS], ids=["N", "N1", "maps"])
def test_ids_of_every_type_are_one_target(make, y, dtype):
    target, expected = make(y.to(dtype)), make(y.long())
    for label, other in zip(target.labels, expected.labels, strict=True):
        assert label.dtype == torch.int64 and torch.equal(label, other)
    assert torch.equal(target.dense(C, 0.1), expected.dense(C, 0.1))
    logits = torch.randn(N, C, *target.labels[0].shape[1:])
    for metric in (MixAccuracy, DominantAccuracy):
        assert metric()(logits, target) == metric()(logits, expected)
        assert metric()(logits, y.to(dtype)) == metric()(logits, as_labels(y.long()))
    loss = MixLoss(nn.CrossEntropyLoss())
    assert loss(logits, target) == loss(logits, expected)
    assert loss(logits, y.to(dtype)) == loss(logits, y.long())


@KINDS
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64], ids=str)
def test_dense_of_multi_hot_labels_is_that_of_floats(make, dtype):
    for smoothing, threshold in ((0, None), (0.1, None), (0, 0.3), (0.1, 0.3)):
        found = make(HOT.to(dtype)).dense(C, smoothing, threshold)
        assert found.shape == (N, C) and found.dtype == torch.float32
        assert torch.equal(found, make(HOT.float()).dense(C, smoothing, threshold))
    maps = HOT[:, :, None].expand(N, C, 5)
    assert torch.equal(make(maps).dense(C), make(maps.double()).dense(C))


@KINDS
@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (HOT[:, 1:], rf"bool labels must have shape \(N, {C}, …\), got \({N}, {C - 1}\)"),
        (HOT[:, 0], rf"bool labels must have shape \(N, {C}, …\), got \({N},\)"),
        (
            HOT.long() * 3,
            rf"integers \(N, {C}\) are multi-hot labels, 0 or 1, got values from 0 to 3\. Use",
        ),
        (IDS - 1, r"class ids must lie in .* got ids from -1 to"),
    ],
)
def test_labels_without_a_dense_form_get_a_sentence(make, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(y).dense(C)


def test_rows_of_class_ids_as_long_as_there_are_classes_have_a_dense_form():
    rows = torch.arange(N * C).view(N, C) % C
    target = MixTarget(rows.unsqueeze(1), rows.flip(0).unsqueeze(1), LAM)
    by_column = [MixTarget(a, b, LAM).dense(C) for a, b in zip(rows.T, rows.flip(0).T, strict=True)]
    torch.testing.assert_close(target.dense(C)[:, :, 0], torch.stack(by_column, 2))


def thresholded(target, smoothing, threshold):
    """The 0/1 target written out: 1 where the smoothed, mixed target is larger than threshold."""
    rows = [[smoothing / C] * C for _ in range(N)]
    for y, share in zip(target.labels, target.shares, strict=True):
        for row, c, weight in zip(rows, y.tolist(), share.tolist(), strict=True):
            row[c] += weight * (1 - smoothing)
    return torch.tensor([[float(value > threshold) for value in row] for row in rows])


@KINDS
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.6])
def test_threshold_makes_targets_of_0_and_1_after_smoothing(make, smoothing, threshold):
    target = make(IDS)
    found = target.dense(C, smoothing, threshold)
    assert torch.equal(found, thresholded(target, smoothing, threshold))
    assert torch.equal(found, target.dense(C, smoothing).gt(threshold).float())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("threshold", [None, 0.0, 0.2])
def test_threshold_is_that_of_timms_loss(smoothing, threshold):
    mixup = pytest.importorskip("timm.data.mixup")
    losses = pytest.importorskip("timm.loss")
    target, logits = pair(IDS), torch.randn(N, C)
    theirs = losses.BinaryCrossEntropy(smoothing=smoothing, target_threshold=threshold)
    mixed = mixup.mixup_target  # one lam for the batch, and the batch reversed
    for lam in (0.0, 0.15, 0.7, 1.0):
        ours = MixTarget(IDS, IDS.flip(0), lam).dense(C, smoothing, threshold)
        expected = theirs(logits, mixed(IDS, C, lam, smoothing))
        torch.testing.assert_close(
            nn.functional.binary_cross_entropy_with_logits(logits, ours), expected
        )
    torch.testing.assert_close(
        nn.functional.binary_cross_entropy_with_logits(
            logits, target.dense(C, smoothing, threshold)
        ),
        theirs(logits, target.dense(C, smoothing)),
    )


@pytest.mark.parametrize("threshold", [-0.1, 1, 2.0])
def test_a_threshold_that_fits_no_target_is_refused(threshold):
    with pytest.raises(ValueError, match=rf"threshold must lie in \[0, 1\), got {threshold}"):
        pair(IDS).dense(C, threshold=threshold)


@pytest.mark.parametrize("metric", [MixAccuracy, DominantAccuracy])
@pytest.mark.parametrize("y", [HOT, HOT.long(), HOT[:, 0], VECTORS], ids=["bool", "int", "N", "p"])
def test_metrics_refuse_vectors_mixed_or_plain(metric, y):
    logits = torch.randn(N, C)
    for target in (y, pair(y), multi(y), manifold(y)):
        with pytest.raises(ValueError, match=r"labels must be class ids with the shape of the log"):
            metric()(logits, target)


@KINDS
def test_ignored_labels_of_small_types_are_ignored(make):
    y = torch.where(HOT[:, 0], 255, IDS)
    logits = torch.randn(N, C)
    expected = MixAccuracy(ignore_index=255)(logits, make(y))
    assert MixAccuracy(ignore_index=255)(logits, make(y.byte())) == expected


def build(ids, lam, weights, partner):
    """Targets whose checks would look at values."""
    mixed = MixTarget(ids, ids[partner], lam)
    rows = MultiMixTarget(torch.stack((ids, ids[partner]), 1), weights)
    dense = mixed.dense(C, 0.1, 0.2) + rows.dense(C)
    return dense.sum(1) + partner + mixed.lam


VALUES = (IDS, LAM, torch.stack((LAM, 1 - LAM), 1), PARTNER)


def compiled():
    return torch.compile(build, fullgraph=True, backend="eager")(*VALUES)


def traced():
    return make_fx(build)(*VALUES)(*VALUES)


def traced_symbolically():
    return make_fx(build, tracing_mode="symbolic")(*VALUES)(*VALUES)


def vmapped():
    return torch.func.vmap(build)(*(torch.stack((v, v)) for v in VALUES))[1]


def exported():
    class Build(nn.Module):
        def forward(self, *values):
            return build(*values)

    return torch.export.export(Build(), VALUES).module()(*VALUES)


@pytest.mark.filterwarnings("ignore")  # of torch's own tracers
@pytest.mark.parametrize(
    "run", [compiled, traced, traced_symbolically, vmapped, exported], ids=lambda f: f.__name__
)
def test_targets_are_built_where_values_cannot_be_had(run):
    torch.testing.assert_close(run(), build(*VALUES))


def test_targets_are_built_of_fake_and_meta_tensors():
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(part) for part in VALUES]
        assert build(*fake).shape == (N,)
        assert known_range(fake[1]) is None
    assert known_range(fake[1]) is None
    assert known_range(LAM.to("meta")) is None
    y = IDS.to("meta")
    assert MixTarget(y, y, LAM.to("meta")).dense(C).shape == (N, C)


def test_known_values_have_a_range():
    assert known_range(torch.tensor([3, -1, 2])) == (-1, 3)
    assert known_range(torch.zeros(0)) is None
