"""MultiMixTarget: what it promises about its parts, and that frameworks can carry it."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import dali_mix
from dali_mix.training.mix_target import MixTarget
from dali_mix.training.multi_target import MultiMixTarget

IDS = torch.tensor([[0, 2, 1], [3, 3, 0], [1, 2, 2], [2, 0, 3], [1, 1, 1]])
WEIGHTS = torch.tensor(
    [[0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [1, 0, 0], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]]
)
TARGET = MultiMixTarget(IDS, WEIGHTS)


def test_it_is_a_public_named_tuple():
    assert dali_mix.MultiMixTarget is MultiMixTarget
    ys, weights = TARGET
    assert TARGET._fields == ("ys", "weights")
    assert ys is TARGET.ys and weights is TARGET.weights


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 1)])
def test_integer_labels_become_rows_of_int64(shape, dtype):
    ys = MultiMixTarget(IDS.to(dtype).view(shape), WEIGHTS).ys
    assert ys.dtype == torch.int64 and torch.equal(ys, IDS)


@pytest.mark.parametrize(
    "ys",
    [
        torch.rand(5, 3),
        torch.rand(5, 3, 1),
        torch.rand(5, 3, 7),
        torch.ones(5, 3, 7, dtype=torch.bool),
        torch.ones(5, 3, 4, 6).int(),
    ],
    ids=["quantity", "regression", "multi-label", "bool multi-label", "segmentation"],
)
def test_other_labels_keep_shape_and_dtype(ys):
    target = MultiMixTarget(ys, WEIGHTS)
    assert target.ys is ys
    assert len(target.labels) == 3
    assert all(torch.equal(y, ys[:, k]) for k, y in enumerate(target.labels))


@pytest.mark.parametrize(
    "weights",
    [
        torch.tensor([0.5, 0.25, 0.25]),
        torch.tensor([[0.5, 0.25, 0.25]] * 5, dtype=torch.float64),
        torch.tensor([[0.5, 0.25, 0.25]] * 5, dtype=torch.float16),
    ],
)
def test_weights_become_one_float32_per_label(weights):
    target = MultiMixTarget(IDS, weights)
    assert target.weights.dtype == torch.float32
    assert target.weights.tolist() == [[0.5, 0.25, 0.25]] * 5
    assert [share.tolist() for share in target.shares] == [[0.5] * 5, [0.25] * 5, [0.25] * 5]


def test_weights_are_cut_from_the_graph():
    assert not MultiMixTarget(IDS, WEIGHTS.clone().requires_grad_()).weights.requires_grad


@pytest.mark.parametrize("k", [3, 7, 300])
def test_weights_normalised_in_float32_are_accepted(k):
    drawn = torch.rand(1000, k, generator=torch.Generator().manual_seed(k))
    weights = drawn / drawn.sum(1, keepdim=True)
    assert torch.equal(MultiMixTarget(torch.zeros(1000, k).int(), weights).weights, weights)


def test_repr_shows_shapes_instead_of_values():
    assert repr(TARGET) == "MultiMixTarget(ys=(5, 3) int64 cpu, weights=(5, 3) float32 cpu)"


@pytest.mark.parametrize("n", [0, 1, 7])
def test_batch_size_is_the_number_of_samples(n):
    target = MultiMixTarget(torch.zeros(n, 4).int(), torch.full((n, 4), 0.25))
    assert target.batch_size == n
    assert target.dense(3).shape == (n, 3)


def test_to_moves_every_part_and_keeps_dtypes():
    moved = TARGET.to("meta", non_blocking=True)
    assert isinstance(moved, MultiMixTarget)
    assert [(part.device.type, part.dtype) for part in moved] == [
        ("meta", torch.int64),
        ("meta", torch.float32),
    ]


@pytest.mark.gpu
def test_pin_memory_pins_every_part():
    assert all(part.is_pinned() for part in TARGET.pin_memory())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dense_is_the_sum_of_smoothed_one_hot_rows(smoothing):
    expected = [[smoothing / 7] * 7 for _ in IDS]
    for row, ys, weights in zip(expected, IDS.tolist(), WEIGHTS.tolist(), strict=True):
        for y, weight in zip(ys, weights, strict=True):
            row[y] += weight * (1 - smoothing)
    dense = TARGET.dense(7, smoothing)
    assert dense.dtype == torch.float32
    torch.testing.assert_close(dense, torch.tensor(expected), rtol=0, atol=1e-6)
    vectors = MultiMixTarget(torch.eye(7)[IDS], WEIGHTS)
    torch.testing.assert_close(vectors.dense(7, smoothing), dense)


def test_dense_of_segmentation_maps_has_classes_in_dimension_1():
    maps = torch.randint(5, (5, 3, 2, 4), generator=torch.Generator().manual_seed(0))
    dense = MultiMixTarget(maps, WEIGHTS).dense(5, 0.2)
    assert dense.shape == (5, 5, 2, 4)
    pixel = MultiMixTarget(maps[:, :, 1, 3], WEIGHTS).dense(5, 0.2)
    torch.testing.assert_close(dense[:, :, 1, 3], pixel)


def test_two_labels_are_a_mix_target():
    pair = MixTarget(IDS[:, 0], IDS[:, 1], torch.tensor([0.0, 1.0, 0.3, 0.8, 0.45]))
    multi = MultiMixTarget(IDS[:, :2], torch.stack((pair.lam, 1 - pair.lam), 1))
    for ours, theirs in (
        *zip(multi.labels, pair.labels, strict=True),
        *zip(multi.shares, pair.shares, strict=True),
        (multi.dense(4, 0.1), pair.dense(4, 0.1)),
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dims", [(), (4,), (2, 3)], ids=str)
def test_blend_is_the_weighted_sum(dims):
    parts = torch.rand(3, 5, *dims, dtype=torch.float64)
    expected = torch.einsum("nk,kn...->n...", WEIGHTS.double(), parts)
    blended = TARGET.blend(list(parts))
    assert blended.dtype == torch.float64
    torch.testing.assert_close(blended, expected)


def test_a_weight_of_1_leaves_the_own_label_to_the_bit():
    parts = list(torch.rand(3, 5))
    assert TARGET.blend(parts)[2] == parts[0][2]


def test_it_survives_pickling():
    back = pickle.loads(pickle.dumps(TARGET))
    assert isinstance(back, MultiMixTarget)
    assert all(torch.equal(a, b) for a, b in zip(back, TARGET, strict=True))


class Batches(Dataset):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[torch.Tensor, MultiMixTarget]:
        return torch.full((3, 2), index), TARGET


@pytest.mark.parametrize("workers", [0, 1])
def test_it_survives_a_data_loader_without_batching(workers):
    for _, target in DataLoader(Batches(), batch_size=None, num_workers=workers):
        assert isinstance(target, MultiMixTarget)
        assert torch.equal(target.weights, WEIGHTS)


def test_frameworks_can_map_over_it():
    moved = type(TARGET)(*(part.to("meta") for part in TARGET))
    assert moved.ys.device.type == "meta"
    assert tuple(type(TARGET)(*(part.shape for part in TARGET))) == ((5, 3), (5, 3))
    mapped = torch.utils._pytree.tree_map(lambda part: part.flip(0), TARGET)
    assert isinstance(mapped, MultiMixTarget) and torch.equal(mapped.ys, IDS.flip(0))


@pytest.mark.parametrize(
    ("ys", "weights", "error", "sentence"),
    [
        ([[0, 1]], WEIGHTS, TypeError, r"ys must be a tensor, got list\. Use torch\.as_tensor\(ys"),
        (IDS, 0.3, TypeError, "weights must be a tensor, got float"),
        (
            IDS[:, 0],
            WEIGHTS,
            ValueError,
            r"ys must have shape \(N, K, …\), .* got \(5,\)\. Use torch\.stack\(labels, 1\)",
        ),
        (IDS[:, :0], WEIGHTS[:, :0], ValueError, r"ys must have shape .* got \(5, 0\)"),
        (IDS, IDS, TypeError, r"weights must be float, got torch\.int64"),
        (
            IDS,
            WEIGHTS[:4],
            ValueError,
            r"weights must have shape \(5, 3\), one for each label of ys \(5, 3\) int64 cpu, got",
        ),
        (IDS, WEIGHTS[:, 0], ValueError, r"weights must have shape \(5, 3\), .* got \(5,\)"),
        (IDS, WEIGHTS.to("meta"), ValueError, "on the device of the labels, cpu, got meta"),
        (IDS, WEIGHTS - 0.2, ValueError, r"must lie in \[0, 1\], got values from -0\.2"),
        (IDS, WEIGHTS * torch.nan, ValueError, r"must lie in \[0, 1\], got values from nan"),
        (IDS, WEIGHTS / 2, ValueError, r"must sum to 1, got sums from 0\.5 .*Divide them"),
        (IDS, WEIGHTS[:1].expand(5, 3) + torch.eye(5, 3) / 10, ValueError, "to 1, got sums from 1"),
    ],
)
def test_parts_that_do_not_fit_are_named(ys, weights, error, sentence):
    with pytest.raises(error, match=sentence):
        MultiMixTarget(ys, weights)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda t: t.dense(0), "num_classes must be at least 1, got 0"),
        (lambda t: t.dense(3), r"class ids must lie in \[0, 3\), got ids from 0 to 3"),
        (
            lambda t: MultiMixTarget(torch.rand(5, 3, 4), WEIGHTS).dense(5),
            r"shape \(N, 5, …\), got \(5, 4\)",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(TARGET)
