"""A step that is cut off anywhere, by whatever a signal handler raises: later epochs are whole and
in order, a state goes on where the loader stands, or the loader refuses."""

import os
import signal
import sys
import time

import numbered
import numpy as np
import pytest
from numbered import cropping, noisy
from nvidia.dali import Pipeline, fn
from nvidia.dali.pipeline import pipeline_tls

from dali_mix import MixLoader, MixUp

WATCHED = ("/dali_mix/", "/nvidia/dali/pipeline.py", "/nvidia/dali/external_source.py")
EXITS = (KeyboardInterrupt, SystemExit, GeneratorExit)
# Of a pipeline of DALI whose constructor was cut off.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 15)


class Cut:
    """Leaves what is called at the line number `at` of the loader or of DALI that is executed, as
    the handler of a signal would."""

    def __init__(self, at):
        self.left = at
        self.kind = EXITS[at % 3]

    def __call__(self, work):
        """Whether there was such a line."""
        before = sys.gettrace()
        sys.settrace(self._entered)
        try:
            work()
        except self.kind:
            return True
        finally:
            sys.settrace(before)
        return False

    def _entered(self, frame, event, arg):
        watched = any(part in frame.f_code.co_filename for part in WATCHED)
        return self._executed if watched else None

    def _executed(self, frame, event, arg):
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise self.kind
        return self._executed


@pytest.fixture(autouse=True)
def _no_current_pipeline():
    """DALI forgets to take a pipeline off its stack when its `with` is cut off."""
    yield
    pipeline_tls.current_pipeline = None
    pipeline_tls.pipeline_stack = []


def cuts(step):
    """Cut number 1, 1 + step, …: until the test breaks off."""
    at = 1
    while at < 20_000:
        yield Cut(at)
        at += step
    raise AssertionError("the work never ended")


def assert_goes_on(loader, epochs):
    """The next iter() goes on where the loader says or begins the next epoch, and the ones after
    follow."""
    place = loader.epoch, loader.batch
    got = list(loader)
    epoch = loader.epoch - 1
    assert epoch in (place[0], place[0] + 1)
    numbered.assert_same(got, epochs[epoch][place[1] if epoch == place[0] else 0 :])
    numbered.assert_same(list(loader), epochs[epoch + 1])


def assert_resumes(state, make, epochs):
    resumed = make()
    resumed.load_state_dict(numbered.through_json(state))
    epoch, batch = resumed.epoch, resumed.batch
    numbered.assert_same(list(resumed), epochs[epoch][batch:])
    numbered.assert_same(list(resumed), epochs[epoch + 1])


def own(root):
    return MixLoader(lambda: cropping(root))


def tail(root):
    return noisy(root, last_batch="partial")


def at_batch(count):
    """The step after so many batches."""

    def prepared(loader):
        steps = iter(loader)
        for _ in range(count):
            next(steps)
        return lambda: next(steps, None)

    return prepared


def after_leaving_an_epoch(loader):
    next(iter(loader))
    return lambda: next(iter(loader))


def asked_to_go_far(loader):
    loader.set_epoch(2)
    return lambda: next(iter(loader))


def loading(loader):
    next(iter(loader))
    state = loader.state_dict()
    list(loader)
    return lambda: loader.load_state_dict(state)


SCENES = {
    "first step": (noisy, at_batch(0), 23),
    "a step": (noisy, at_batch(2), 11),
    "a step before the tail": (tail, at_batch(2), 29),
    "a step of ones own": (own, at_batch(1), 11),
    "the end": (own, at_batch(3), 7),
    "making the pipeline anew": (noisy, after_leaving_an_epoch, 131),
    "making ones own anew": (own, after_leaving_an_epoch, 113),
    "going far": (own, asked_to_go_far, 97),
    "loading": (own, loading, 61),
}


@pytest.mark.parametrize(("make", "prepare", "step"), SCENES.values(), ids=SCENES)
def test_wherever_it_is_cut_off_it_goes_on(photos, make, prepare, step):
    epochs = [list(loader) for loader in [make(photos)] * 6]
    for number, cut in enumerate(cuts(step)):
        loader = make(photos)
        if not cut(prepare(loader)):
            assert number > 4
            break
        if number % 2:
            assert_resumes(loader.state_dict(), lambda: make(photos), epochs)
        assert_goes_on(loader, epochs)


def test_a_batch_that_nobody_got_is_not_counted(photos):
    epochs = [list(loader) for loader in [own(photos)] * 3]
    counted = 0
    for cut in cuts(11):
        loader = own(photos)
        if not cut(at_batch(1)(loader)):
            break
        place = loader.state_dict()["batch"]
        counted += place != 1  # where no signal is looked for: between the count and the yield
        assert_resumes(loader.state_dict(), lambda: own(photos), epochs)
    assert counted <= 1


