"""MixLoader: a DALI pipeline as the iterable that PyTorch's DataLoader was.

With the underscored modules that it imports, the one place where DALI and PyTorch meet. What a
pipeline computes is written elsewhere: by you, or in recipes.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from dali_mix.loader.folder import (
    folder_pipeline,  # before DALI; says in a sentence if it is missing
)

# isort: split
from dali_mix.graph import schedule
from dali_mix.loader import checkpoint, shards, substitute
from dali_mix.loader.batches import mixes
from dali_mix.loader.description import draws
from dali_mix.loader.epochs import check_together
from dali_mix.loader.running import Running
from dali_mix.loader.shards import Shard
from dali_mix.loader.sources import Source, check_last_batch, check_seeds, share_of
from dali_mix.loader.stateless import without_state
from dali_mix.loader.substitute import Substituted
from dali_mix.loader.walk import BatchSampler, Walk

__all__ = ["MixLoader"]


class MixLoader:
    """Iterates over epochs of (x, target), as a DataLoader does.

    pipelines:   a DALI pipeline, or a function without arguments that makes one, which lets the
                 loader start over, at any place; or a list of these, one for each GPU of this
                 process, each reading a shard of its own
    reader_name: of the reader that tells how long an epoch is; default: the only reader. It must
                 have pad_last_batch=True, unless the batches come out even
    last_batch:  "drop" what does not fill a batch (default when mixing); "partial", a smaller last
                 batch (default without mixing); "fill", with copies of the last sample. A reader
                 whose images are mixed takes "drop" only: DALI pads before it mixes, and samples
                 would mix with copies of themselves; `from_imagefolder` has a way around that
    mixed:       whether the pipeline puts out (x, y1, y2, lam), or (x, ys, weights) where a sample
                 mixes K images, rather than (x, y). Default: it does where there are 4 or 3
                 outputs, and the last one comes from a mixing function or a plan of dali_mix. For
                 tuples of labels say True, with outputs (x, *y1, *y2, lam) or (x, *ys, weights),
                 told apart by the shape of the last, or False, with (x, *y)
    size:        samples of one epoch, for a pipeline without a reader, whose source stops after
                 each epoch or never; all batches but the last of an epoch must be full
    same_draws:  allow pipelines of a list to have one seed, and so to draw alike
    on_bad_file: what a file does that cannot be decoded, or has vanished: "raise" an error that
                 names it; or "substitute", with `from_imagefolder`
    pure_python: the Python functions in the pipelines depend on their inputs alone, so that they
                 need no state

    Each step yields (x, target); with a list of pipelines, a list of (x, target), without those
    whose shard has no samples left:
      x:       (N, C, H, W) images; HWC output comes with channels_last strides, not copied. Other
               shapes are as the pipeline puts them out
      target:  MixTarget(y1, y2, lam) or MultiMixTarget(ys, weights) when mixing, else y; a tuple
               of these for tuples of labels. Integer labels of shape (N,) or (N, 1) become (N,)
               int64, and (N, K) in ys; all others stay
    All are where the pipeline put them, CPU or GPU, without a copy (but with exec_dynamic=False),
    and are yours: DALI does not write to them again, even after close().

    len(loader) is the number of batches of the epoch; "drop" and "fill" give every rank the same.
    Each iter() is a new epoch, and epoch k is the same whatever happened before. What is left of
    an epoch that was left early is not computed, where the place of the pipelines can be: they
    come from functions, have enable_checkpointing=True and a reader, and hold no operator whose
    state depends on more than the number of batches: partner="previous", random operators that
    take an image inside an `if`, and Python that keeps something. Else it is computed and thrown
    away.

    A step that is cut off, as by Ctrl-C, loses no batch of later epochs or states, if the place of
    the pipelines can be computed; else the next call is a RuntimeError that says what to do.

    DALI's own iterators work around a mixing pipeline as well, with four names for the outputs and
    LastBatchPolicy.DROP: the others hand out samples mixed with copies. DALIClassificationIterator
    takes two outputs only: x and soft labels.
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
    ) -> None:
        single = not isinstance(pipelines, Sequence)
        sources = list(pipelines) if isinstance(pipelines, Sequence) else [pipelines]
        self._running = running = Running(sources, reader_name, size, pure_python)
        shares = [share_of(pipeline, running.reader, size) for pipeline in running.pipelines]
        check_together(shares)
        substitute.check_on_bad_file(on_bad_file, sources)
        unsaid, mixed = mixed is None, mixes(running.pipelines[0], mixed)
        mixing = mixed or (unsaid and any(map(draws, running.pipelines)))
        if mixing and not same_draws:
            check_seeds(running.pipelines)
        self.classes: list[str] | None = getattr(sources[0], "classes", None)
        """Names of the classes in the order of their labels; with `from_imagefolder`."""
        last_batch = last_batch or ("drop" if mixing else "partial")
        check_last_batch(last_batch, shares, mixing, running.reader, sources)
        self._walk = Walk(running, shares, last_batch, mixed, mixing, single)
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
        **recipe: Any,
    ) -> MixLoader:
        """Training or validation batches of a folder with one folder of images for each class.

        root:        as in `recipes.imagefolder_train` and `recipes.imagefolder_val`
        batch_size:  of this process
        training:    shuffled, randomly cropped, mirrored and mixed; or else in order, and none of
                     these
        last_batch:  "drop" (default in training), "partial" (default in validation) or "fill". In
                     training, "partial" and "fill" draw the partners in Python, among the samples
                     that are no copies; the copies are mixed with nothing. Shards that "partial"
                     gives different numbers of batches are refused in training: ranks would wait
        seed:        of everything random, the same on all ranks
        same_draws:  let all ranks draw alike; by default no two do
        shard:       default: `dali_mix.shard(seed, same_draws=same_draws)`, from torch.distributed
        device:      "gpu" or "cpu"; default: a GPU, where PyTorch sees one
        device_id:   of the GPU; default: PyTorch's current one, if it is not the first; else the
                     one of LOCAL_RANK, where torchrun has set it
        num_threads: default: the processors of this process, over the processes of its node
        on_bad_file: "raise" an error that names a file that cannot be decoded, or has vanished;
                     "substitute": put the next good file of the list in its place, which has the
                     same label in most cases, and go on with as many batches as before. Each such
                     file is logged once, as a warning of the logger "dali_mix", listed by
                     `substituted`, and part of `state_dict()`. The batches are those of a folder
                     with a copy of the other file in its place, bit for bit
        recipe:      files (a list of good ones), classes (those of the training loader), methods,
                     weights, size, augment, mean, std, dtype (of DALI or PyTorch), layout …
        """
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
        return cls(source, last_batch=last_batch, on_bad_file=on_bad_file)

    def __iter__(self) -> Iterator[Any]:
        """One epoch; after load_state_dict(), the rest of the one that the state belongs to."""
        return self._walk.iterate()

    def __len__(self) -> int:
        return self._walk.length

    def __repr__(self) -> str:
        walk, first = self._walk, self._walk.shares[0]
        shards = ", ".join(str(share.shard_id) for share in walk.shares)
        epoch, batch = walk.next_place
        return (
            f"<MixLoader of {self._running}: {first.images} samples, shard {shards} of "
            f"{first.num_shards}, batch_size={first.batch_size}, last_batch={walk.last_batch!r}, "
            f"{len(self)} batches an epoch, next is batch {batch} of epoch {epoch}>"
        )

    @property
    def batch_size(self) -> int:
        """Samples of a full batch of one pipeline."""
        return self._walk.shares[0].batch_size

    @property
    def epoch(self) -> int:
        """Number, from 0, of the epoch that the next batch belongs to."""
        return self._walk.next_place[0]

    @property
    def batch(self) -> int:
        """Number, from 0, of the next batch in its epoch."""
        return self._walk.next_place[1]

    @property
    def batch_sampler(self) -> BatchSampler:
        """Where frameworks look for what they tell which epoch begins, as in a DataLoader."""
        return BatchSampler(self._walk)

    @property
    def substituted(self) -> list[Substituted]:
        """(path, reason, substitute) of each bad file that another one has taken the place of, by
        this process; with on_bad_file="substitute". It stays after close()."""
        return self._running.substituted()

    def set(self, **values: float) -> None:
        """Change `Scheduled` numbers of the pipelines by name, without making them anew.

        The new values count from the next batch on that is not computed yet: before the first
        batch, from that one; later the prefetch_queue_depth - 1 batches that DALI has computed in
        advance come first. They are part of state_dict(), with the places where they changed.

        A ValueError or TypeError names what cannot be set; then nothing is changed.
        """
        self._walk.settle()
        schedule.change(self._running.pipelines, values)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iter() begin epoch `epoch`, counted from 0.

        It has the batches that this epoch has in a run without breaks, bit for bit. Right after
        load_state_dict() of a state in that same epoch, the place in it is kept.

        Where `MixLoader` says that the place of a pipeline can be computed, this costs making the
        pipelines anew. Else the batches on the way are computed and thrown away, and an epoch that
        has begun already is a RuntimeError.
        """
        self._walk.ask(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, as plain data, fit for JSON and torch.save.

        Taken between two batches, a loader that loads it yields the second one next, and all that
        follow, bit for bit, whatever DALI has computed in advance. Each rank saves and loads its
        own.

        Needs pipelines made with enable_checkpointing=True that DALI can restore: no Python source
        but callables that take the index of the batch, a BatchInfo or a SampleInfo; and no Python
        function, unless `pure_python` says that it keeps nothing. Other loaders have neither this
        method nor load_state_dict(), as frameworks ask for them; a call is an error that names why.
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
        """Go to where `state` was saved: the next iter() yields the batches that followed.

        The pipelines must be those that saved it, on the same files and in the same DALI release;
        what is recorded (versions, seed, shard, batch size, number of images, the operators and
        their constant arguments) is compared, and a ValueError names what differs. Another patch
        release of dali_mix is a warning. Threads, prefetching and the place of the files may
        differ. Pipelines that were given as objects can do this before their first batch only;
        functions that make them are called again.
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
        """Let go of the pipelines, and with them of their threads; batches handed out stay."""
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
