"""A plan in PyTorch mixes tensors as the pipeline mixes images: to the bit, and at any size."""

import itertools

import numpy as np
import pytest
import torch
from helpers import arrays, build, feed, stacked
from painted import NAMES, every_method
from random_batches import Seeded, random_batch
from tensor_plans import in_torch, random_plan

import dali_mix
import dali_mix.fn as dmix
from dali_mix import reference
from dali_mix.plan import Plan
from dali_mix.training import apply, apply_mask, pair_labels

PLAIN = {
    "others": False,
    "offset": False,
    "fit": False,
    "mask": False,
    "blends_inside": False,
    "crop": False,
    "mirror": False,
    "in_type": np.float32,
    "dtype": np.float32,
    "pad_output": False,
    "frames": None,
}
KINDS = {
    "pair": {"images": 2, "boxes": 1},
    "boxes": {"images": 2, "boxes": 8},
    "flipped": {"images": 2, "mirror": True},
    "others": {"images": 2, "others": True, "mirror": True},
    "three": {"images": 3},
    "eight of two inputs": {"images": 8, "others": True},
    "parts": {"images": 4, "offset": True},
    "parts of a pair": {"images": 2, "boxes": 3, "offset": True},
    "blend in boxes": {"images": 2, "boxes": 3, "blends_inside": True},
    "blend with a part": {"images": 2, "boxes": 1, "blends_inside": True, "offset": True},
    "mask": {"images": 2, "boxes": 1, "mask": True},
    "mask and boxes": {"images": 2, "boxes": 3, "mask": True},
    "mask of four": {"images": 4, "mask": True},
    "frames": {"images": 2, "frames": 3},
    "everything": {"images": 4, "others": True, "mask": True, "frames": 3, "mirror": True},
}
SIZES = [(1, 1), (7, 31), (5, 32), (11, 97)]


def tensor(batch):
    return torch.from_numpy(np.stack(batch))


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_operator_to_the_bit(kind, count, layout):
    for seed, size in enumerate(SIZES):
        fixed = PLAIN | KINDS[kind] | {"count": count, "size": size}
        layout_in = layout if fixed["frames"] is None else "F" + layout
        fixed |= {"layout": layout_in, "output_layout": layout}
        batch = random_batch(Seeded(10 * seed + count), **fixed).but(normalization={})
        x = tensor(batch.images)
        others = batch.others and tensor(batch.others)
        mirror = torch.tensor([int(window["mirror"]) for window in batch.windows])
        mixed = apply(x, in_torch(batch.plan, size), others=others, mirror=mirror, layout=layout_in)
        assert mixed.dtype == x.dtype and mixed.shape == x.shape
        np.testing.assert_array_equal(mixed.numpy(), np.stack(batch.run()))


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_copied_as_by_the_definition(kind):
    for seed, size in enumerate(SIZES):
        fixed = PLAIN | KINDS[kind] | {"count": 5, "size": size}
        layout = "HW" if fixed["frames"] is None else "FHW"
        batch = random_batch(Seeded(seed), **fixed, layout="HWC", output_layout="HWC", channels=1)
        shape = (5, *size) if layout == "HW" else (5, 3, *size)
        chance = np.random.default_rng(seed)
        maps, others = (chance.integers(-5, 2**40, shape) for _ in range(2))
        others = others if batch.others else None
        mirror = torch.tensor([int(window["mirror"]) for window in batch.windows])
        found = apply_mask(
            torch.from_numpy(maps),
            in_torch(batch.plan, size),
            others=None if others is None else torch.from_numpy(others),
            mirror=mirror,
            layout=layout,
        )
        assert len(found) == 2
        for k, one in enumerate(found):
            expected = reference.apply(
                list(maps),
                batch.plan,
                others=None if others is None else list(others),
                copied=k,
                input_layout=layout,
                output_layout=layout,
                windows=batch.windows,
            )
            np.testing.assert_array_equal(one.numpy(), np.stack(expected))


# drawn plans


