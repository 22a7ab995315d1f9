"""Scheduled numbers: what MixLoader.set changes, from which batch on, and that resuming knows."""

import gc

import numbered
import numpy as np
import pytest
import torch
from scheduled import ALPHA, PROB, loader_of, mixing

import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, MixUp, Scheduled
from dali_mix.graph import schedule

# isort: split


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 15)


def probs(batches):
    """The value of each batch."""
    values = [set(labels[-1].tolist()) for _, labels in batches]
    assert all(len(value) == 1 for value in values)
    return [value.pop() for value in values]


def run(loader, changes, until):
    """The batches up to number `until`, counted through all epochs, with each state before them;
    `changes[b]` is set when b batches have been handed out."""
    states, batches = [], []
    while True:
        for batch in loader:
            batches.append(batch)
            at = loader.epoch * len(loader) + loader.batch
            if at in changes:
                loader.set(**changes[at])
            states.append(loader.state_dict())
            if at == until:
                return states, batches


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("after", [1, 3, 4, 6])
def test_it_counts_from_the_next_batch_that_is_not_drawn(photos, depth, after):
    loader = loader_of(photos, depth=depth)
    _, batches = run(loader, {after: {"prob": 0.0}}, 14)
    first = after + depth - 1
    assert probs(batches) == [1.0] * first + [0.0] * (14 - first)
    for number, (_, (lam, *_)) in enumerate(batches):
        assert torch.equal(lam, torch.ones(4)) == (number >= first)


def test_set_before_the_first_batch_it_counts_from_the_first(photos):
    loader = loader_of(photos, depth=3)
    loader.set(prob=0.25)
    loader.set(prob=0)
    _, batches = run(loader, {}, 3)
    assert probs(batches) == [0.0] * 3


def test_of_two_changes_before_a_draw_the_later_counts(photos):
    loader = loader_of(photos)
    _, batches = run(loader, {1: {"prob": 0.5}, 2: {"prob": 0.25}, 3: {"prob": 0.5}}, 6)
    assert probs(batches) == [1.0, 1.0, 0.5, 0.25, 0.5, 0.5]
    loader.set(prob=0.125)
    loader.set(prob=0.75)
    assert 0.125 not in probs(list(loader) + list(loader))


def test_until_it_is_changed_it_draws_as_the_number_does(photos):
    of_numbers = numbered.loader(photos, methods=[MixUp(1.0), CutMix()], weights=[1, 2], prob=0.5)
    scheduled = numbered.loader(
        photos,
        methods=[MixUp(ALPHA), CutMix()],
        weights=[1, Scheduled("cut", 2)],
        prob=Scheduled("prob", 0.5, most=1),
    )
    numbered.assert_same(scheduled, of_numbers)


def test_alpha_0_switches_a_method_off(photos):
    loader = numbered.loader(photos, methods=MixUp(ALPHA), prefetch_queue_depth=1)
    assert min(numbered.lams(loader)) < 1
    loader.set(alpha=0)
    assert set(numbered.lams(loader)) == {1.0}
    loader.set(alpha=1)
    assert min(numbered.lams(loader)) < 1


@pytest.mark.parametrize("last_batch", ["drop", "partial"])
def test_weights_choose_the_method_in_an_image_folder(photos, last_batch):
    """Of 16 by 16 pixels, cutmix leaves a share that is a multiple of 1/256."""
    loader = numbered.loader(
        photos,
        methods=[MixUp(1.0), CutMix()],
        weights=[Scheduled("blend", 1), Scheduled("cut", 0)],
        last_batch=last_batch,
        prefetch_queue_depth=1,
    )
    blended = numbered.lams(loader)
    loader.set(blend=0, cut=2.5)
    cut = numbered.lams(loader)
    assert all(lam * 256 % 1 == 0 for lam in cut) and min(cut) < 1
    assert sum(lam * 256 % 1 == 0 for lam in blended) <= 1  # the last of 15 has no partner


CHANGES = {2: {"prob": 0.5}, 3: {"prob": 0.25, "alpha": 0.1}, 7: {"prob": 1.0}, 9: {"alpha": 2.0}}


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_from_every_place_the_same_batches_follow(photos, depth):
    states, batches = run(loader_of(photos, depth=depth), CHANGES, 16)
    assert len(set(probs(batches))) == 3
    for place in range(1, 15):
        resumed = loader_of(photos, depth=depth)
        resumed.load_state_dict(numbered.through_json(states[place - 1]))
        later = {at: values for at, values in CHANGES.items() if at > place}
        states_after, rest = run(resumed, later, 16)
        numbered.assert_same(rest, batches[place:])
        assert states_after == states[place:]


