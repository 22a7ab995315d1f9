"""What Scheduled numbers refuse: values, names, and states of other schedules."""

import numbered
import numpy as np
import pytest
from scheduled import ALPHA, loader_of, mixing

import dali_mix
from dali_mix import MixLoader, MixUp, Scheduled


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 15)


REFUSED = {
    "unknown": ({"beta": 1}, TypeError, "there are alpha, prob, got 'beta'"),
    "above": ({"prob": 1.5}, ValueError, r"prob must be in \[0, 1\], got 1\.5"),
    "below": ({"alpha": -1}, ValueError, "alpha must be finite and not negative, got -1"),
    "infinite": ({"alpha": np.inf}, ValueError, "alpha must be finite and not negative, got inf"),
    "nan": ({"prob": np.nan}, ValueError, r"prob must be in \[0, 1\], got nan"),
    "list": ({"alpha": [0.1, 0.2]}, TypeError, r"alpha must be one number, got \[0\.1, 0\.2\]"),
    "second": ({"prob": 0, "alpha": -1}, ValueError, "alpha must be finite"),
}


@pytest.mark.parametrize(("values", "error", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_set_is_named_and_changes_nothing(photos, values, error, sentence):
    loader = loader_of(photos)
    before = loader.state_dict()["schedules"]
    with pytest.raises(error, match=sentence):
        loader.set(**values)
    assert loader.state_dict()["schedules"] == before == {"alpha": [[0, 0, 1]], "prob": [[0, 0, 1]]}


def test_without_schedules_there_is_nothing_to_set(photos):
    with pytest.raises(TypeError, match="values of the pipelines, there is none, got 'alpha'"):
        numbered.loader(photos).set(alpha=0.1)


def test_a_closed_loader_takes_no_values(photos):
    loader = loader_of(photos)
    loader.close()
    with pytest.raises(RuntimeError, match="the loader is closed"):
        loader.set(alpha=0.1)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Scheduled("alpha", -0.1), ValueError, "alpha must be finite and not negative"),
        (lambda: Scheduled("p", 1.5, most=1), ValueError, r"p must be in \[0, 1\], got 1\.5"),
        (lambda: Scheduled("p", "1"), TypeError, "p must be one number, got '1'"),
        (lambda: Scheduled("my alpha", 1), ValueError, "name of a Scheduled .* got 'my alpha'"),
        (lambda: Scheduled(0.4, 1), ValueError, r"name of a Scheduled .* got 0\.4"),
        (lambda: ALPHA.node(), RuntimeError, "'alpha' needs a pipeline.*in dynamic mode pass a"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_dynamic_mode_takes_numbers():
    import dali_mix.dynamic

    images = np.zeros((4, 6, 5, 3), np.uint8)
    with pytest.raises(RuntimeError, match="needs a pipeline, and there is none here; in dynamic"):
        dali_mix.dynamic.plan(
            dali_mix.dynamic.ndd.as_batch(images, layout="HWC"), methods=MixUp(ALPHA)
        )


def test_two_of_one_name_must_be_one(photos):
    other = Scheduled("alpha", 0.5)
    with pytest.raises(ValueError, match="two different Scheduled named 'alpha'"):
        mixing(photos, prob=other)
    shards = [
        numbered.loader(photos, 2, methods=MixUp(alpha), shard=dali_mix.Shard(i, 2, i))
        for i, alpha in enumerate((ALPHA, other))
    ]
    together = MixLoader([loader._running.sources[0] for loader in shards])
    with pytest.raises(ValueError, match="the pipelines have different Scheduled named 'alpha'"):
        together.set(alpha=0.1)


def test_loaders_of_other_schedules_refuse_the_state(photos):
    state = numbered.loader(photos, methods=MixUp(ALPHA)).state_dict()
    other = numbered.loader(photos, methods=MixUp(1.0))
    with pytest.raises(ValueError, match=r"saved with the Scheduled values \['alpha'\].* has \[\]"):
        other.load_state_dict(state)
