"""DALI's own ways to loop over batches, around mixing: its PyTorch iterators, and the epochs of
dynamic mode. What works, and what a user has to know about the last batch."""

import numbered
import nvidia.dali.experimental.dynamic as ndd
import pytest
import torch
from nvidia.dali import fn
from nvidia.dali.plugin.pytorch import (
    DALIClassificationIterator,
    DALIGenericIterator,
    DALIRaggedIterator,
    LastBatchPolicy,
)

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import MixTarget

NAMES = ["x", "y1", "y2", "lam"]
POLICIES = {
    LastBatchPolicy.DROP: [4, 4],
    LastBatchPolicy.PARTIAL: [4, 4, 2],
    LastBatchPolicy.FILL: [4, 4, 4],
}


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("ten"), 10)


def assert_pixels_are_the_targets(batch):
    target = MixTarget(batch["y1"], batch["y2"], batch["lam"])
    value = numbered.STEP * (target.lam * target.y1 + (1 - target.lam) * target.y2)
    x = batch["x"]
    torch.testing.assert_close(x, value.view(-1, 1, 1, 1).expand_as(x), rtol=0, atol=1e-3)
    return target


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("iterator", [DALIGenericIterator, DALIRaggedIterator])
def test_targets_are_right_whatever_becomes_of_the_last_batch(ten, iterator, policy):
    batches = iterator(
        numbered.reading(ten), NAMES, reader_name="Reader", last_batch_policy=policy,
        auto_reset=True,
    )  # fmt: skip
    for _ in range(2):
        targets = [assert_pixels_are_the_targets(batch) for (batch,) in batches]
        assert [target.batch_size for target in targets] == POLICIES[policy]
        whole = torch.cat([target.y1 for target in targets[:2]])
        assert whole.tolist() == list(range(8))


@pytest.mark.parametrize("policy", [LastBatchPolicy.PARTIAL, LastBatchPolicy.FILL])
def test_a_padded_last_batch_mixes_with_copies_so_it_is_to_be_dropped(tmp_path, policy):
    """Of nine files, the last batch of four is file 8 four times, and mixed with itself."""
    root = numbered.write(tmp_path, 9)
    *_, (batch,) = DALIGenericIterator(
        numbered.reading(root), NAMES, reader_name="Reader", last_batch_policy=policy
    )
    assert set(batch["y1"].flatten().tolist()) == set(batch["y2"].flatten().tolist()) == {8}
    assert (batch["lam"] < 1).any()


def test_the_classification_iterator_takes_soft_labels_and_no_four_outputs(ten):
    with pytest.raises(IndexError):
        next(DALIClassificationIterator(numbered.reading(ten), reader_name="Reader"))

    def graph(images, labels):
        plan = dmix.plan(images, labels)
        own, other = dmix.pair_labels(fn.one_hot(labels, num_classes=10), plan)
        return dmix.apply(images, plan), own * plan.lam + other * (1 - plan.lam)

    pipeline = numbered.cropping(ten, graph=graph)
    (reader,) = pipeline.reader_meta()
    batches = DALIClassificationIterator(
        pipeline, reader_name=reader, last_batch_policy=LastBatchPolicy.DROP
    )
    (batch,) = next(batches)
    x, soft = batch["data"], batch["label"]
    assert soft.shape == (4, 10) and torch.allclose(soft.sum(1), torch.ones(4))
    value = numbered.STEP * (soft * torch.arange(10)).sum(1)
    torch.testing.assert_close(x.mean((1, 2, 3)), value, rtol=0, atol=1e-2)


def shown(files, labels):
    x, *_ = dali_mix.dynamic.cutmix(ndd.decoders.image(files), labels, alpha=0)
    return (x.torch()[:, 0, 0, 0] / numbered.STEP).int().tolist()


def test_without_padding_the_last_batch_of_dynamic_mode_borrows_from_the_next_epoch(ten):
    reader = ndd.readers.File(file_root=str(ten))
    epochs = [[shown(*batch) for batch in reader.next_epoch(batch_size=4)] for _ in range(2)]
    assert epochs[0] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert epochs[1][0] == [2, 3, 4, 5]


def test_in_dynamic_mode_the_copies_are_cut_off_before_they_are_mixed(ten):
    """The recipe of docs/pipeline.md."""
    reader = ndd.readers.File(file_root=str(ten), pad_last_batch=True)
    for _ in range(3):
        batches = []
        for number, (files, labels) in enumerate(reader.next_epoch(batch_size=4)):
            kept = reader.get_metadata()["epoch_size"] - 4 * number
            files, labels = (ndd.batch(list(b.tensors)[:kept]) for b in (files, labels))
            batches.append(shown(files, labels))
        assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