def test_a_state_from_before_a_change_does_not_know_it(photos):
    loader = loader_of(photos)
    states, batches = run(loader, {}, 8)
    loader.set(prob=0)
    list(loader)
    loader.load_state_dict(states[2])
    numbered.assert_same(run(loader, {}, 8)[1], batches[3:])


def test_a_change_after_loading_counts_from_the_first_batch_drawn(photos):
    state = run(loader_of(photos, depth=4), {}, 3)[0][-1]
    resumed = loader_of(photos, depth=4)
    resumed.load_state_dict(state)
    resumed.set(prob=0)
    assert probs(run(resumed, {}, 6)[1]) == [0.0] * 3


def test_the_state_keeps_no_more_than_it_needs(photos):
    loader = loader_of(photos, depth=2)
    changes = {at: {"prob": at / 64} for at in range(1, 40)}
    states, _ = run(loader, changes, 40)
    assert max(len(state["schedules"]["prob"]) for state in states) == 2
    assert all(len(state["schedules"]["alpha"]) == 1 for state in states)


def test_several_pipelines_change_at_one_batch(photos):
    def make(shard, depth):
        return mixing(photos, seed=shard, batch_size=2, shard_id=shard, num_shards=2, depth=depth)

    def loader():
        made = [lambda: make(0, 1), lambda: make(1, 3)]
        return MixLoader(made, mixed=False, last_batch="fill")

    states, batches = run(loader(), {2: {"prob": 0.25}}, 8)
    columns = list(zip(*batches, strict=True))
    assert [probs(column) for column in columns] == [[1.0] * 4 + [0.25] * 4] * 2
    resumed = loader()
    resumed.load_state_dict(states[2])
    for column, expected in zip(zip(*run(resumed, {}, 8)[1], strict=True), columns, strict=True):
        numbered.assert_same(column, expected[3:])


@pytest.mark.parametrize("stops", [True, False])
def test_python_sources(stops):
    def source(iteration):
        if stops and iteration == 3:
            raise StopIteration
        return np.full((4, 5, 6, 3), iteration, np.uint8), np.arange(4, dtype=np.int32)

    def graph(images, labels):
        plan = dmix.plan(images, methods=MixUp(ALPHA), prob=PROB)
        return images, labels, plan.lam, PROB.node()

    def loader():
        made = numbered.feeding(source, 2, graph=graph, enable_checkpointing=True)
        return MixLoader(made, size=12, mixed=False)

    changes = {2: {"prob": 0.5}, 3: {"prob": 0.25}, 5: {"prob": 0.0}}
    states, batches = run(loader(), changes, 9)
    # What stops draws nothing of the next epoch in advance.
    third = 0.25 if stops else 0.5
    assert probs(batches) == [1.0, 1.0, 1.0, third, 0.25, 0.25, *[0.0] * 3]
    for place in range(1, 8):
        resumed = loader()
        resumed.load_state_dict(states[place - 1])
        later = {at: values for at, values in changes.items() if at > place}
        numbered.assert_same(run(resumed, later, 9)[1], batches[place:])


def test_one_schedule_may_serve_several_methods(photos):
    methods = [MixUp(ALPHA), CutMix(ALPHA)]
    loader = numbered.loader(photos, methods=methods, prefetch_queue_depth=1)
    loader.set(alpha=0)
    assert set(numbered.lams(loader)) == {1.0}


def test_it_lets_go_of_a_pipeline(photos):
    gc.collect()  # what earlier tests have left
    loader = loader_of(photos)
    held = len(schedule._sources)
    loader.close()
    del loader
    gc.collect()
    assert len(schedule._sources) == held - 1


def test_values_go_along_to_another_epoch(photos):
    alpha = Scheduled("alpha", 0.0)

    def graph(images, labels):
        return dmix.mixup(images, labels, alpha=alpha)

    def lams(batches):
        return {lam for _, target in batches for lam in target.lam.tolist()}

    loader = MixLoader(lambda: numbered.cropping(photos, graph=graph))
    next(iter(loader))
    loader.set(alpha=1.0)
    loader.set_epoch(4)
    assert lams(loader) != {1.0}
    loader.set_epoch(0)
    assert lams(loader) != {1.0}  # the newest value, as nothing says to which epoch it belongs
    loader.set(alpha=0.0)
    loader.set_epoch(2)
    assert lams(loader) == {1.0}