def drawn(method, size, to, count=5, seed=7, **given):
    """Of one run: the plan in torch; and images of `to` with their mixes by the resized plan."""
    chance = np.random.default_rng(seed)
    images = [chance.normal(0, 3, (2, *to)).astype(np.float32) for _ in range(count)]
    maps = [chance.integers(0, 9, to).astype(np.int32) for _ in range(count)]
    names = []

    def graph():
        plan = dmix.plan(
            feed([np.zeros((count, *size, 1), np.uint8)], "HWC"), None, method, **given
        )
        names[:] = [n for n, column in plan._asdict().items() if column is not None]
        small = plan.resized(*to)
        x = dmix.apply(feed([images], "CHW"), small)
        seen = dmix.apply_mask(feed([maps], "HW"), small)
        return [x, *seen, small.lam, *plan.columns]

    x, y1, y2, lam, *columns = build(graph, batch_size=count, seed=seed).run()
    plan = Plan(**dict.fromkeys(Plan._fields) | dict(zip(names, map(arrays, columns), strict=True)))
    mixed = tuple(stacked(part) for part in (x, y1, y2, lam))
    return in_torch(plan, size), (tensor(images), tensor(maps)), mixed


TOGETHER = "all that go together"
VIEWS = [((32, 48), (32, 48)), ((32, 48), (7, 11)), ((48, 32), (97, 53))]


def method_of(name, size):
    every = every_method(size)
    if name == TOGETHER:
        return [m for n, m in every.items() if n not in ("uniform", "boxes")]
    return every[name]


@pytest.mark.parametrize(("size", "to"), VIEWS, ids=str)
@pytest.mark.parametrize("name", [*NAMES, TOGETHER])
def test_every_method_at_the_resolution_of_the_tensor(name, size, to):
    for seed, count in enumerate((5, 1)):
        plan, (x, maps), (mixed, *seen, lam) = drawn(
            method_of(name, size), size, to, count, seed, prob=0.9
        )
        got = apply(x, plan).numpy()
        if plan.fit is None:
            np.testing.assert_array_equal(got, mixed)
        else:
            np.testing.assert_allclose(got, mixed, rtol=0, atol=5e-4)  # values up to about 12
        for one, other in zip(apply_mask(maps, plan), seen, strict=True):
            # DALI rounds its way to the nearest pixel, which matters where two are equally near.
            right = (one.numpy() == other).mean()
            assert right == 1 or (plan.fit is not None and right > 0.97)
        small = plan.resized(*to)
        assert type(small) is Plan and small.lam.shape == plan.lam.shape
        np.testing.assert_allclose(small.lam.numpy(), lam, atol=1e-7)
        np.testing.assert_array_equal(apply(x, small).numpy(), got)


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        ("frames", (7, 31)),
        ("three", (7, 31)),
        ("mask and boxes", (12, 20)),  # `dense` is exact for this size alone
    ],
)
def test_lam_is_counted_as_by_the_definition(kind, to):
    for seed in range(3):
        fixed = PLAIN | KINDS[kind] | {"count": 3, "size": (12, 20)}
        layout = "CHW" if fixed["frames"] is None else "FCHW"
        plan = random_batch(Seeded(seed), **fixed, layout=layout, output_layout="CHW").plan
        size = np.int32([[12, 20] if layout == "CHW" else [3, 12, 20]] * 3)
        lam = np.zeros((3, fixed["images"]) if fixed["images"] > 2 else 3, np.float32)
        columns = {
            n: c if n == "mask" else np.stack(c) for n, c in plan._asdict().items() if c is not None
        }
        plan = plan._replace(**columns | {"size": size, "lam": lam})
        expected = reference.resized(plan, to)
        small = in_torch(plan, (12, 20)).resized(*to)
        np.testing.assert_allclose(small.lam.numpy(), expected.lam, atol=1e-7)
        for name in ("box", "size"):
            np.testing.assert_array_equal(getattr(small, name), getattr(expected, name))


def _twice(own, second):
    """The plan of two batches in one, of which the first takes its partners from the second."""
    parts = zip(second, own, strict=True)
    return Plan(*(None if a is None else torch.cat([a, b]) for a, b in parts))


