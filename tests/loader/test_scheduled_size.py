"""Progressive resizing: the size of the images is Scheduled, and part of the state."""

import numbered
import numpy as np
import pytest
import torch
from helpers import feed, fingerprints, said
from nvidia.dali import Pipeline, fn

import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, MixUp, MultiMix, ResizeMix, Scheduled

SIZE = Scheduled("size", 12, most=40)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 15)


def sizes(batches):
    return [tuple(x.shape[-2:]) for x, *_ in batches]


def test_an_image_folder_changes_its_size(photos):
    with numbered.noisy(photos, size=SIZE) as loader:
        assert sizes(loader) == [(12, 12)] * 3
        loader.set(size=31)
        # DALI has computed the first batch of the epoch already.
        assert sizes(loader) == [(12, 12)] + [(31, 31)] * 2
        loader.set(size=40)
        assert sizes(loader) == [(31, 31)] + [(40, 40)] * 2


def test_until_it_is_changed_it_is_the_number(photos):
    numbered.assert_same(numbered.noisy(photos, size=SIZE), numbered.noisy(photos, size=12))
    high = Scheduled("high", 9)
    tall, fixed = (numbered.noisy(photos, size=(side, 20)) for side in (high, 9))
    numbered.assert_same(tall, fixed)
    tall.set(high=17)
    assert sizes(tall) == [(9, 20), (17, 20), (17, 20)]


def test_batches_of_a_size_are_those_of_a_loader_of_that_size(photos):
    with numbered.noisy(photos, size=SIZE) as loader:
        loader.set(size=21)
        numbered.assert_same(loader, numbered.noisy(photos, size=21))


@pytest.mark.parametrize("method", [CutMix(), ResizeMix(), MultiMix()], ids=lambda m: m.name)
def test_it_resumes_at_its_size(photos, method):
    def folder():
        return numbered.loader(photos, size=SIZE, methods=method, plan=True)

    with folder() as loader:
        batches, states = [], []
        for epoch in range(3):
            for batch in loader:
                batches.append(batch)
                states.append(numbered.through_json(loader.state_dict()))
            loader.set(size=13 + 2 * epoch)
    assert len({*sizes(batches)}) == 3
    assert all((plan.size == x.shape[-1]).all() for x, _, plan in batches)
    for place in (2, 4, 6):
        with folder() as loader:
            loader.load_state_dict(states[place - 1])
            rest = [*loader] + ([*loader] if place < 6 else [])
            if place < 3:
                rest = rest[: 3 - place]
        for (x, *_), (x2, *_) in zip(rest[: 6 - place], batches[place:6], strict=False):
            assert torch.equal(x, x2)


def test_a_pipeline_of_ones_own(photos):
    pipeline = Pipeline(4, 1, None, seed=1, prefetch_queue_depth=1)
    with pipeline:
        side = Scheduled("side", 8).node()
        images = feed([fingerprints(4, 20, 24)], "HWC")
        images = fn.resize(images, size=fn.stack(side, side + 2))
        pipeline.set_outputs(*dmix.mixup(images, feed([[np.array(k) for k in range(4)]]), prob=0.5))
    with MixLoader(pipeline, size=16) as loader:
        steps = iter(loader)
        assert sizes([next(steps)]) == [(8, 10)]
        loader.set(side=5)
        assert sizes([next(steps)]) == [(5, 7)]


REFUSED = {
    "fraction": (20.5, "size must be whole pixels, at least 1, got 20.5."),
    "nothing": (0, "size must be whole pixels, at least 1, got 0."),
    "too large": (41, "size must be in [0, 40], got 41."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sizes_that_are_none_are_refused(photos, name):
    value, sentence = REFUSED[name]
    with numbered.noisy(photos, size=SIZE) as loader:
        assert said(ValueError, loader.set, size=value) == sentence
    start = Scheduled("size", value)
    if value < 41:
        assert said(ValueError, numbered.noisy, photos, size=start) == sentence


def test_validation_has_one_size(photos):
    text = said(ValueError, numbered.loader, photos, training=False, size=SIZE)
    assert text.startswith("size must be whole pixels, one number or (height, width), got Sched")


def test_mixup_at_every_size_keeps_its_law(photos):
    """lam of mixup does not depend on the size, so that schedules do not change the labels."""
    with numbered.loader(photos, size=SIZE, methods=MixUp(1.0)) as one:
        one.set(size=33)
        other = numbered.loader(photos, size=12, methods=MixUp(1.0))
        assert numbered.lams(one) == numbered.lams(other)
