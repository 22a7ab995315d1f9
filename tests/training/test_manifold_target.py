"""ManifoldTarget: what it promises about its parts, who carries it, and how a pipeline emits it."""

import pickle

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn
from torch.utils.data import DataLoader

import dali_mix
import dali_mix.fn as dmix
from dali_mix import ManifoldTarget, MixLoss, MixTarget, manifold_mixup


def ids_target():
    return ManifoldTarget(
        torch.tensor([[0], [2], [1]], dtype=torch.int32),
        torch.tensor([[2], [1], [0]], dtype=torch.int32),
        torch.tensor([[0.25], [0.75], [1.0]]),
        torch.tensor([[1], [2], [0]], dtype=torch.int32),
    )


def test_its_parts_are_what_the_loss_and_the_index_want():
    target = ids_target()
    assert target._fields == ("y1", "y2", "lam", "partner")
    assert [part.dtype for part in target] == [*[torch.int64] * 2, torch.float32, torch.int64]
    assert {part.shape for part in target} == {(3,)} and target.batch_size == 3
    assert target.partner.tolist() == [1, 2, 0]
    assert repr(target) == (
        "ManifoldTarget(y1=(3,) int64 cpu, y2=(3,) int64 cpu, lam=(3,) float32 cpu, partner=(3,))"
    )


def test_the_loss_takes_it_as_its_mix_target():
    target, logits = ids_target(), torch.randn(3, 4)
    loss = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))
    assert type(target.mix) is MixTarget
    torch.testing.assert_close(loss(logits, target), loss(logits, MixTarget(*target[:3])))
    assert torch.compile(loss, fullgraph=True, backend="eager")(logits, target).isfinite()


def test_it_travels():
    target = ids_target()
    moved = target.to("cpu", non_blocking=True).to("meta")
    assert type(moved) is ManifoldTarget and {part.device.type for part in moved} == {"meta"}
    (loaded,) = DataLoader([target], batch_size=None)
    for copy in (loaded, pickle.loads(pickle.dumps(target))):
        assert type(copy) is ManifoldTarget
        assert all(torch.equal(a, b) for a, b in zip(copy, target, strict=True))
    assert ManifoldTarget(*"abcd") == ("a", "b", "c", "d")  # as frameworks map over it


@pytest.mark.parametrize(
    ("partner", "error", "match"),
    [
        ([1, 2, 0], TypeError, "partner must be a tensor, got list"),
        (torch.tensor([1.0, 2.0, 0.0]), TypeError, "partner must hold integers, got torch.float32"),
        (torch.tensor([1, 0]), ValueError, r"partner must have shape \(3,\), .* got \(2,\)"),
        (torch.tensor([1, 3, 0]), ValueError, r"must lie in \[0, 3\), got indices from 0 to 3; if"),
        (torch.tensor([1, -1, 0]), ValueError, r"must lie in \[0, 3\), got indices from -1 to 1"),
        (torch.tensor([1, 2, 0], device="meta"), ValueError, "device of the labels, cpu, got meta"),
    ],
)
def test_partners_that_do_not_fit_are_refused(partner, error, match):
    y = torch.arange(3)
    with pytest.raises(error, match=match):
        ManifoldTarget(y, y, 0.5, partner)


def test_labels_that_do_not_fit_are_refused_as_by_mix_target():
    y = torch.arange(3)
    with pytest.raises(ValueError, match="y1 and y2 must have one shape"):
        ManifoldTarget(y, y[:2], 0.5, y)


def test_a_pipeline_emits_it_with_pixels_that_are_not_mixed():
    """Each image is one value, its label; the model hands it on, so that partners show."""
    size = 6

    @pipeline_def(batch_size=size, num_threads=1, device_id=None, seed=3)
    def pipeline():
        images, labels = fn.external_source(
            lambda i: (
                [np.full((2, 3, 1), 10 * k + i, np.uint8) for k in range(size)],
                [np.array([10 * k + i], np.int32) for k in range(size)],
            ),
            num_outputs=2,
            layout=["HWC", ""],
        )
        plan = dmix.plan(images, methods=dali_mix.MixUp(alpha=2.0, fold=False))
        x = fn.crop_mirror_normalize(images, dtype=types.FLOAT)
        y2 = fn.permute_batch(labels, indices=plan.partner)
        return x, labels, y2, plan.lam, plan.partner

    running, model = pipeline(), nn.Sequential(nn.Identity())
    for _ in range(3):
        x, *parts = (torch.as_tensor(np.array(out.as_tensor())) for out in running.run())
        target = ManifoldTarget(*parts)
        assert torch.equal(x[:, 0, 0, 0].long(), target.y1)
        assert torch.equal(target.y2, target.y1[target.partner])
        assert not torch.equal(target.y2, target.y1)
        with manifold_mixup(model, layers=["0"], target=target):
            h = model(x)[:, 0, 1, 2]
        expected = target.lam * target.y1 + (1 - target.lam) * target.y2
        torch.testing.assert_close(h, expected)
