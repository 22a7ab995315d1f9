"""States that a loader refuses: from another version, data set, shard, graph, or damaged. Each time
the sentence says what differs."""

import numbered
import pytest
import torch
from numbered import cropping, noisy
from nvidia import dali
from nvidia.dali import ops

import dali_mix
import dali_mix.fn as dmix
import setup
from dali_mix import CutMix, MixLoader, MixUp


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 15)


def refusal(loader, state):
    with pytest.raises(ValueError, match="cannot continue bit for bit") as error:
        loader.load_state_dict(state)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 0),
        ("dali_mix", "0.0.9"),
        *(("DALI", release) for release in setup.DALI_RELEASES if release != dali.__version__),
        ("images", 16),
        ("batch_size", 5),
        ("num_shards", 2),
        ("shard_id", [1]),
        ("seed", [7]),
        ("last_batch", "fill"),
    ],
)
def test_what_differs_is_named(photos, name, value):
    loader = noisy(photos)
    state = loader.state_dict()
    here = state[name]
    with pytest.raises(ValueError, match="but this loader has") as error:
        loader.load_state_dict(state | {name: value})
    assert f"the state was saved with {name} {value!r}, but this loader has {here!r}" in str(
        error.value
    )


def test_a_later_version_is_named_whatever_else_its_states_hold(photos):
    state = {"dali_mix": "9.0.0", "format": 1, "epochs": 3}
    assert "with dali_mix '9.0.0', but this loader has" in refusal(noisy(photos), state)


def test_loaders_that_differ_refuse_each_others_states(photos, tmp_path):
    state = noisy(photos).state_dict()
    for other, name in (
        (noisy(photos, batch_size=5), "batch_size"),
        (noisy(photos, batch_size=4, shard=dali_mix.Shard(0, 3, 0)), "num_shards"),
        (noisy(photos, seed=1), "seed"),
        (noisy(numbered.write_noise(tmp_path, 14)), "images"),
    ):
        with pytest.raises(ValueError, match=f"saved with {name}"):
            other.load_state_dict(state)


@pytest.mark.parametrize("state", [{}, {"epoch": 1}, None, [1]])
def test_what_is_no_state_is_refused(photos, state):
    with pytest.raises(ValueError, match="state must be what state_dict"):
        noisy(photos).load_state_dict(state)


@pytest.mark.parametrize("name", ["epoch", "batch", "graphs", "pipelines", "sha256"])
def test_a_damaged_state_is_refused(photos, name):
    loader = noisy(photos)
    state = loader.state_dict()
    damaged = {"epoch": 1, "batch": 2, "graphs": [], "sha256": "0"}
    text = state["pipelines"][0]
    damaged["pipelines"] = [text[:9] + ("B" if text[9] == "A" else "A") + text[10:]]
    with pytest.raises(ValueError, match="the state is damaged"):
        loader.load_state_dict(state | {name: damaged[name]})
    loader.load_state_dict(state)


def test_another_graph_is_refused(photos):
    def unmixed(images, labels):
        return images, labels, labels, dmix.plan(images, labels).lam

    said = refusal(
        MixLoader(cropping(photos, graph=unmixed)), MixLoader(cropping(photos)).state_dict()
    )
    assert "with fn.dali_mix.apply, but this loader has no further operator" in said
    said = refusal(
        MixLoader(cropping(photos)), MixLoader(cropping(photos, graph=unmixed)).state_dict()
    )
    assert "with no further operator, but this loader has fn.dali_mix.apply" in said


@pytest.mark.parametrize(
    ("other", "saved", "here"),
    [
        (
            {"methods": MixUp(1.0)},
            "], fold=[1, 0], alpha=[1.0, 1.0], weights=[1.0, 1.0])",
            "plan(methods=[mixup], fold=[1], alpha=[1.0], weights=[1.0])",
        ),
        (
            {"methods": [MixUp(0.4), CutMix()]},
            "plan(alpha=[1.0, 1.0])",
            "plan(alpha=[0.4, 1.0])",
        ),
        ({"weights": [1, 3]}, "plan(weights=[1.0, 1.0])", "plan(weights=[1.0, 3.0])"),
        ({"prob": 0.5}, "plan()", "plan(prob=0.5)"),
        ({"dtype": torch.float16}, "apply(dtype=FLOAT)", "apply(dtype=FLOAT16)"),
        ({"mirror": 0.25}, "", "coin_flip(probability=0.25)"),
        ({"size": 17}, "resize(size=[16.0, 16.0])", "resize(size=[17.0, 17.0])"),
    ],
)
def test_another_recipe_is_refused_by_what_differs(photos, other, saved, here):
    said = refusal(noisy(photos, **other), noisy(photos).state_dict())
    assert f"{saved}, but this loader has fn." in said and f"{here}; it cannot" in said


def test_another_way_to_draw_partners_among_kept_samples_is_refused(photos):
    state = noisy(photos, last_batch="partial").state_dict()
    said = refusal(noisy(photos, last_batch="partial", partner="roll"), state)
    assert "(name=partner-derange), but" in said and "(name=partner-roll)" in said


def test_the_arguments_of_ones_own_pipeline_count(photos):
    def mixing(alpha):
        return lambda images, labels: dmix.mixup(images, labels, alpha=alpha)

    state = MixLoader(cropping(photos, graph=mixing(0.2))).state_dict()
    said = refusal(MixLoader(cropping(photos, graph=mixing(0.25))), state)
    assert "plan(alpha=[0.2]), but this loader has fn.dali_mix.plan(alpha=[0.25])" in said


def test_constants_of_arithmetic_and_of_operators_as_classes_count(photos):
    def computing(factor, probability):
        def graph(images, labels):
            mirror = ops.random.CoinFlip(probability=probability)()
            x, *labels = dmix.mixup(images, labels, mirror=mirror)
            return x * factor, *labels

        return lambda: cropping(photos, graph=graph)

    state = MixLoader(computing(2.5, 0.25)).state_dict()
    said = refusal(MixLoader(computing(3.0, 0.25)), state)
    assert "math.mul(real_constants=[2.5]), but this loader has math.mul(real_cons" in said
    said = refusal(MixLoader(computing(2.5, 0.75)), state)
    assert "CoinFlip(probability=0.25), but this loader has ops.random.CoinFlip(prob" in said
    MixLoader(computing(2.5, 0.25)).load_state_dict(state)
