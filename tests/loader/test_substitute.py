"""MixLoader.from_imagefolder(on_bad_file="substitute"): bad files cost only their own sample."""

import logging
import shutil

import numbered
import pytest
import torch
from nvidia.dali import fn

import dali_mix
from dali_mix import CutMix, MixLoader, MixUp
from dali_mix.loader.checkpoint import _digest

COUNT = 23
"""Files of `write_noise`: the list is 000, 002 … 022 of class 0, then 001, 003 … 021 of class 1."""
NAMES = [f"{c}/{k:03}.jpg" for c in range(2) for k in range(c, COUNT, 2)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), COUNT)


def substituting(root, *batch_size, **arguments):
    return numbered.loader(root, *batch_size, **({"on_bad_file": "substitute"} | arguments))


def spoiled(photos, folder, bad, how=lambda path: path.write_bytes(b"no image")):
    """A copy of the files in which those at the places `bad` of the list cannot be used."""
    shutil.copytree(photos, folder)
    for place in bad:
        how(folder / NAMES[place])
    return folder


def mended(photos, folder, replaced):
    """A copy in which the file of each place has the content of that of another one."""
    shutil.copytree(photos, folder)
    for place, other in replaced.items():
        shutil.copy(photos / NAMES[other], folder / NAMES[place])
    return folder


def epochs(loader, count=2):
    return [batch for _ in range(count) for batch in loader]


TRAINING = {"training": True, "methods": [MixUp(1.0), CutMix()]}
REPLACED = {
    "one": {4: 5},
    "two neighbours, of one batch where there is an order": {1: 3, 2: 3},
    "first and last": {0: 1, 22: 1},
    "in every batch": {0: 1, 5: 6, 9: 10, 13: 14, 18: 19, 21: 22},
}


@pytest.mark.parametrize("replaced", REPLACED.values(), ids=REPLACED)
@pytest.mark.parametrize("last_batch", ["drop", "partial"])
@pytest.mark.parametrize("recipe", [TRAINING, {"training": False}], ids=["training", "validation"])
def test_the_batches_are_those_of_a_folder_with_the_substitutes(
    photos, tmp_path, recipe, last_batch, replaced
):
    options = recipe | {"last_batch": last_batch}
    loader = substituting(spoiled(photos, tmp_path / "bad", replaced), **options)
    expected = epochs(numbered.loader(mended(photos, tmp_path / "good", replaced), **options))
    length = len(loader)
    got = epochs(loader)
    assert len(got) == 2 * length == len(expected)
    for (x, target), (x2, target2) in zip(got, expected, strict=True):
        assert torch.equal(x, x2)
        if 22 not in replaced:  # whose substitute has another label; see the next test
            assert all(torch.equal(a, b) for a, b in zip(target, target2, strict=True))
    if last_batch == "partial":  # all files have been read
        assert [(one.path, one.substitute) for one in sorted(loader.substituted)] == sorted(
            (str(tmp_path / "bad" / NAMES[place]), str(tmp_path / "bad" / NAMES[other]))
            for place, other in replaced.items()
        )


@pytest.mark.parametrize("training", [True, False])
def test_the_label_is_that_of_the_substitute(tmp_path, training):
    root = numbered.write(tmp_path, 11)
    shown = numbered.files(epochs(numbered.loader(root, last_batch="partial", training=training)))
    instead = {3: 4, 7: 9, 8: 9, 10: 0}
    for bad in instead:
        (root / f"{bad:03}" / f"{bad:03}.jpg").write_bytes(b"no image")
    loader = substituting(root, last_batch="partial", training=training)
    batches = epochs(loader)
    assert numbered.files(batches) == [[instead.get(k, k) for k in batch] for batch in shown]
    if not training:
        for x, y in batches:  # the pixels as well
            assert x[:, 0, 0, 0].tolist() == [int(k) * numbered.STEP for k in y]


@pytest.mark.parametrize("bad", [range(12), range(12, 23)], ids=["first class", "last class"])
def test_a_whole_class_may_be_bad(photos, tmp_path, bad):
    loader = substituting(spoiled(photos, tmp_path / "bad", bad), training=False)
    labels = torch.cat([y for _, y in loader])
    assert len(labels) == COUNT
    assert labels.unique().tolist() == [1 if 0 in bad else 0]
    assert len(loader.substituted) == len(bad)
    (substitute,) = {one.substitute for one in loader.substituted}
    assert substitute.endswith(NAMES[12 if 0 in bad else 0])


