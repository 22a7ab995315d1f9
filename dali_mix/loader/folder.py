"""The pipeline of `MixLoader.from_imagefolder`: a recipe, with the GPU, threads and shard of this
process."""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from dali_mix import recipes  # before DALI, because it says in a sentence if DALI is missing
from dali_mix.graph.checks import as_methods, images_of
from dali_mix.images.class_folders import ImageList, class_names
from dali_mix.images.image_list import chosen
from dali_mix.loader.arguments import check_names
from dali_mix.loader.epochs import share_of_reader
from dali_mix.loader.shards import Shard, local_rank_and_size, spread_seed
from dali_mix.loader.substitute import StandIns
from dali_mix.loader.tail import PATTERNS, KeptPartners
from dali_mix.methods.method import is_whole

# isort: split
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.pipeline import Pipeline, do_not_convert

_READER = "Reader"
_DTYPES = {
    torch.float32: types.FLOAT,
    torch.float16: types.FLOAT16,
    torch.uint8: types.UINT8,
    torch.int8: types.INT8,
}


@dataclass(frozen=True)
class FolderPipeline:
    """A function that makes the pipeline, as often as it is called."""

    root: str
    training: bool
    keeps_tail: bool
    """Whether the padded last batch of an epoch is kept."""
    options: dict[str, Any]
    """Arguments of the pipeline."""
    recipe: dict[str, Any]
    """Arguments of the recipe."""
    images: ImageList
    classes: list[str]
    """Names of the classes, in the order of the labels."""
    stand_ins: StandIns | None = None
    """Replaces bad files by good ones."""

    @property
    def class_counts(self) -> list[int]:
        """How many images each class has."""
        counts = Counter(self.images.labels)
        return [counts[label] for label in range(len(self.classes))]

    @property
    def mixes_copies(self) -> bool:
        """Whether samples may mix with the copies that fill the last batch."""
        return self._mixes and not self.keeps_tail

    @property
    def _mixes(self) -> bool:
        return self.training and self.recipe.get("methods", ()) is not None

    def __call__(self) -> Pipeline:
        partners = None
        if self._mixes and self.keeps_tail:
            partners = KeptPartners(
                self.options["seed"], _pattern(self.recipe), _images(self.recipe)
            )
        function: Any = recipes.imagefolder_train if self.training else recipes.imagefolder_val
        images = self.images if self.stand_ins is None else self.stand_ins.images()
        given = self.recipe | {"files": images}

        def graph() -> tuple[Any, ...]:
            if partners is not None:
                given["partner"] = _partner_node(partners)
            return function(self.root, **given)

        pipeline = _with_conditionals(graph, self.recipe.get("augment") is not None, self.options)
        meta = pipeline.reader_meta(_READER)
        if partners is not None:
            partners.share = share_of_reader(_READER, meta, pipeline.max_batch_size)
        return pipeline


@do_not_convert
def _partner_node(partners: KeptPartners) -> Any:
    return fn.external_source(
        source=partners,
        name=f"partner-{partners.pattern}",
        dtype=types.INT32,
        ndim=0 if partners.images == 2 else 1,
    )


def _with_conditionals(
    graph: Callable[[], tuple[Any, ...]], conditionals: bool, options: dict[str, Any]
) -> Pipeline:
    """The pipeline of a graph that may choose by `if`, as RandAugment does."""
    try:
        with warnings.catch_warnings(record=True) as heard:
            pipeline = pipeline_def(graph, enable_conditionals=conditionals)(**options)
    except Exception as error:
        # DALI adds the lines of the graph to the message. The original error says enough.
        cause = error.__context__ if hasattr(error.__context__, "ag_error_metadata") else error
        if "used in conditional context" in str(cause):
            raise TypeError(
                "augment chooses by `if` among images, but DALI cannot read its source; define it "
                "by def in a file, or give a function of DALI's with its arguments, such as "
                "functools.partial(rand_augment, n=2, m=9, shape=[224, 224])."
            ) from cause
        raise cause or error from None
    for warning in heard:
        # DALI's own augmentations use names of operators that DALI has deprecated.
        if "moved out from the experimental phase" not in str(warning.message):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return pipeline


