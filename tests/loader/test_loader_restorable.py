"""What cannot be restored gives no state, and the part is named; nobody who asks for the methods
finds them. What can be restored is plain data, also where it was made of numbers of NumPy."""

import json

import numbered
import numpy as np
import pytest
from nvidia.dali import Pipeline, fn

import dali_mix
from dali_mix import MixLoader
from dali_mix.loader import checkpoint as _checkpoint

N = 24


def reading(*more, sources=(), checkpoints=True, **options):
    """A function that makes pipelines of a reader, and what `more` make of its labels."""

    def make():
        given = {"batch_size": 4, "num_threads": 1, "device_id": None, "seed": 1} | options
        pipeline = Pipeline(**given, enable_checkpointing=checkpoints)
        with pipeline:
            files = {"files": [__file__] * N, "labels": list(range(N))}
            _, y = fn.readers.file(**files, pad_last_batch=True)
            fed = [fn.external_source(**source()) for source in sources]
            pipeline.set_outputs(y, y, *(use(y) for use in more), *fed)
        return pipeline

    return lambda **arguments: MixLoader(make, mixed=False, **arguments)


class Labels:
    def __iter__(self):
        self.i = 0
        return self

    def __next__(self):
        if self.i >= N:
            raise StopIteration
        self.i += 4
        return [np.array([j], np.int32) for j in range(self.i - 4, self.i)]


def generated():
    for i in range(0, N, 4):
        yield np.arange(i, i + 4, dtype=np.int32)


def constant():
    return np.zeros(4, np.int32)


def indexed(k):
    return np.full(4, k, np.int32)


def of_sample(info):
    return np.int32([info.idx_in_epoch])


def doubled(y):
    return y * 2


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, y):
        self.calls += 1
        return y + self.calls


class Feeding(Pipeline):
    def iter_setup(self):
        self.feed_input("fed", [np.int32([7])] * 4)


def feeding():
    pipeline = Feeding(4, num_threads=1, device_id=None, enable_checkpointing=True)
    with pipeline:
        files = {"files": [__file__] * N, "labels": list(range(N))}
        _, y = fn.readers.file(**files, pad_last_batch=True)
        pipeline.set_outputs(y, fn.external_source(name="fed"))
    return pipeline


def source(thing, **options):
    return lambda: {"source": thing() if thing is Labels else thing, "batch": True} | options


UNRESTORABLE = {
    "iterable": (
        reading(sources=[source(Labels, cycle="raise")]),
        "fn.external_source reads Labels, an iterable, which takes no index",
    ),
    "generator function": (
        reading(sources=[source(generated, cycle="raise")]),
        "fn.external_source reads generated, a generator, which takes no index",
    ),
    "no index": (
        reading(sources=[source(constant)]),
        "fn.external_source reads constant, which takes no index",
    ),
    "second": (
        reading(sources=[source(indexed), source(generated, cycle="quiet")]),
        "fn.external_source reads generated, a generator",
    ),
    "function": (
        reading(lambda y: fn.python_function(y, function=doubled)),
        "fn.python_function calls doubled",
    ),
    "object": (
        reading(lambda y: fn.python_function(y, function=Counting(), batch_processing=False)),
        "fn.python_function calls Counting",
    ),
    "iter_setup": (lambda: MixLoader(feeding), "Feeding.iter_setup feeds the pipeline"),
    "no checkpoints": (reading(checkpoints=False), "made with enable_checkpointing=True"),
}


@pytest.mark.filterwarnings("ignore:Checkpointing enabled in a pipeline with external source")
@pytest.mark.parametrize(("make", "why"), UNRESTORABLE.values(), ids=UNRESTORABLE)
def test_what_cannot_be_restored_is_named(make, why):
    loader = make()
    next(iter(loader))
    for use in (lambda: loader.state_dict(), lambda: loader.load_state_dict({})):
        with pytest.raises(RuntimeError, match=why):
            use()
    for name in ("state_dict", "load_state_dict"):
        assert not hasattr(loader, name) and getattr(type(loader), name) is None
    assert isinstance(loader, MixLoader) and type(loader).__name__ == "MixLoader"
    assert len(list(loader)) == 6  # all else works