def test_if_all_are_bad_that_is_an_error(photos, tmp_path):
    loader = substituting(spoiled(photos, tmp_path / "bad", range(COUNT)))
    with pytest.raises(RuntimeError, match=r"none of the 23 files can be decoded, such as .*\.jpg"):
        next(iter(loader))
    with pytest.raises(RuntimeError, match="failed and cannot go on: none of the 23 files"):
        next(iter(loader))


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


def folder_instead(path):
    path.unlink()
    path.mkdir()


KINDS = {
    "vanished": (lambda path: path.unlink(), "it cannot be read: No such file"),
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "folder": (folder_instead, "it cannot be read: Is a directory"),
    "text": (lambda path: path.write_bytes(b"<html>"), "it is no image of a kind that DALI"),
    "cut": (cut, "its header is broken or cut off"),
}


@pytest.mark.parametrize(("how", "reason"), KINDS.values(), ids=KINDS)
def test_whatever_is_wrong_with_the_file(photos, tmp_path, how, reason):
    root = shutil.copytree(photos, tmp_path / "bad")
    loader = substituting(root)
    how(root / NAMES[6])  # after the files have been listed
    expected = numbered.loader(mended(photos, tmp_path / "good", {6: 7}))
    numbered.assert_same(epochs(loader), epochs(expected))
    (one,) = loader.substituted
    assert one.path == str(root / NAMES[6]) and one.substitute == str(root / NAMES[7])
    assert one.reason.startswith(reason)


def test_a_substitute_that_goes_bad_is_substituted_too(photos, tmp_path):
    root = spoiled(photos, tmp_path / "bad", [6])
    loader = substituting(root, training=False)
    list(loader)
    (root / NAMES[7]).unlink()  # not written to: DALI may have it mapped into memory
    expected = numbered.loader(mended(photos, tmp_path / "good", {6: 8, 7: 8}), training=False)
    list(loader)  # what DALI had read in advance
    numbered.assert_same(loader, expected)
    assert [one.substitute for one in loader.substituted] == [str(root / NAMES[8])] * 2


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_from_every_place_the_same_batches_follow(photos, tmp_path, depth):
    root = spoiled(photos, tmp_path / "bad", [3, 11, 15, 16])
    options = TRAINING | {"last_batch": "partial", "prefetch_queue_depth": depth}
    loader = substituting(root, **options)
    states, found, batches = [loader.state_dict()], [[]], []
    for _ in range(2):
        for batch in loader:
            batches.append(batch)
            states.append(loader.state_dict())
            found.append(loader.substituted)
    assert len(found[-1]) == 4 and len(found[2]) < 4
    for place in range(len(batches)):
        resumed = substituting(root, **options)
        resumed.load_state_dict(numbered.through_json(states[place]))
        assert resumed.substituted == found[place]
        got = list(resumed)
        got += list(resumed) if len(got) < len(batches) - place else []
        numbered.assert_same(got[: len(batches) - place], batches[place:])


def test_what_was_substituted_stays_so_after_repair(photos, tmp_path):
    root = spoiled(photos, tmp_path / "bad", [3])
    loader = substituting(root, last_batch="partial")
    list(loader)
    state = loader.state_dict()
    second = list(loader)
    shutil.copy(photos / NAMES[3], root / NAMES[3])
    resumed = substituting(root, last_batch="partial")
    resumed.load_state_dict(state)
    numbered.assert_same(resumed, second)
    resumed.load_state_dict(substituting(root, last_batch="partial").state_dict())
    assert resumed.substituted == []  # a state from before
    numbered.assert_same(resumed, numbered.loader(photos, last_batch="partial"))


def test_a_run_that_failed_goes_on_with_substitutes(photos, tmp_path):
    root = spoiled(photos, tmp_path / "bad", [22])
    loader = numbered.loader(root, training=False)
    iteration = iter(loader)
    got = [next(iteration) for _ in range(5)]
    state = loader.state_dict()
    with pytest.raises(RuntimeError, match="cannot decode"):
        next(iteration)
    resumed = substituting(root, training=False)
    resumed.load_state_dict(state)
    x = torch.cat([x for x, _ in [*got, *resumed]])
    expected = numbered.loader(mended(photos, tmp_path / "good", {22: 0}), training=False)
    assert torch.equal(x, torch.cat([x for x, _ in expected]))