def test_tokens_are_a_map_row_by_row_and_those_in_front_mix_by_lam():
    plan = in_torch(random_plan(), (12, 20))
    tokens = torch.randn(5, 2 + 3 * 5, 4)
    mixed = apply(tokens, plan, grid=(3, 5))
    as_map = tokens[:, 2:].reshape(5, 3, 5, 4)
    torch.testing.assert_close(
        mixed[:, 2:].reshape(5, 3, 5, 4), apply(as_map, plan, layout="HWC"), rtol=0, atol=0
    )
    lam, partner = plan.lam[:, None, None], plan.partner.long()
    front = lam * tokens[:, :2] + (1 - lam) * tokens[partner, :2]
    torch.testing.assert_close(mixed[:, :2], front)
    ids = torch.arange(5 * 15).reshape(5, 15)
    others = torch.randn(5, 17, 4)
    second = plan._replace(partner=plan.partner + 5)
    moved = apply(tokens, second, others=others, grid=(3, 5))
    both = apply(torch.cat([tokens, others]), _twice(plan, second), grid=(3, 5))
    torch.testing.assert_close(moved, both[:5], rtol=0, atol=0)
    (own, _) = apply_mask(ids, plan, grid=(3, 5))
    torch.testing.assert_close(own.view(5, 3, 5), apply_mask(ids.view(5, 3, 5), plan)[0])


@pytest.mark.parametrize("shape", [(5,), (5, 7)])
def test_values_without_a_place_mix_by_lam(shape):
    plan = in_torch(random_plan(), (12, 20))
    x = torch.randn(shape, dtype=torch.float64)
    lam = plan.lam.double().view(-1, *(1,) * (len(shape) - 1))
    expected = lam * x + (1 - lam) * x[plan.partner.long()]
    for given in (plan, plan._replace(lam=plan.lam[:, None], partner=plan.partner[:, None])):
        torch.testing.assert_close(apply(x, given), expected, atol=1e-7, rtol=0)


def test_k_labels_are_paired_and_blended():
    plan, _, _ = drawn(dali_mix.MultiMix(images=4), (32, 48), (32, 48))
    ids = torch.tensor([3, 1, 4, 1, 5])
    ys = torch.stack(pair_labels(ids, plan), 1)
    index = torch.cat([torch.arange(5)[:, None], plan.partner.long()], 1)
    assert torch.equal(ys, ids[index])
    target = dali_mix.MultiMixTarget(ys, plan.lam)
    one_hot = torch.nn.functional.one_hot(ids, 6).float()
    torch.testing.assert_close(apply(one_hot, plan), target.dense(6))
    others = ids + 10
    shifted = plan._replace(partner=plan.partner + 5)
    assert torch.equal(
        torch.stack(pair_labels(ids, shifted, second=others), 1)[:, 1:], ys[:, 1:] + 10
    )


@pytest.mark.parametrize(
    "kind", ["flipped", "others", "three", "parts", "mask and boxes", "frames"]
)
def test_gradients_are_those_of_the_weights(kind):
    fixed = PLAIN | KINDS[kind] | {"count": 3, "size": (4, 5), "channels": 2}
    frames = fixed["frames"] is not None
    layout = "FCHW" if frames else "CHW"
    batch = random_batch(Seeded(3), **fixed, layout=layout, output_layout="CHW")
    plan = in_torch(batch.plan, (4, 5))
    mirror = torch.tensor([int(window["mirror"]) for window in batch.windows])
    parts = [tensor(batch.images).double().requires_grad_()]
    if batch.others:
        parts.append(tensor(batch.others).double().requires_grad_())

    def mixed(x, others=None):
        return apply(x, plan, others=others, mirror=mirror, layout=layout)

    assert torch.autograd.gradcheck(mixed, parts)
    assert torch.autograd.gradgradcheck(mixed, parts)


def test_gradients_go_through_a_fitted_partner():
    plan, (x, _), _ = drawn(dali_mix.ResizeMix((0.4, 0.8)), (32, 48), (9, 7), count=3)
    assert torch.autograd.gradcheck(lambda x: apply(x, plan), x.double().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    plan = in_torch(random_plan(), (12, 20))
    x = torch.randn(5, 3, 12, 20).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = apply(x, plan)
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed, apply(x.float(), plan).to(dtype), rtol=0, atol=0)


