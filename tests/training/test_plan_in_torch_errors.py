"""What a plan in PyTorch cannot follow: one sentence each."""

import pytest
import torch
from tensor_plans import in_torch, random_plan

from dali_mix.plan import Plan
from dali_mix.training import apply, apply_mask, plan_tensors, resized

X = torch.zeros(5, 3, 12, 20)
PLAN = in_torch(random_plan(), (12, 20))
FRAMES = PLAN._replace(frames=torch.tensor([[0, 1]] * 5), size=torch.tensor([[4, 12, 20]] * 5))
MISTAKES = {
    "integers": (
        lambda: apply(X.long(), PLAN),
        "apply blends, so it takes floating point tensors, got (5, 3, 12, 20) int64 cpu; use "
        "apply_mask for maps of classes, pair_labels for class ids, or tensor.float().",
    ),
    "no plan": (
        lambda: apply(X, tuple(PLAN)),
        "plan must be a dali_mix.Plan, got a tuple; MixLoader(plan=True) gives such a plan; "
        "torch.as_tensor makes tensors of arrays.",
    ),
    "arrays": (
        lambda: apply(X, random_plan()),
        "the plan must hold tensors, got a ndarray as partner; MixLoader(plan=True) gives such a "
        "plan; torch.as_tensor makes tensors of arrays.",
    ),
    "another batch": (
        lambda: apply(X[:4], PLAN),
        "partner of the plan must have 1 or 2 dimensions, the first of length 4 as the batch has, "
        "got (5,).",
    ),
    "second batch": (
        lambda: apply(X, PLAN._replace(partner=PLAN.partner + 5)),
        "partner must lie in [0, 5), the indices of 5 samples, got from 5 to 9. If partners come "
        "from a second batch, give it as others.",
    ),
    "other others": (
        lambda: apply(X, PLAN, others=X[:, :2]),
        "others must be like the tensor, (5, 3, 12, 20) float32 cpu, got (5, 2, 12, 20) float32 "
        "cpu.",
    ),
    "five dimensions": (
        lambda: apply(X[:, None], PLAN),
        "a tensor of 5 dimensions needs its layout, such as layout='FCHW', or 'CDHW' for volumes.",
    ),
    "maps or tokens": (
        lambda: apply(X[:, 0], PLAN),
        "a tensor (5, 12, 20) may hold maps or tokens; say layout='HW' or grid=(h, w).",
    ),
    "mirror": (
        lambda: apply(X, PLAN, mirror=torch.zeros(4)),
        "mirror must hold one value for each of 5 samples, got (4,) float32 cpu.",
    ),
    "layout": (
        lambda: apply(X, PLAN, layout="HW"),
        "layout must name the 3 axes of one sample, such as 'CHW', got 'HW' for (5, 3, 12, 20).",
    ),
    "half a place": (
        lambda: apply(X, PLAN, layout="CHC"),
        "layout must name both H and W, or neither, got 'CHC'.",
    ),
    "frames": (
        lambda: apply(X, FRAMES),
        "the boxes of the plan are in some frames, and a tensor (5, 3, 12, 20) of layout 'CHW' has "
        "none; name them, as layout='FCHW' does.",
    ),
    "grid": (
        lambda: apply(X[..., 0], PLAN, grid=(2, 2)),
        "grid must be (h, w) or (t, h, w) with at most L tokens in all, for a tensor (N, L, …), "
        "got (2, 2) and (5, 3, 12).",
    ),
    "grid and layout": (
        lambda: apply(X[..., 0], PLAN, grid=(1, 2), layout="HW"),
        "layout cannot be combined with grid: tokens are (N, L, …).",
    ),
    "other sizes": (
        lambda: apply(X, PLAN._replace(offset=torch.full((5, 1, 2), 13))),
        "the plan must take partners of the size of the output, as all samples of a tensor are, "
        "got an offset beyond that size; mix such images in the pipeline.",
    ),
    "no lam": (
        lambda: apply(X[..., 0, 0], PLAN._replace(lam=None)),
        "values without a place are mixed by lam, and the plan has none.",
    ),
    "labels as maps": (
        lambda: apply_mask(torch.arange(5), PLAN),
        "maps must have a height and a width, got (5,) int64 cpu; labels without a place are "
        "paired, by pair_labels.",
    ),
    "count": (
        lambda: apply_mask(X, PLAN, count=3),
        "count must be a whole number from 1 to 2, got 3.",
    ),
    "size": (
        lambda: resized(PLAN, (0, 4)),
        "size must be a height and a width above 0, got 0 x 4.",
    ),
    "no size": (
        lambda: resized(PLAN._replace(size=None), (3, 4)),
        "a plan without size cannot be resized; give it the size that it is for.",
    ),
    "elsewhere": (
        lambda: apply(X, Plan(*(None if c is None else c.to("meta") for c in PLAN))),
        "the plan must be on the device of the tensor, cpu, or on the CPU, got partner on meta; "
        "move the tensor there.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_followed_is_refused_in_a_sentence(name):
    call, sentence = MISTAKES[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == sentence


def test_a_column_that_is_not_known_is_refused(monkeypatch):
    """As those of plans for images of any sizes are."""
    monkeypatch.delitem(plan_tensors._DIMENSIONS, "offset")
    with pytest.raises(ValueError, match="the plan has offset, which tensors cannot follow, as"):
        apply(X, PLAN._replace(offset=torch.zeros(5, 1, 2)))
    assert apply(X, PLAN).shape == X.shape