def folder_pipeline(
    root: str | os.PathLike[str],
    training: bool,
    keeps_tail: bool,
    shard: Shard,
    seed: int,
    *,
    batch_size: int,
    device: str | None,
    device_id: int | None,
    num_threads: int | None,
    prefetch_queue_depth: int,
    on_bad_file: str,
    **recipe: Any,
) -> FolderPipeline:
    """The pipeline for the arguments of `MixLoader.from_imagefolder`, checked and completed."""
    threads = _threads() if num_threads is None else num_threads
    for name, value in (
        ("batch_size", batch_size),
        ("num_threads", threads),
        ("prefetch_queue_depth", prefetch_queue_depth),
    ):
        if not (is_whole(value) and value >= 1):
            raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}.")
    options = {
        "batch_size": int(batch_size),  # DALI does not take NumPy numbers everywhere
        "num_threads": int(threads),
        "device_id": _device_id(device, device_id),
        "seed": int(shard.seed),
        "prefetch_queue_depth": int(prefetch_queue_depth),
        "enable_checkpointing": True,
    }
    recipe = _checked_recipe(training, recipe)
    if training:
        # DALI adds the number of the epoch to this seed, and takes 32 bits.
        recipe.setdefault("shuffle_seed", spread_seed(seed) % 2**30)
    recipe |= {"shard_id": int(shard.shard_id), "num_shards": int(shard.num_shards)}
    root, stand_ins = os.fspath(root), None
    classes = recipe.pop("classes", None)
    images = chosen(recipe.get("files"), root, classes)
    classes = class_names(root) if classes is None else list(classes)
    if on_bad_file == "substitute":
        # Training shuffles all files before it takes its shard, so any of them may come.
        own = (0, 1) if training else (shard.shard_id, shard.num_shards)
        stand_ins = StandIns(root, images, *own)
    return FolderPipeline(root, training, keeps_tail, options, recipe, images, classes, stand_ins)


def _checked_recipe(training: bool, recipe: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the recipe, with a torch.dtype replaced by DALI's."""
    function: Any = recipes.imagefolder_train if training else recipes.imagefolder_val
    known = set(inspect.signature(function).parameters) - {"root", "shard_id", "num_shards", "draw"}
    known -= {"device"}
    if training:
        known |= {"per", "prob", "prob_per", "choose_per", "partner"}
    caller = f"from_imagefolder() with training={training}"
    check_names(caller, recipe, known, "of the recipe it")
    dtype = recipe.get("dtype")
    if isinstance(dtype, torch.dtype):
        if dtype not in _DTYPES:
            raise ValueError(
                f"dtype must be one of {', '.join(map(str, _DTYPES))}, got {dtype}; "
                "convert x afterwards."
            )
        return recipe | {"dtype": _DTYPES[dtype]}
    return dict(recipe)


def _images(recipe: dict[str, Any]) -> int:
    """The largest number of images that one sample mixes."""
    methods = recipe.get("methods")
    return 2 if methods is None else images_of(as_methods(methods))


def _pattern(recipe: dict[str, Any]) -> str:
    """How `KeptPartners` draws partners."""
    pattern = recipe.get("partner", "derange")
    if pattern not in PATTERNS[:4]:
        raise ValueError(f"partner must be one of {', '.join(PATTERNS[:4])}, got {pattern!r}.")
    if recipe.get("per") != "pair":
        return pattern
    if pattern not in ("derange", "reverse"):
        raise ValueError(
            f'per="pair" needs partners that pair up, got {pattern!r}. Use "derange" (a random '
            'matching) or "reverse".'
        )
    return "match" if pattern == "derange" else pattern


def _device_id(device: str | None, device_id: int | None) -> int | None:
    """Number of the GPU that the pipeline uses; None: the CPU."""
    if device not in (None, "cpu", "gpu"):
        raise ValueError(f'device must be "cpu" or "gpu", got {device!r}.')
    there = torch.cuda.is_available()
    if device == "cpu" or (device is None and device_id is None and not there):
        return None
    if not there:
        raise RuntimeError(
            "a GPU is asked for, and this PyTorch sees none; take device='cpu', or install a "
            "PyTorch with CUDA."
        )
    return _own_gpu() if device_id is None else device_id


def _own_gpu() -> int:
    """PyTorch's current GPU, unless it is the first one. Then the GPU with the number of this local
    rank, if it is visible."""
    current: int = torch.cuda.current_device()
    rank, _ = local_rank_and_size() or (0, 1)
    return rank if current == 0 and rank < torch.cuda.device_count() else current


def _threads() -> int:
    """The processors of this process, divided by the processes of its node."""
    _, processes = local_rank_and_size() or (0, 1)
    return max(len(os.sched_getaffinity(0)) // processes, 1)
