"""BoxTarget: what it holds, and what it refuses."""

import pickle

import pytest

torch = pytest.importorskip("torch")

from helpers import said  # noqa: E402

from dali_mix import BoxTarget  # noqa: E402

COUNTS = (3, 0, 1, 4)


def parts(seed=0):
    torch.manual_seed(seed)
    boxes = [torch.rand(n, 2, 2).sort(1).values.flatten(1) for n in COUNTS]
    return boxes, [torch.randint(0, 80, (n,)) for n in COUNTS], [torch.rand(n) for n in COUNTS]


def test_each_image_has_its_own():
    boxes, labels, weights = parts()
    target = BoxTarget(boxes, [y.int() for y in labels], weights)
    assert len(target) == target.batch_size == 4
    for i, row in enumerate(target):
        assert row.keys() == target[i].keys() == {"boxes", "labels", "weights"}
        for name, expected in (("boxes", boxes), ("labels", labels), ("weights", weights)):
            assert torch.equal(row[name], expected[i]) and torch.equal(target[i][name], expected[i])
            assert torch.equal(getattr(target, name)[i], expected[i])
            assert row[name].dtype == expected[i].dtype
    assert target[-1]["boxes"].shape == (4, 4) and target[1]["labels"].shape == (0,)
    assert repr(target) == "BoxTarget(8 boxes of 4 images, device='cpu')"


def test_all_at_once_with_the_number_of_the_image():
    target = BoxTarget(*parts())
    image, boxes, labels, weights = target.flat()
    assert image.tolist() == [0, 0, 0, 2, 3, 3, 3, 3]
    for i, row in enumerate(target):
        here = image == i
        assert torch.equal(boxes[here], row["boxes"]) and torch.equal(labels[here], row["labels"])
        assert torch.equal(weights[here], row["weights"])


def test_boxes_in_pixels_and_by_their_centres():
    target = BoxTarget([torch.tensor([[0.25, 0.5, 0.5, 1.0]])], [torch.tensor([7])])
    assert target.weights[0].tolist() == [1]
    assert target.scaled(10, 40).boxes[0].tolist() == [[10, 5, 20, 10]]
    assert target.centered().boxes[0].tolist() == [[0.375, 0.75, 0.25, 0.5]]
    assert target.centered().labels[0].tolist() == [7]


@pytest.mark.parametrize("copy", [lambda t: t.to("cpu"), lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_equal(copy):
    target = BoxTarget(*parts())
    for one, other in zip(target, copy(target), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_batch_without_images_and_one_without_boxes():
    assert len(BoxTarget([], [])) == 0 and BoxTarget([], []).flat()[1].shape == (0, 4)
    none = BoxTarget([torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int32)] * 2)
    assert [row["labels"].dtype for row in none] == [torch.int64] * 2
    assert none.flat()[0].shape == (0,)


ONE = torch.zeros(1, 4)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (([ONE], []), "boxes, labels and weights must have a tensor for each image, got 1, 0 and "
         "1."),
        (([ONE[0]], [torch.zeros(4).long()]), "boxes must be float tensors (M, 4), got (4,) "
         "torch.float32 for image 0."),
        (([ONE.long()], [torch.zeros(1).long()]), "boxes must be float tensors (M, 4), got (1, 4) "
         "torch.int64 for image 0."),
        (([ONE], [torch.zeros(2).long()]), "labels must have one value for each of the 1 boxes of "
         "image 0, got (2,)."),
        (([ONE], [torch.zeros(1).long()], [torch.zeros(1, 1)]), "weights must have one value for "
         "each of the 1 boxes of image 0, got (1, 1)."),
        (([ONE], [torch.zeros(1)]), "labels must be integers, got torch.float32 for image 0."),
    ],
)  # fmt: skip
def test_what_does_not_fit_gets_a_sentence(given, sentence):
    assert said((ValueError, TypeError), lambda: BoxTarget(*given)) == sentence
