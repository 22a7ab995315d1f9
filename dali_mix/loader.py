"""MixLoader: a DALI pipeline as the iterable that PyTorch's DataLoader was.

With the underscored modules that it imports, the one place where DALI and PyTorch meet. What a
pipeline computes is written elsewhere: by you, or in recipes.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from dali_mix._folder import folder_pipeline  # before DALI; says in a sentence if it is missing

# isort: split
from dali_mix import _checkpoint, _distributed, _substitute, schedule
from dali_mix._batches import Batch, mixes, to_batch
from dali_mix._distributed import Shard
from dali_mix._epochs import check_together, length
from dali_mix._running import Running
from dali_mix._sources import PADDED_TAIL, Source, check_last_batch, check_seeds, share_of
from dali_mix._substitute import Substituted

__all__ = ["MixLoader"]


class MixLoader:
    """Iterates over epochs of (x, target), as a DataLoader does.

    pipelines:   a DALI pipeline, or a function without arguments that makes one, which lets
                 load_state_dict() start over at any time; or a list of these, one for each GPU of
                 this process, each reading a shard of its own
    reader_name: of the reader that tells how long an epoch is; default: the only reader. It must
                 have pad_last_batch=True, unless the batches come out even
    last_batch:  "drop" what does not fill a batch (default when mixing); "partial", a smaller last
                 batch (default without mixing); "fill", with copies of the last sample. A reader
                 whose images are mixed takes "drop" only: DALI pads before it mixes, and samples
                 would mix with copies of themselves; `from_imagefolder` has a way around that
    mixed:       whether the pipeline puts out (x, y1, y2, lam), or (x, ys, weights) where a sample
                 mixes K images, rather than (x, y); default: by the number of outputs, 4, 3 or 2.
                 For tuples of labels say True, with outputs (x, *y1, *y2, lam) or
                 (x, *ys, weights), told apart by the shape of the last, or False, with (x, *y)
    size:        samples of one epoch, for a pipeline without a reader, whose source stops after
                 each epoch or never
    same_draws:  allow pipelines of a list to have one seed, and so to draw alike
    on_bad_file: what a file does that cannot be decoded, or has vanished: "raise" an error that
                 names it; or "substitute", with `from_imagefolder`

    Each step yields (x, target); with a list of pipelines, a list of (x, target):
      x:       (N, C, H, W) images; HWC output comes with channels_last strides, not copied. Other
               shapes are as the pipeline puts them out
      target:  MixTarget(y1, y2, lam) or MultiMixTarget(ys, weights) when mixing, else y; a tuple
               of these for tuples of labels. Integer labels of shape (N,) or (N, 1) become (N,)
               int64, and (N, K) in ys; all others stay
    All are where the pipeline put them, CPU or GPU, without a copy (but with exec_dynamic=False),
    and are yours: DALI does not write to them again, even after close().

    len(loader) is the number of batches of the epoch; "drop" and "fill" give every rank the same.
    Each iter() is a new epoch; there is no set_epoch() to call. Of an epoch that was left early,
    iter() first reads the rest and throws it away, so that epoch k is the same whatever happened
    before. To only look at a batch, keep state_dict() from before and load it.
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
    ) -> None:
        self._single = not isinstance(pipelines, Sequence)
        sources = list(pipelines) if isinstance(pipelines, Sequence) else [pipelines]
        self._running = running = Running(sources, reader_name, size)
        self._shares = [share_of(pipeline, running.reader, size) for pipeline in running.pipelines]
        check_together(self._shares)
        _substitute.check_on_bad_file(on_bad_file, sources)
        self._mixed = mixes(running.pipelines[0].num_outputs, mixed)
        if self._mixed and not same_draws:
            check_seeds(running.pipelines)
        self.classes: list[str] | None = getattr(sources[0], "classes", None)
        """Names of the classes in the order of their labels; with `from_imagefolder`."""
        self._last_batch = last_batch or ("drop" if self._mixed else "partial")
        self._epoch = 0
        self._made = 0  # batches of this epoch that the pipelines have put out
        self._continues = True  # the next iter() goes on in this epoch
        self._newest: object = None  # iteration; the older ones are overtaken
        check_last_batch(self._last_batch, self._shares, self._mixed, running.reader, sources)

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
                     that are no copies; the copies are mixed with nothing
        seed:        of everything random, the same on all ranks
        same_draws:  let all ranks draw alike; by default no two do
        shard:       default: `dali_mix.shard(seed, same_draws=same_draws)`, from torch.distributed
        device:      "gpu" or "cpu"; default: a GPU, where PyTorch sees one
        device_id:   of the GPU; default: PyTorch's current one
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
            _distributed.shard(seed, same_draws=same_draws) if shard is None else shard,
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
        self._running.check()
        self._newest = token = object()
        return self._iterate(token)

    def __len__(self) -> int:
        return length(self._shares, self._last_batch, self._epoch)

    @property
    def batch_size(self) -> int:
        """Samples of a full batch of one pipeline."""
        return self._shares[0].batch_size

    @property
    def epoch(self) -> int:
        """Number, from 0, of the epoch that the next batch belongs to."""
        return self._epoch + (self._made >= len(self))

    @property
    def batch(self) -> int:
        """Number, from 0, of the next batch in its epoch."""
        return 0 if self._made >= len(self) else self._made

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
        self._running.check()
        schedule.change(self._running.pipelines, values)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, as plain data, fit for JSON and torch.save.

        Taken between two batches, a loader that loads it yields the second one next, and all that
        follow, bit for bit, whatever DALI has computed in advance. Each rank saves and loads its
        own. Needs pipelines made with enable_checkpointing=True.
        """
        self._running.check()
        substituted = _substitute.states(self._running.sources)
        return _checkpoint.pack(
            self._identity(), self._epoch, self._made, self._running.pipelines, substituted
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where `state` was saved: the next iter() yields the batches that followed.

        The pipelines must be those that saved it, on the same files and in the same DALI release;
        what is recorded (versions, seed, shard, batch size, number of images, the operators and
        their constant arguments) is compared, and a ValueError names what differs. Threads,
        prefetching and the place of the files may differ. Pipelines that were given as objects can
        do this before their first batch only; functions that make them are called again.
        """
        running = self._running
        running.check_open()
        epoch, made, checkpoints = _checkpoint.unpack(state, self._identity(), running.pipelines)
        other_files = _substitute.load_states(running.sources, state["substituted"])
        self._newest = None
        running.renew(always=other_files)
        schedule.load(running.pipelines, state["schedules"])
        for pipeline, checkpoint in zip(running.pipelines, checkpoints, strict=True):
            _checkpoint.restore(pipeline, checkpoint)
        self._epoch, self._made = epoch, made
        self._continues, running.failure = True, None

    def close(self) -> None:
        """Let go of the pipelines, and with them of their threads; batches handed out stay."""
        self._newest = None
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

    def _iterate(self, token: object) -> Iterator[Any]:
        self._check_newest(token)
        if self._made >= len(self) or (self._made and not self._continues):
            self._finish_epoch()
        self._continues = False
        while self._made < len(self):
            batches = self._next_batches()
            yield batches[0] if self._single else batches
            self._check_newest(token)
        self._finish_epoch()

    def _next_batches(self) -> list[Batch]:
        number = self._made
        try:
            outputs = self._run()
        except StopIteration:
            raise RuntimeError(
                f"the source of the pipeline stopped after {number} batches of {self.batch_size}, "
                f"but size={self._shares[0].images} needs {len(self)}; correct one of the two."
            ) from None
        batches = []
        pipelines = self._running.pipelines
        for pipeline, share, output in zip(pipelines, self._shares, outputs, strict=True):
            kept = share.batch_size
            if self._last_batch == "partial":
                kept = share.kept(self._epoch, number)
            if self._mixed and self._running.reader is None and len(output[0]) > kept:
                raise ValueError(PADDED_TAIL.format(f"{kept} of {len(output[0])} samples"))
            batches.append(to_batch(output, self._mixed, kept, copy=not pipeline.exec_dynamic))
        return batches

    def _finish_epoch(self) -> None:
        """Read what the pipelines still make in this epoch, and go to the next one."""
        try:
            while self._made < self._shares[0].batches:
                self._run()
        except StopIteration:  # of a source that makes no padded batch; outputs_of() restarts it
            pass
        self._epoch, self._made = self._epoch + 1, 0

    def _run(self) -> list[Any]:
        outputs = self._running.outputs(restart=self._made == 0)
        self._made += 1
        return outputs

    def _identity(self) -> dict[str, Any]:
        return _checkpoint.identity_of(self._running.pipelines, self._shares, self._last_batch)

    def _check_newest(self, token: object) -> None:
        self._running.check()
        if self._newest is not token:
            raise RuntimeError(
                "this iteration was overtaken by a newer iter() or load_state_dict() of its loader;"
                " one loader runs one iteration at a time."
            )
