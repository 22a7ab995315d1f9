"""MixTarget: what it promises about its parts, and that frameworks can carry it."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from dali_mix.training.mix_target import MixTarget


def ids_target() -> MixTarget:
    return MixTarget(
        torch.tensor([0, 2, 1]), torch.tensor([2, 2, 0]), torch.tensor([0.25, 0.75, 1.0])
    )


def test_it_is_a_tuple_with_names():
    y1, y2, lam = target = ids_target()
    assert isinstance(target, tuple)
    assert target._fields == ("y1", "y2", "lam")
    assert y1 is target.y1 and y2 is target.y2 and lam is target.lam


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_integer_labels_become_a_row_of_int64(shape, dtype):
    y = torch.arange(3, dtype=dtype).view(shape)
    target = MixTarget(y, y.flip(0), torch.rand(3))
    assert target.y1.dtype == target.y2.dtype == torch.int64
    assert target.y1.tolist() == [0, 1, 2]
    assert target.y2.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    "y",
    [
        torch.rand(3, 1),
        torch.rand(3),
        torch.rand(3, 5),
        torch.ones(3, 5, dtype=torch.bool),
        torch.ones(3, 4, 6).int(),
    ],
    ids=["regression", "quantity", "multi-label", "bool multi-label", "segmentation"],
)
def test_other_labels_keep_shape_and_dtype(y):
    target = MixTarget(y, y, torch.rand(3))
    assert target.y1.shape == y.shape and target.y1.dtype == y.dtype


@pytest.mark.parametrize(
    "lam",
    [
        torch.full((3,), 0.25, dtype=torch.float64),
        torch.full((3, 1), 0.25),
        torch.tensor(0.25),
        0.25,
    ],
)
def test_lam_becomes_one_float32_per_sample(lam):
    target = MixTarget(torch.arange(3), torch.arange(3), lam)
    assert target.lam.dtype == torch.float32
    assert target.lam.tolist() == [0.25] * 3


def test_lam_is_cut_from_the_graph():
    lam = torch.full((3,), 0.5, requires_grad=True)
    assert not MixTarget(torch.arange(3), torch.arange(3), lam).lam.requires_grad


def test_repr_shows_shapes_instead_of_values():
    assert (
        repr(ids_target())
        == "MixTarget(y1=(3,) int64 cpu, y2=(3,) int64 cpu, lam=(3,) float32 cpu)"
    )


@pytest.mark.parametrize("n", [0, 1, 7])
def test_batch_size_is_the_number_of_samples(n):
    y = torch.zeros(n, dtype=torch.int64)
    assert MixTarget(y, y, torch.zeros(n)).batch_size == n


def test_to_moves_every_part_and_keeps_dtypes():
    moved = ids_target().to("meta", non_blocking=True)
    assert isinstance(moved, MixTarget)
    assert [part.device.type for part in moved] == ["meta"] * 3
    assert [part.dtype for part in moved] == [torch.int64, torch.int64, torch.float32]


@pytest.mark.gpu
def test_pin_memory_pins_every_part():
    assert all(part.is_pinned() for part in ids_target().pin_memory())


def timm_dense(target: MixTarget, num_classes: int, smoothing: float) -> list[list[float]]:
    """lam * one_hot(y1, on, off) + (1 - lam) * one_hot(y2, on, off), element by element."""
    off = smoothing / num_classes
    on = 1 - smoothing + off
    return [
        [
            lam * (on if c == a else off) + (1 - lam) * (on if c == b else off)
            for c in range(num_classes)
        ]
        for a, b, lam in zip(
            target.y1.tolist(), target.y2.tolist(), target.lam.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dense_is_timms_mixup_target(smoothing):
    dense = ids_target().dense(7, smoothing)
    assert dense.dtype == torch.float32
    torch.testing.assert_close(
        dense, torch.tensor(timm_dense(ids_target(), 7, smoothing)), rtol=0, atol=1e-7
    )


def test_dense_rows_of_a_pair_of_one_class_sum_to_one():
    y = torch.full((5,), 3)
    dense = MixTarget(y, y, torch.rand(5)).dense(4)
    torch.testing.assert_close(dense, torch.eye(4)[y])


def test_dense_of_a_segmentation_map_has_classes_in_dimension_1():
    y1, y2, lam = (
        torch.randint(5, (2, 3, 4)),
        torch.randint(5, (2, 3, 4)),
        torch.tensor([0.25, 1.0]),
    )
    dense = MixTarget(y1, y2, lam).dense(5, 0.2)
    pixel = MixTarget(y1[:, 1, 2], y2[:, 1, 2], lam).dense(5, 0.2)
    assert dense.shape == (2, 5, 3, 4)
    torch.testing.assert_close(dense[:, :, 1, 2], pixel)


def test_dense_smooths_probabilities_as_it_smooths_ids():
    target = ids_target()
    vectors = MixTarget(torch.eye(7)[target.y1], torch.eye(7)[target.y2], target.lam)
    torch.testing.assert_close(vectors.dense(7, 0.1), target.dense(7, 0.1))


def test_stacked_comes_back():
    target = ids_target()
    stacked = target.stacked()
    assert stacked.shape == (3, 3) and stacked.dtype == torch.float32
    assert stacked[0].tolist() == [0.0, 2.0, 0.25]
    back = MixTarget.from_stacked(stacked)
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(back, target, strict=True))


def test_it_survives_pickling():
    back = pickle.loads(pickle.dumps(ids_target()))
    assert isinstance(back, MixTarget)
    assert all(torch.equal(a, b) for a, b in zip(back, ids_target(), strict=True))


class Batches(Dataset):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[torch.Tensor, MixTarget]:
        return torch.full((3, 2), index), ids_target()


@pytest.mark.parametrize("workers", [0, 1])
def test_it_survives_a_data_loader_without_batching(workers):
    for _, target in DataLoader(Batches(), batch_size=None, num_workers=workers):
        assert isinstance(target, MixTarget)
        assert target.lam.tolist() == [0.25, 0.75, 1.0]


def rebuilt(target: MixTarget, function) -> MixTarget:
    """As Lightning and Accelerate map over a named tuple."""
    return type(target)(*(function(part) for part in target))


def test_a_framework_can_rebuild_it_from_moved_parts():
    assert isinstance(rebuilt(ids_target(), lambda part: part.to("meta")), MixTarget)


def test_a_framework_can_put_other_things_in_its_place():
    assert tuple(rebuilt(ids_target(), lambda part: part.shape)) == ((3,),) * 3


def test_torch_pytree_maps_over_it():
    doubled = torch.utils._pytree.tree_map(
        lambda part: part + part, MixTarget(torch.arange(2), torch.arange(2), 0.25)
    )
    assert isinstance(doubled, MixTarget)
    assert doubled.lam.tolist() == [0.5, 0.5]


Y = torch.arange(3)


@pytest.mark.parametrize(
    ("y1", "y2", "lam", "error", "sentence"),
    [
        (
            Y,
            torch.arange(4),
            0.5,
            ValueError,
            r"y1 and y2 must have one shape, dtype and device, got \(3,\) int64",
        ),
        (Y, Y.float(), 0.5, ValueError, r"y1 and y2 must have one shape, dtype.*float32"),
        (
            Y,
            [0, 1, 2],
            0.5,
            TypeError,
            r"y2 must be a tensor, got list\. Use torch\.as_tensor\(y2\)",
        ),
        (torch.tensor(1), torch.tensor(2), 0.5, ValueError, "y1 must have a batch dimension"),
        (
            Y,
            Y,
            torch.rand(4),
            ValueError,
            r"lam must have shape \(3,\), one weight per sample, got \(4,\)",
        ),
        (Y, Y, "0.5", TypeError, "lam must be a tensor or a number, got str"),
        (Y, Y, 1.5, ValueError, r"lam must lie in \[0, 1\], got values from 1.5 to 1.5"),
        (Y, Y, -0.5, ValueError, r"lam must lie in \[0, 1\], got values from -0.5"),
        (Y, Y, float("nan"), ValueError, r"lam must lie in \[0, 1\], got values from nan"),
        (
            Y,
            Y,
            torch.rand(3, device="meta"),
            ValueError,
            "lam must be on the device of the labels, cpu, got meta",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(y1, y2, lam, error, sentence):
    with pytest.raises(error, match=sentence):
        MixTarget(y1, y2, lam)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda t: t.dense(0), "num_classes must be at least 1, got 0"),
        (lambda t: t.dense(3, 1.0), r"smoothing must lie in \[0, 1\), got 1.0"),
        (lambda t: t.dense(2), r"class ids must lie in \[0, 2\), got ids from 0 to 2"),
        (lambda t: t._replace(y1=t.y1 - 100).dense(3), r"ids from -100 to 2.*use MixLoss"),
        (
            lambda t: MixTarget(torch.rand(3, 4), torch.rand(3, 4), t.lam).dense(5),
            r"shape \(N, 5, …\), got \(3, 4\)",
        ),
        (
            lambda t: MixTarget(t.lam, t.lam, t.lam).stacked(),
            r"stacked\(\) needs class ids of shape \(N,\)",
        ),
        (
            lambda t: t._replace(y2=t.y2 + 2**24).stacked(),
            r"stacked\(\) needs class ids up to 2\*\*24",
        ),
        (
            lambda t: MixTarget.from_stacked(torch.rand(3, 4)),
            r"stacked must have shape \(N, 3\), got \(3, 4\)",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(ids_target())