def test_a_nan_that_does_not_show_has_no_effect():
    x = torch.randn(2, 1, 3, 4)
    x[1] = torch.nan
    plan = Plan(*map(torch.tensor, ([1, 1], [1.0, 1.0], [[0, 0, 1, 2], [0] * 4], [0.5, 1.0])), None)
    mixed = apply(x, plan)
    shown = torch.zeros(3, 4, dtype=torch.bool)
    shown[:1, :2] = True
    assert torch.equal(mixed[0, 0].isnan(), shown) and mixed[1].isnan().all()
    x = x.clone().requires_grad_()
    apply(x, plan)[0, 0][~shown].sum().backward()
    assert torch.equal(x.grad[0, 0], (~shown).float()) and (x.grad[1] == 0).all()


def test_nothing_waits_and_no_value_is_read():
    """On the device `meta` there are no values; each way to wait for one is an error there."""
    for name in NAMES:
        plan, (x, maps), _ = drawn(every_method((32, 48))[name], (32, 48), (7, 11))
        away = Plan(*(None if c is None else c.to("meta") for c in plan))
        assert apply(x.to("meta"), away).shape == x.shape
        assert apply(x.to("meta").flatten(2).mT, away, grid=(7, 11)).shape == (5, 77, 2)
        assert apply_mask(maps.to("meta"), away)[0].shape == maps.shape
        assert away.resized(7, 11).box.shape == plan.box.shape


def test_it_compiles_whole():
    plan, (x, maps), _ = drawn(dali_mix.FMix(), (32, 48), (7, 11))
    for function, values in ((apply, x), (apply_mask, maps)):
        compiled = torch.compile(function, fullgraph=True, backend="eager")
        for one, other in zip(compiled(values, plan), function(values, plan), strict=True):
            assert torch.equal(one, other)


def test_empty_batches_and_plans_that_mix_nothing():
    plan = in_torch(random_plan(3), (12, 20))
    empty = Plan(*(None if c is None else c[:0] for c in plan))
    assert apply(torch.zeros(0, 3, 4, 5), empty).shape == (0, 3, 4, 5)
    x = torch.randn(3, 2, 4, 5)
    assert torch.equal(apply(x, Plan(*[None] * 5)), x)
    (own,) = pair_labels(x, Plan(*[None] * 5))
    assert own is x


def test_pixels_of_a_pair_by_hand():
    """A loop over single pixels, at another size: 4 x 5 for a plan of 8 x 10."""
    x = torch.arange(2 * 4 * 5, dtype=torch.float32).view(2, 4, 5)
    box = torch.tensor([[1, 2, 7, 9], [0, 0, 8, 1]])
    plan = Plan(
        torch.tensor([1, 0]),
        torch.tensor([0.25, 1.0]),
        box,
        torch.ones(2),
        torch.tensor([[8, 10]] * 2),
    )
    mixed = apply(x, plan, layout="HW")
    # Halves go away from zero: 1 to 0.5 to 1, 7 to 3.5 to 4, 9 to 4.5 to 5, 1 to 0.5 to 1.
    small = [(1, 1, 4, 5), (0, 0, 4, 1)]
    for i, r, c in itertools.product(range(2), range(4), range(5)):
        y0, x0, y1, x1 = small[i]
        w = 0.0 if y0 <= r < y1 and x0 <= c < x1 else plan.blend[i].item()
        assert mixed[i, r, c] == w * x[i, r, c] + (1 - w) * x[1 - i, r, c]


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_gives_the_same_and_is_not_waited_for(name):
    plan, (x, maps), _ = drawn(every_method((32, 48))[name], (32, 48), (7, 11))
    there = Plan(*(None if c is None else c.cuda() for c in plan))
    x_there, maps_there = x.cuda().requires_grad_(), maps.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        mixed, found = apply(x_there, there), apply_mask(maps_there, there)
        paired, small = pair_labels(maps_there, there), there.resized(3, 4)
        mixed.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(mixed.detach().cpu(), apply(x, plan), rtol=0, atol=5e-6)
    expected = *apply_mask(maps, plan), *pair_labels(maps, plan)
    for one, other in zip((*found, *paired), expected, strict=True):
        assert torch.equal(one.cpu(), other)
    assert torch.equal(small.box.cpu(), plan.resized(3, 4).box)
    assert x_there.grad.isfinite().all()