def test_other_loaders_cannot_take_a_state_with_substitutes(photos, tmp_path):
    root = spoiled(photos, tmp_path / "bad", [0])
    loader = substituting(root, training=False)
    next(iter(loader))
    with pytest.raises(ValueError, match="saved after 1 bad files had been substituted; make the"):
        numbered.loader(root, training=False).load_state_dict(loader.state_dict())
    other = substituting(root, training=False, files=NAMES[1:])
    state = loader.state_dict() | {"images": COUNT - 1}
    state["sha256"] = _digest({name: state[name] for name in state if name != "sha256"})
    with pytest.raises(
        ValueError, match=r"a substitute for 0/000\.jpg, which this loader does not"
    ):
        other.load_state_dict(state)


@pytest.mark.parametrize("training", [True, False])
def test_each_rank_finds_its_substitutes_by_itself(photos, tmp_path, training):
    replaced = {10: 0, 2: 3} if not training else {10: 11, 2: 3}  # 0 to 10 are the first shard
    bad, good = (
        spoiled(photos, tmp_path / "bad", replaced),
        mended(photos, tmp_path / "g", replaced),
    )
    for rank in range(2):
        options = {"training": training, "shard": dali_mix.Shard(rank, 2, rank)}
        numbered.assert_same(
            epochs(substituting(bad, **options), 3), epochs(numbered.loader(good, **options), 3)
        )


def test_scheduled_values_go_on(photos, tmp_path):
    methods = MixUp(alpha=dali_mix.Scheduled("alpha", 1.0))
    got = []
    for root in (
        spoiled(photos, tmp_path / "bad", [3, 11, 16, 20]),
        mended(photos, tmp_path / "good", {3: 4, 11: 12, 16: 17, 20: 21}),
    ):
        loader = substituting(root, methods=methods, prefetch_queue_depth=1)
        batches = []
        for alpha in (0.3, 7.0):
            for number, batch in enumerate(loader):
                batches.append(batch)
                if number in (0, 2):
                    loader.set(alpha=alpha + number)
        got.append(batches)
    # Place 11 is the last of its class: pixels alone, and they depend on lam.
    assert all(torch.equal(x, x2) for (x, _), (x2, _) in zip(*got, strict=True))


def test_each_file_is_logged_once(photos, tmp_path, caplog):
    root = spoiled(photos, tmp_path / "bad", [4, 12])
    with caplog.at_level(logging.WARNING, "dali_mix"):
        epochs(substituting(root, last_batch="partial"), 4)
    assert sorted(caplog.messages) == [
        f"{root / NAMES[place]} cannot be used: it is no image of a kind that DALI decodes; "
        f"{root / NAMES[place + 1]} takes its place."
        for place in (4, 12)
    ]


def test_a_list_of_files_is_kept_to(photos, tmp_path):
    root = spoiled(photos, tmp_path / "bad", [4, 5, 6])
    names = [NAMES[place] for place in (9, 4, 6, 2, 11)]  # in an order of its own
    loader = substituting(root, 2, training=False, files=names)
    expected = numbered.loader(
        photos, 2, training=False, files=[NAMES[p] for p in (9, 2, 2, 2, 11)]
    )
    numbered.assert_same(loader, expected)


def test_a_failure_that_no_file_explains_is_raised(photos):
    def too_large(images):
        return fn.crop(images, crop=(99, 99))

    loader = substituting(photos, augment=too_large)
    with pytest.raises(RuntimeError, match=r"each of which can be decoded: .*crop"):
        next(iter(loader))
    assert loader.substituted == []


def test_pipelines_of_ones_own_and_other_words_are_refused(photos):
    with pytest.raises(ValueError, match=r"'substitute' needs MixLoader\.from_imagefolder, which"):
        MixLoader(numbered.reading(photos), on_bad_file="substitute")
    with pytest.raises(ValueError, match="must be one of raise, substitute, got 'skip'"):
        numbered.loader(photos, on_bad_file="skip")


@pytest.mark.gpu
def test_on_the_gpu(photos, tmp_path):
    options = TRAINING | {"device": "gpu", "last_batch": "partial"}
    loader = substituting(spoiled(photos, tmp_path / "bad", [4, 12]), **options)
    expected = numbered.loader(mended(photos, tmp_path / "good", {4: 5, 12: 13}), **options)
    numbered.assert_same(epochs(loader), epochs(expected))
    assert len(loader.substituted) == 2
