"""What frameworks do to a batch, done to every target: it stays what it was."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from target_kinds import LAM, TARGETS, WEIGHTS, C, N, assert_same
from torch import nn
from torch.amp.autocast_mode import _cast
from torch.utils import _pytree
from torch.utils.data._utils.collate import default_convert
from torch.utils.data._utils.pin_memory import pin_memory

from dali_mix import ManifoldTarget, MixLoss, MixTarget, MultiMixTarget

EVERY = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
FLOATS = [torch.bfloat16, torch.float16, torch.float64]


def of_a_generator(target, function):
    """transformers.Trainer._prepare_input, composer's map_collection, torch's custom_fwd."""
    return type(target)(function(part) for part in target)


def of_a_list(target, function):
    """fastai.torch_core.apply."""
    return type(target)([function(part) for part in target])


def of_parts(target, function):
    """lightning's apply_to_collection, accelerate's honor_type, torch.utils.data."""
    return type(target)(*(function(part) for part in target))


def of_names(target, function):
    return type(target)(**{name: function(getattr(target, name)) for name in target._fields})


def made(target, function):
    return target._make(map(function, target))


def replaced(target, function):
    return target._replace(**{name: function(getattr(target, name)) for name in target._fields})


def mapped_as_a_tree(target, function):
    return _pytree.tree_map(function, target)


MAPS = [of_a_generator, of_a_list, of_parts, of_names, made, replaced, mapped_as_a_tree]


@EVERY
@pytest.mark.parametrize("rebuild", MAPS)
def test_it_is_rebuilt_of_its_parts(rebuild, target):
    assert_same(rebuild(target, lambda part: part), target)
    assert_same(rebuild(target, lambda part: part.clone()), target)
    moved = rebuild(target, lambda part: part.to("meta"))
    assert type(moved) is type(target) and all(part.is_meta for part in moved)


@EVERY
@pytest.mark.parametrize("rebuild", MAPS)
def test_other_things_may_stand_in_its_place(rebuild, target):
    for function in (lambda part: part.shape, lambda part: None, lambda part: part.tolist()):
        shapes = rebuild(target, function)
        assert type(shapes) is type(target)
        assert tuple(shapes) == tuple(function(part) for part in target)


@EVERY
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rebuild", MAPS)
def test_a_cast_of_each_floating_point_part_leaves_ids_and_the_dtype_of_weights(
    rebuild, dtype, target
):
    cast = rebuild(target, lambda part: part.to(dtype) if part.is_floating_point() else part)
    for name, part, before in zip(target._fields, cast, target, strict=True):
        if name in ("lam", "weights"):
            assert part.dtype == torch.float32
            torch.testing.assert_close(part, before, rtol=0.004, atol=1e-7)
        elif before.is_floating_point():
            assert part.dtype == dtype
        else:
            assert torch.equal(part, before) and part.dtype == before.dtype
    torch.testing.assert_close(sum(cast.shares), torch.ones(N))


@EVERY
def test_torch_carries_it(target):
    for carried in (
        default_convert(target),
        copy.copy(target),
        copy.deepcopy(target),
        pickle.loads(pickle.dumps(target)),
        _cast(target, "cuda", torch.float16),
        target[:],
        target[0 : len(target)],
    ):
        assert_same(carried, target)
    assert type(_cast(target, "cpu", torch.bfloat16)) is type(target)


@pytest.mark.gpu
@EVERY
def test_torch_pins_it(target):
    assert all(part.is_pinned() for part in pin_memory(target))


@EVERY
@pytest.mark.parametrize(
    "arguments",
    [
        ((torch.bfloat16,), {}),
        (("cpu", torch.bfloat16), {}),
        (("cpu", torch.bfloat16, True), {}),
        ((), {"device": "cpu", "dtype": torch.bfloat16, "non_blocking": True}),
        ((torch.zeros(2, dtype=torch.bfloat16),), {}),
    ],
    ids=str,
)
def test_to_casts_float_labels_and_nothing_else(target, arguments):
    cast = target.to(*arguments[0], **arguments[1])
    assert type(cast) is type(target)
    for name, part, before in zip(target._fields, cast, target, strict=True):
        label = name in ("y1", "y2", "ys") and before.is_floating_point()
        assert part.dtype == (torch.bfloat16 if label else before.dtype)
        assert torch.equal(part, before.to(part.dtype))
    assert_same(target.to("cpu"), target)
    moved = target.to("meta", torch.float64)
    assert all(part.is_meta for part in moved)
    assert moved.shares[0].dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_to_refuses_a_dtype_that_is_not_of_floats(dtype):
    target = TARGETS["pair of ids"]
    with pytest.raises(TypeError, match=f"dtype must be floating point, got {dtype}"):
        target.to(dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("k", [2, 4, 7, 300])
def test_weights_that_were_rounded_sum_to_1_again(k, dtype):
    drawn = torch.rand(500, k, generator=torch.Generator().manual_seed(k))
    weights = drawn / drawn.sum(1, keepdim=True)
    ys = torch.zeros(500, k, dtype=torch.int64)
    found = MultiMixTarget(ys, weights.to(dtype)).weights
    torch.testing.assert_close(found.sum(1), torch.ones(500), rtol=0, atol=1e-5)
    torch.testing.assert_close(found, weights, rtol=0.008, atol=1e-6)
    assert torch.equal(MultiMixTarget(ys, weights).weights, weights)  # to the bit


def test_lam_that_misses_its_bounds_by_a_rounding_is_clamped():
    y = torch.arange(3)
    lam = torch.tensor([1 + 2**-20, -(2**-20), 1 + 1e-12], dtype=torch.float64)
    assert MixTarget(y, y, lam).lam.tolist() == [1, 0, 1]
    for off in (1.01, -0.01):
        with pytest.raises(ValueError, match=r"lam must lie in \[0, 1\]"):
            MixTarget(y, y, off)


@EVERY
@pytest.mark.parametrize("size", [1, 4, N, N + 3, [2, 4]], ids=str)
def test_micro_batches_are_those_of_the_parts(target, size):
    if isinstance(target, ManifoldTarget):
        for call in (lambda: target.split(size), lambda: target.narrow(0, 1)):
            with pytest.raises(TypeError, match=r"cannot be split, as its samples have partners"):
                call()
        return
    pieces = target.split(size)
    assert [piece.batch_size for piece in pieces] == [len(p) for p in LAM.split(size)]
    assert_same(target._make(map(torch.cat, zip(*pieces, strict=True))), target)
    assert_same(target.narrow(0, pieces[0].batch_size), pieces[0])
    logits = torch.randn(N, C, *target.labels[0].shape[1:])
    if target.labels[0].dtype != torch.bool and target.labels[0].dim() != 2:
        loss = MixLoss(nn.CrossEntropyLoss(reduction="sum"))
        parts = zip(logits.split(size), pieces, strict=True)
        torch.testing.assert_close(sum(loss(x, t) for x, t in parts), loss(logits, target))


@EVERY
@pytest.mark.parametrize("cut", [slice(8), slice(4, 8), slice(-6, None)], ids=str)
def test_a_slice_meant_for_samples_gets_a_sentence(target, cut):
    with pytest.raises(IndexError, match=r"takes from the parts .* Use target\.narrow\(start"):
        target[cut]
    assert target[0] is next(iter(target)) and target[-1] is tuple(target)[-1]
    first, *others = target
    assert target[:1] == (first,) and target[1:] == tuple(others)


def test_a_fresh_process_loads_them_with_weights_only(tmp_path):
    torch.save([(torch.zeros(2), target) for target in TARGETS.values()], tmp_path / "batches.pt")
    program = (
        "import sys, torch\n"
        "from dali_mix import ManifoldTarget, MixTarget, MultiMixTarget\n"
        "for _, target in torch.load(sys.argv[1], weights_only=True):\n"
        "    print(type(target).__name__, [part.tolist() for part in target])\n"
    )
    command = [sys.executable, "-c", program, tmp_path / "batches.pt"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.splitlines() == [
        f"{type(target).__name__} {[part.tolist() for part in target]}"
        for target in TARGETS.values()
    ]


@EVERY
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_dtype_and_device_change_nothing(target, dtype):
    def build():
        y = [part.clone() for part in target]
        number = MixTarget(y[0], y[0], 0.3) if len(target) > 2 else target
        return type(target)(*y), number

    def numbers(target):
        return target.dense(C, 0.1, 0.05) if target[0].dim() < 3 else target.shares[0]

    expected = [*build(), numbers(target)]
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.device("meta"):
            found = [*build(), numbers(target)]
    finally:
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
    assert_same(found[0], expected[0])
    assert_same(found[1], expected[1])
    assert torch.equal(found[2], expected[2]) and found[2].dtype == torch.float32


@EVERY
def test_lightning_carries_it(target):
    pytest.importorskip("lightning")
    from lightning.pytorch.plugins.precision import DoublePrecision, HalfPrecision
    from lightning.pytorch.utilities import move_data_to_device
    from lightning.pytorch.utilities.data import extract_batch_size

    assert_same(move_data_to_device((0, target), torch.device("cpu"))[1], target)
    assert extract_batch_size([torch.zeros(N, 2), target]) == N
    for precision in (DoublePrecision(), HalfPrecision("bf16-true"), HalfPrecision("16-true")):
        cast = precision.convert_input(target)
        assert type(cast) is type(target) and cast.shares[0].dtype == torch.float32
        assert target.labels[0].is_floating_point() or torch.equal(cast[0], target[0])


class Batches:
    """One of each kind of target."""

    def __init__(self):
        ids = [target for name, target in TARGETS.items() if name.endswith("ids")]
        self.batches = [(torch.randn(N, 3), target) for target in ids]

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


PRECISIONS = ["32-true", "64-true", "bf16-true", "16-true", "bf16-mixed"]


@pytest.mark.filterwarnings("ignore")  # of its own code, and advice on workers
@pytest.mark.parametrize("precision", PRECISIONS)
def test_lightnings_trainer_trains_in_every_precision(precision):
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer, self.seen = nn.Linear(3, C), []

        def training_step(self, batch, index):
            x, target = batch
            self.seen.append(type(target))
            return MixLoss(nn.CrossEntropyLoss())(self.layer(x), target)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Module()
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, Batches())
    assert module.seen == [MixTarget, MultiMixTarget, ManifoldTarget]
    assert all(p.isfinite().all() for p in module.parameters())


@EVERY
def test_accelerate_carries_it(target):
    operations = pytest.importorskip("accelerate.utils.operations")
    assert_same(operations.send_to_device(target, "cpu", non_blocking=True), target)
    if not isinstance(target, ManifoldTarget):  # which has partners in the whole batch
        halves = [operations.slice_tensors(target, slice(k, k + 3)) for k in (0, 3)]
        assert_same(operations.concatenate(halves), target)
    assert operations.find_batch_size(target) == N
    assert type(operations.get_data_structure(target)) is type(target)


@EVERY
def test_transformers_carries_it(tmp_path, target):
    transformers = pytest.importorskip("transformers")
    arguments = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to=[])
    trainer = transformers.Trainer(model=nn.Linear(3, C), args=arguments)
    assert_same(trainer._prepare_inputs({"x": LAM, "labels": target})["labels"], target)


@EVERY
def test_composer_carries_it(target):
    composer = pytest.importorskip("composer")
    assert_same(composer.utils.map_collection(target, lambda part: part), target)
    assert_same(composer.devices.DeviceCPU().batch_to_device((LAM, target))[1], target)


@EVERY
def test_fastai_carries_it(target):
    core = pytest.importorskip("fastai.torch_core")
    for move in (core.to_cpu, core.to_detach):
        assert_same(move((LAM, target))[1], target)
    assert core.to_half(target).shares[0].dtype == torch.float32
    assert core.find_bs(target) == N


def test_fastais_learner_trains():
    learner = pytest.importorskip("fastai.learner")
    data = pytest.importorskip("fastai.data.core")
    loaders = data.DataLoaders(*[torch.utils.data.DataLoader(Batches().batches, None)] * 2)
    loaders.n_inp = 1
    model, seen = nn.Linear(3, C), []

    def loss(logits, target):
        seen.append(type(target))
        return MixLoss(nn.CrossEntropyLoss())(logits, target)

    learner.Learner(loaders, model, loss_func=loss).fit(1, lr=0.1)
    assert seen == [MixTarget, MultiMixTarget, ManifoldTarget] * 2
    assert all(p.isfinite().all() for p in model.parameters())


def test_the_kinds_of_targets_are_what_their_names_say():
    assert {type(t) for t in TARGETS.values()} == {MixTarget, MultiMixTarget, ManifoldTarget}
    torch.testing.assert_close(WEIGHTS.sum(1), torch.ones(N))
