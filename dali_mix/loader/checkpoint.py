"""The state of a loader as plain data. A state that does not fit a loader is refused."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import nvidia.dali
from nvidia.dali.pipeline import Pipeline

from dali_mix.graph import schedule
from dali_mix.loader.description import described, difference
from dali_mix.loader.epochs import Share
from dali_mix.plugin.version import __version__

FORMAT = 1

State = dict[str, Any]


def identity_of(pipelines: Sequence[Pipeline], shares: Sequence[Share], last_batch: str) -> State:
    """What must be equal in the loader that saved a state and the one that loads it."""
    first = shares[0]
    return {
        "format": FORMAT,
        "dali_mix": __version__,
        "DALI": nvidia.dali.__version__,
        "images": int(first.images),  # NumPy numbers are not plain data
        "batch_size": int(first.batch_size),
        "num_shards": int(first.num_shards),
        "shard_id": [int(share.shard_id) for share in shares],
        "seed": [None if p.seed is None else int(p.seed) for p in pipelines],
        "last_batch": last_batch,
    }


def pack(
    identity: Mapping[str, Any],
    epoch: int,
    batch: int,
    pipelines: Sequence[Pipeline],
    substituted: Sequence[Any],
) -> State:
    """The state: strings, integers, lists and dicts. The loader that loads it must have the same
    `identity` and the same operators."""
    state = {
        **identity,
        "graphs": [described(pipeline) for pipeline in pipelines],
        "epoch": epoch,
        "batch": batch,
        "substituted": substituted,
        "pipelines": [base64.b64encode(pipeline.checkpoint()).decode() for pipeline in pipelines],
        "schedules": schedule.state(pipelines),
    }
    return {**state, "sha256": _digest(state)}


def unpack(
    state: Mapping[str, Any], identity: Mapping[str, Any], pipelines: Sequence[Pipeline]
) -> tuple[int, int, list[bytes]]:
    """(epoch, batch, one checkpoint for each pipeline). A ValueError names what differs."""
    expected = {
        *identity,
        "graphs",
        "epoch",
        "batch",
        "substituted",
        "pipelines",
        "schedules",
        "sha256",
    }
    known = state if isinstance(state, Mapping) else {}
    for name, here in identity.items():  # versions first: other versions may have other names
        saved = known.get(name, here)
        if saved != here and not (name == "dali_mix" and _patches(saved, here)):
            raise _refusal(f"{name} {saved!r}", repr(here))
    if set(known) != expected:
        got = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(
            f"state must be what state_dict() of a MixLoader returned, with {sorted(expected)}, "
            f"got {got}."
        )
    if state["sha256"] != _digest(state):
        raise ValueError(
            "the state is damaged: its sha256 does not fit its content. Load one that was saved "
            "before, or start anew."
        )
    schedule.check(pipelines, state["schedules"])
    for saved, pipeline in zip(state["graphs"], pipelines, strict=True):
        different = difference(saved, described(pipeline))
        if different is not None:
            raise _refusal(*different)
    if state["dali_mix"] != identity["dali_mix"]:
        warnings.warn(
            f"the state was saved by dali_mix {state['dali_mix']}, and is loaded by "
            f"{identity['dali_mix']}; only the same release promises the same batches.",
            stacklevel=3,
        )
    return state["epoch"], state["batch"], [base64.b64decode(text) for text in state["pipelines"]]


def _patches(saved: Any, here: str) -> bool:
    """Whether two versions differ in the last number at most, and so understand each other."""
    return str(saved).rpartition(".")[0] == here.rpartition(".")[0]


def _digest(state: Mapping[str, Any]) -> str:
    """SHA-256 of the state, without the version of dali_mix, which is compared by itself."""
    content = {name: value for name, value in state.items() if name not in ("dali_mix", "sha256")}
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _refusal(saved: str, here: str) -> ValueError:
    return ValueError(
        f"the state was saved with {saved}, but this loader has {here}; it cannot continue bit for "
        "bit. Make the loader as it was, or start anew."
    )