@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_pipeline_given_as_an_object_goes_on_or_refuses(photos, checkpoints):
    epochs = [list(loader) for loader in [own(photos)] * 4]
    refused = 0
    for cut in cuts(7):
        loader = MixLoader(cropping(photos, checkpoints=checkpoints))
        if not cut(at_batch(1)(loader)):
            break
        if not loader._running.apart:
            assert_goes_on(loader, epochs)
            continue
        refused += 1
        sentence = "was interrupted while DALI worked.* give MixLoader a function that makes it"
        for use in (lambda loader=loader: iter(loader), lambda loader=loader: loader.set(alpha=1)):
            with pytest.raises(RuntimeError, match=sentence):
                use()
    assert refused > 5


def test_substituting_a_file_may_be_cut_off(tmp_path):
    root = numbered.write_noise(tmp_path, 15)
    bad = root / "0" / "004.jpg"

    def make(spoiled=b"no image"):
        bad.write_bytes(spoiled)
        return noisy(root, on_bad_file="substitute", methods=MixUp(1.0))

    epochs = [list(loader) for loader in [make()] * 4]
    for cut in cuts(251):
        loader = make()
        if not cut(lambda loader=loader: list(loader)):
            break
        assert_goes_on(loader, epochs)


class Stopped(BaseException):
    """What the handler of a signal may raise."""


def raising(error):
    """A handler of signals."""

    def handler(number, frame):
        raise error

    return handler


@pytest.fixture
def handled():
    """Sets the handler of a signal for one test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    yield signal.signal
    for number, handler in before.items():
        signal.signal(number, handler)


def numbers(told, depth):
    """Ten numbers in batches of four; a signal comes while DALI works on the second batch."""

    def tap(y):
        if y[0] == 5 and told:
            time.sleep(0.05)
            os.kill(os.getpid(), told.pop())
        return y

    options = {"prefetch_queue_depth": depth, "enable_checkpointing": True}
    pipeline = Pipeline(4, num_threads=1, device_id=None, **options)
    with pipeline:
        files = {"files": [__file__] * 10, "labels": list(range(10))}
        _x, y = fn.readers.file(**files, pad_last_batch=True)
        pipeline.set_outputs(y, fn.python_function(y, function=tap))
    return pipeline


NUMBERS = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    ("number", "handler", "raised"),
    [
        (signal.SIGINT, signal.default_int_handler, KeyboardInterrupt),
        (signal.SIGALRM, raising(SystemExit(3)), SystemExit),
        (signal.SIGALRM, raising(Stopped()), Stopped),
    ],
    ids=["ctrl-c", "exit", "other"],
)
def test_a_signal_while_dali_works(handled, number, handler, raised, depth):
    handled(number, handler)
    told, seen = [number], []
    loader = MixLoader(lambda: numbers(told, depth), pure_python=True)
    with pytest.raises(raised):
        seen.extend(y.tolist() for _, y in loader)
    assert seen == NUMBERS[: len(seen)]
    state = loader.state_dict()
    for _ in range(3):
        assert [y.tolist() for _, y in loader] == NUMBERS
    resumed = MixLoader(lambda: numbers([], depth), pure_python=True)
    resumed.load_state_dict(state)
    assert seen + [y.tolist() for _, y in resumed] == NUMBERS


def test_an_ordinary_exception_of_a_handler_is_a_failure(handled):
    handled(signal.SIGALRM, raising(TimeoutError("too slow")))
    loader = MixLoader(lambda: numbers([signal.SIGALRM], 1), pure_python=True)
    with pytest.raises(TimeoutError):
        list(loader)
    with pytest.raises(
        RuntimeError, match=r"failed and cannot go on: too slow.* Make a new one, or"
    ):
        iter(loader)
    with pytest.raises(RuntimeError, match="failed and cannot go on: too slow"):
        loader.state_dict()


@pytest.mark.parametrize("raised", [MemoryError("no room"), GeneratorExit(), SystemExit(1)])
def test_what_a_python_source_raises_is_no_end_of_the_epoch(raised):
    def source(k):
        if k == 1:
            raise raised
        return [np.int32([k])] * 4

    loader = MixLoader(lambda: numbered.feeding(lambda k: (source(k),) * 2, 2), size=12)
    with pytest.raises(type(raised)):
        list(loader)
    with pytest.raises(RuntimeError, match="Make a new"):
        list(loader)
