"""MixLoader: iterates over a DALI pipeline as over PyTorch's DataLoader.

What the pipeline computes is written elsewhere: by you, or in recipes.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from dali_mix.loader.folder import (
    folder_pipeline,  # before DALI, because it says in a sentence if DALI is missing
)

# isort: split
from dali_mix.graph import schedule
from dali_mix.loader import checkpoint, shards, substitute
from dali_mix.loader.arguments import check_names
from dali_mix.loader.batches import form_of
from dali_mix.loader.description import draws
from dali_mix.loader.epochs import check_together
from dali_mix.loader.plans import plans_of
from dali_mix.loader.running import Running
from dali_mix.loader.shards import Shard
from dali_mix.loader.sources import Source, check_last_batch, check_seeds, share_of
from dali_mix.loader.stateless import without_state
from dali_mix.loader.substitute import Substituted
from dali_mix.loader.walk import BatchSampler, Walk
from dali_mix.methods.method import is_whole
from dali_mix.recipes import REPEATED_PLAN

__all__ = ["MixLoader"]


class MixLoader:
    """Iterates over epochs of (x, target), as a DataLoader does.

    pipelines:   a DALI pipeline; or a function without arguments that makes one, so that the
                 loader can start again at any place; or a list of these, one for each GPU of this
                 process, each of which reads its own shard
    reader_name: name of the reader that tells the length of an epoch; default: the only reader. It
                 must have pad_last_batch=True, unless all batches are full without padding
    last_batch:  what to do with samples that do not fill a batch. "drop": leave them out (default
                 when mixing); "partial": yield a smaller batch (default without mixing); "fill":
                 add copies of the last sample. A reader whose images are mixed takes "drop" only,
                 because DALI pads before it mixes: samples would mix with copies of themselves.
                 `from_imagefolder` takes all three
    mixed:       whether the pipeline returns (x, y1, y2, lam), or (x, ys, weights) if a sample
                 mixes K images, rather than (x, y). Default: yes, if there are 3 or 4 outputs, and
                 the last one comes from a mixing function or a plan of dali_mix. Tuples of labels
                 need it: True for outputs (x, *y1, *y2, lam) or (x, *ys, weights), which the shape
                 of the last one tells apart; False for (x, *y). Outputs (x, boxes, labels, weights)
                 of `apply_boxes` are known without it
    size:        samples of one epoch, for a pipeline without a reader. Its source stops after
                 each epoch or never; all batches except the last of an epoch must be full
    same_draws:  allow that pipelines of a list have the same seed and draw the same numbers
    on_bad_file: what happens if a file cannot be decoded or has vanished. "raise": an error that
                 names it; "substitute": see `from_imagefolder`, which this needs
    pure_python: promise that the Python functions in the pipelines depend on their inputs alone,
                 so that they need no state
    plan:        the pipeline returns the columns of a plan behind all else, as `*plan.columns`, and
                 each step yields (x, target, plan)
    repeats:     the pipeline returns so many groups of outputs, such as crops of the same images;
                 they make one batch, the first group first

    Each step yields (x, target). With a list of pipelines it yields a list of (x, target), without
    the pipelines whose shard has no samples left:
      x:       (N, C, H, W) images; HWC output gets channels_last strides and is not copied. Other
               shapes stay as the pipeline returns them
      target:  MixTarget(y1, y2, lam) or MultiMixTarget(ys, weights) when mixing; BoxTarget for
               boxes; else y; a tuple of these for tuples of labels. Integer labels of shape (N,)
               or (N, 1) become (N,) int64, and (N, K) in ys; all others stay
      plan:    with plan=True, a Plan of tensors, on the device of x, by which
               `dali_mix.training.apply` mixes other tensors alike; a tuple of these for several
    Tensors are on the CPU or GPU, as the pipeline returns them. They are not copied, except with
    exec_dynamic=False. They are yours: DALI does not write to them again, even after close().

    len(loader) is the number of batches of the epoch; "drop" and "fill" give every rank the same.
    Each iter() is a new epoch, and epoch k has the same batches whatever happened before.

    If you leave an epoch early, the loader skips the rest of it without computing it, provided that
    the place of the pipelines can be computed. That is so if they come from functions, have
    enable_checkpointing=True and a reader, and the state of each operator depends on the number of
    batches only. It does not for partner="previous", random operators that take an image inside an
    `if`, and Python that keeps a state. Then the rest is computed and thrown away.

    If a step is interrupted, such as by Ctrl-C, later epochs and states lose no batch, provided
    that the place of the pipelines can be computed. Otherwise the next call is a RuntimeError that
    says what to do.

    DALI's own iterators can run a mixing pipeline too, with four names for the outputs and
    LastBatchPolicy.DROP; with other policies samples are mixed with copies.
    DALIClassificationIterator takes two outputs only: x and soft labels.
    """

    def __init__(
        self,
        pipelines: Source | Sequence[Source],
        *,
        reader_name: str | None = None,
        last_batch: str | None = None,
        mixed: bool | None = None,
        size: int | None = None,
        same_draws: bool = False,
        on_bad_file: str = "raise",
        pure_python: bool = False,
        plan: bool = False,
        repeats: int = 1,
        **unknown: NoReturn,
    ) -> None:
        check_names("MixLoader()", unknown, MixLoader.__init__.__kwdefaults__ or ())
        single = not isinstance(pipelines, Sequence)
        sources = list(pipelines) if isinstance(pipelines, Sequence) else [pipelines]
        self._running = running = Running(sources, reader_name, size, pure_python)
        shares = [share_of(pipeline, running.reader, size) for pipeline in running.pipelines]
        check_together(shares)
        substitute.check_on_bad_file(on_bad_file, sources)
        if not (is_whole(repeats) and repeats >= 1):
            raise ValueError(f"repeats must be a whole number, at least 1, got {repeats!r}.")
        if plan and repeats != 1:
            raise ValueError(REPEATED_PLAN)
        plans = plans_of(running.pipelines[0]) if plan else []
        form = form_of(running.pipelines[0], mixed, sum(map(len, plans)), repeats)
        mixing = form == "mixed" or plan or (mixed is None and any(map(draws, running.pipelines)))
        if mixing and not same_draws:
            check_seeds(running.pipelines)
        self.classes: list[str] | None = getattr(sources[0], "classes", None)
        """Names of the classes in the order of their labels; None without `from_imagefolder`."""
        self.class_counts: list[int] | None = getattr(sources[0], "class_counts", None)
        """How many images each class has, in all shards; None as above."""
        last_batch = last_batch or ("drop" if mixing else "partial")
        check_last_batch(last_batch, shares, mixing, running.reader, sources)
        self._walk = Walk(running, shares, last_batch, form, mixing, single, plans, repeats)
        why = running.no_state()
        if why is not None:
            self.__class__ = without_state(type(self), why)

    @classmethod
    def from_imagefolder(
        cls,
        root: str | os.PathLike[str],
        *,
        batch_size: int,
        training: bool = True,
        last_batch: str | None = None,
        seed: int = 0,
        same_draws: bool = False,
        shard: Shard | None = None,
        device: str | None = None,
        device_id: int | None = None,
        num_threads: int | None = None,
        prefetch_queue_depth: int = 2,
        on_bad_file: str = "raise",
        plan: bool = False,
        repeats: int = 1,
        **recipe: Any,
    ) -> MixLoader:
        """Training or validation batches of a folder with one folder of images for each class.

        root:        as in `recipes.imagefolder_train` and `recipes.imagefolder_val`
        batch_size:  of this process
        training:    True: shuffled, randomly cropped, mirrored and mixed; False: in order, and
                     none of these
        last_batch:  "drop" (default in training), "partial" (default in validation) or "fill". In
                     training, "partial" and "fill" draw the partners in Python, among the samples
                     that are not copies; copies are not mixed. "partial" is refused in training if
                     it gives the shards different numbers of batches: ranks would wait for ever
        seed:        seed of everything random; pass the same on all ranks
        same_draws:  let all ranks draw the same numbers; by default every rank draws its own
        shard:       default: `dali_mix.shard(seed, same_draws=same_draws)`, from torch.distributed
        device:      "gpu" or "cpu"; default: a GPU, if PyTorch sees one
        device_id:   number of the GPU; default: PyTorch's current one, if that is not the first;
                     else LOCAL_RANK, if torchrun has set it
        num_threads: default: the processors of this process, divided by the processes of its node
        on_bad_file: what happens if a file cannot be decoded or has vanished. "raise": an error
                     that names it. "substitute": the next good file of the list replaces it, and
                     the number of batches stays the same. That file has the same label in most
                     cases. The batches are, bit for bit, those of a folder in which a copy of the
                     good file has replaced the bad one. Each bad file is logged once, as a warning
                     of the logger "dali_mix", listed by `substituted`, and saved in `state_dict()`
        plan:        yield (x, target, plan) in training, as `MixLoader` does
        repeats:     in training, crops of each image in a batch; an epoch has so many times more
                     samples. Divides batch_size. See `recipes.imagefolder_train`
        recipe:      files (a list of good ones), classes (those of the training loader), methods,
                     weights, size, augment, mean, std, dtype (of DALI or PyTorch), layout …
        """
        if plan and not training:
            raise ValueError("plan=True is for training, whose images are mixed; leave it out.")
        recipe |= {"plan": True} if plan else {}
        if repeats != 1:
            whole = is_whole(repeats) and repeats > 0 and is_whole(batch_size)
            if not (training and whole and batch_size % repeats == 0):
                raise ValueError(
                    "repeats must be a whole number that divides batch_size, and 1 in validation, "
                    f"got {repeats!r} with batch_size={batch_size}."
                )
            recipe, batch_size = recipe | {"repeats": int(repeats)}, batch_size // repeats
        last_batch = last_batch or ("drop" if training else "partial")
        source = folder_pipeline(
            root,
            training,
            last_batch != "drop",
            shards.shard(seed, same_draws=same_draws) if shard is None else shard,
            seed,
            batch_size=batch_size,
            device=device,
            device_id=device_id,
            num_threads=num_threads,
            prefetch_queue_depth=prefetch_queue_depth,
            on_bad_file=on_bad_file,
            **recipe,
        )
        return cls(
            source, last_batch=last_batch, on_bad_file=on_bad_file, plan=plan, repeats=repeats
        )

    def __iter__(self) -> Iterator[Any]:
        """One epoch. After load_state_dict(), the rest of the epoch in which it was saved."""
        return self._walk.iterate()

    def __len__(self) -> int:
        return self._walk.length

    def __repr__(self) -> str:
        walk, first = self._walk, self._walk.shares[0]
        shards = ", ".join(str(share.shard_id) for share in walk.shares)
        epoch, batch = walk.next_place
        return (
            f"<MixLoader of {self._running}: {first.images} samples, shard {shards} of "
            f"{first.num_shards}, batch_size={self.batch_size}, last_batch={walk.last_batch!r}, "
            f"{len(self)} batches an epoch, next is batch {batch} of epoch {epoch}>"
        )

    @property
    def batch_size(self) -> int:
        """Samples of a full batch of one pipeline."""
        return self._walk.shares[0].batch_size * self._walk.repeats

    @property
    def epoch(self) -> int:
        """Number of the epoch of the next batch, from 0."""
        return self._walk.next_place[0]

    @property
    def batch(self) -> int:
        """Number of the next batch in its epoch, from 0."""
        return self._walk.next_place[1]

    @property
    def batch_sampler(self) -> BatchSampler:
        """Frameworks look here, as in a DataLoader, for a set_epoch() to call."""
        return BatchSampler(self._walk)

    @property
    def substituted(self) -> list[Substituted]:
        """(path, reason, substitute) of each bad file that this process has replaced. Needs
        on_bad_file="substitute". The list stays after close()."""
        return self._running.substituted()

    def set(self, **values: float) -> None:
        """Change `Scheduled` numbers of the pipelines by name, without rebuilding the pipelines.

        The new values hold from the next batch on that DALI has not computed. Before the first
        batch, that is the first; later, the prefetch_queue_depth - 1 batches that DALI has computed
        in advance come first. The values and the places where they changed are part of
        state_dict().

        A ValueError or TypeError names what cannot be set; then nothing is changed.
        """
        self._walk.settle()
        schedule.change(self._running.pipelines, values)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iter() begin epoch `epoch`, counted from 0.

        It has the batches that this epoch has in a run without breaks, bit for bit. Right after
        load_state_dict() of a state in the same epoch, the place in the epoch is kept.

        If the place of the pipelines can be computed (see `MixLoader`), this rebuilds them at that
        place. Otherwise the batches on the way are computed and thrown away, and an epoch that has
        already begun is a RuntimeError.
        """
        self._walk.ask(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The place of the loader as plain data, for JSON or torch.save.

        A loader that loads it yields the batches that follow, bit for bit, whatever DALI has
        computed in advance. Each rank saves and loads its own state.

        Needs pipelines made with enable_checkpointing=True that DALI can restore. A Python source
        must be a callable that takes the index of the batch, a BatchInfo or a SampleInfo. Python
        functions need `pure_python`. Loaders of other pipelines have neither this method nor
        load_state_dict(), so that frameworks do not call them; a call is an error that says why.
        """
        self._walk.settle()
        substituted = substitute.states(self._running.sources)
        return checkpoint.pack(
            self._identity(),
            self._walk.epoch,
            self._walk.made,
            self._running.pipelines,
            substituted,
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place of `state`: the next iter() yields the batches that followed it.

        The pipelines must be those that saved it, on the same files and in the same DALI release.
        Versions, seed, shard, batch size, number of images, and the operators with their constant
        arguments are compared, and a ValueError names what differs. Another patch release of
        dali_mix is a warning. Threads, prefetching and the folder of the files may differ.
        Pipelines that were given as objects can do this before their first batch only; functions
        that make them are called again.
        """
        running = self._running
        running.check_open()
        epoch, made, checkpoints = checkpoint.unpack(state, self._identity(), running.pipelines)
        running.check_renewable()
        self._walk.end()
        running.apart = True
        running.renew(always=substitute.load_states(running.sources, state["substituted"]))
        schedule.load(running.pipelines, state["schedules"])
        running.restore(self._walk.batches_before(epoch, made), checkpoints)
        self._walk.loaded(epoch, made)

    def close(self) -> None:
        """Free the pipelines and their threads. Batches that were yielded stay valid."""
        self._walk.end()
        self._running.close()

    def __enter__(self) -> MixLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _identity(self) -> dict[str, Any]:
        walk = self._walk
        return checkpoint.identity_of(self._running.pipelines, walk.shares, walk.last_batch)