RESTORABLE = {
    "index": reading(sources=[source(indexed)]),
    "sample": reading(sources=[lambda: {"source": of_sample, "batch": False}]),
    "batch info": reading(
        sources=[source(lambda info: np.full(4, info.iteration, np.int32), batch_info=True)]
    ),
}


@pytest.mark.parametrize("make", RESTORABLE.values(), ids=RESTORABLE)
def test_sources_that_take_an_index_go_on(make):
    loader, resumed = make(), make()
    next(iter(loader))
    resumed.load_state_dict(numbered.through_json(loader.state_dict()))
    numbered.assert_same(list(resumed), list(make())[1:])


@pytest.mark.filterwarnings("ignore:Checkpointing enabled in a pipeline with external source")
def test_functions_that_keep_nothing_can_be_vouched_for():
    make = reading(lambda y: fn.python_function(y, function=doubled), sources=[source(constant)])
    loader, resumed = make(pure_python=True), make(pure_python=True)
    next(iter(loader))
    resumed.load_state_dict(loader.state_dict())
    numbered.assert_same(list(resumed), list(make())[1:])
    with pytest.raises(RuntimeError, match="an iterable"):  # which does keep where it is
        reading(sources=[source(Labels, cycle="raise")])(pure_python=True).state_dict()


def test_a_subclass_stays_one():
    class Mine(MixLoader):
        def own(self):
            return len(self)

    loader = Mine(numbered.feeding(lambda k: (indexed(k), indexed(k)), 2), size=8)
    assert isinstance(loader, Mine) and loader.own() == 2 and not hasattr(loader, "state_dict")


def numpy_numbers(root):
    return numbered.loader(
        root,
        np.int64(4),
        seed=np.int32(5),
        shard=dali_mix.Shard(np.int64(0), np.int64(2), np.int64(9)),
        num_threads=np.int8(1),
        prefetch_queue_depth=np.int64(2),
        size=np.int64(16),
    )


def test_numbers_of_numpy_are_plain_data(tmp_path):
    root = numbered.write(tmp_path, 17)
    plain = numbered.loader(root, 4, seed=5, shard=dali_mix.Shard(0, 2, 9), size=16)
    states = []
    for loader in (numpy_numbers(root), plain):
        next(iter(loader))
        states.append(json.dumps(loader.state_dict()))
    assert states[0] == states[1]
    own = reading(batch_size=np.int64(4), seed=np.uint32(3))()
    json.dumps(own.state_dict())
    sized = MixLoader(
        numbered.feeding(lambda k: (indexed(k), indexed(k)), 2, enable_checkpointing=True),
        size=np.int64(8),
    )
    json.dumps(sized.state_dict())


@pytest.mark.parametrize("version", ["0.1.7", "0.1.0rc1"])
def test_another_patch_release_is_a_warning(monkeypatch, version):
    make = reading()
    monkeypatch.setattr(_checkpoint, "__version__", "0.1.0")
    loader = make()
    next(iter(loader))
    state = loader.state_dict()
    monkeypatch.setattr(_checkpoint, "__version__", version)
    resumed = make()
    with pytest.warns(UserWarning, match=f"saved by dali_mix 0.1.0, and is loaded by {version}"):
        resumed.load_state_dict(state)
    numbered.assert_same(list(resumed), list(make())[1:])
    monkeypatch.setattr(_checkpoint, "__version__", "0.2.0")
    with pytest.raises(ValueError, match=r"saved with dali_mix '0.1.0', but this loader has '0.2"):
        make().load_state_dict(state)
    monkeypatch.setattr(_checkpoint, "FORMAT", 2)
    with pytest.raises(ValueError, match="saved with format 1, but this loader has 2"):
        make().load_state_dict(state)
