"""Tar shards to check: their images, and samples that lack something.

A sample is defined as in WebDataset: neighbouring files in the tar whose paths are equal up to the
first dot of the name. What follows that dot is the name of a component.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dali_mix.commands.check.archives import archive_of
from dali_mix.commands.check.findings import Finding, Item
from dali_mix.images.class_folders import is_hidden, is_image
from dali_mix.images.names import shown

_LABEL = "cls"
"""A component that all samples need if one has it."""


@dataclass
class _Sample:
    key: str
    images: list[tarfile.TarInfo] = field(default_factory=list)
    components: Counter[str] = field(default_factory=Counter)
    """Names of its components in lower case, and how often each comes."""


class Tar:
    """A shard of images, as WebDataset writes them."""

    images = None
    classes = ()

    def __init__(self, path: str) -> None:
        self.root = path
        samples, fault = _samples(path)
        has_images = any(sample.images for sample in samples)
        self.is_void = not has_images and fault is None
        if self.is_void:
            fault = Finding("empty", f"the tar holds no {'images' if samples else 'samples'}")
        self._items = list(_items(path, samples)) if has_images else []
        if fault is not None:
            self._items.append(Item("", shown(path), path, (fault,), encoded=False))

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)


def _samples(path: str) -> tuple[list[_Sample], Finding | None]:
    """The samples in the order of the tar, and what made reading stop, if anything did."""
    samples: list[_Sample] = []
    try:
        with tarfile.open(path, "r:", errors="surrogateescape") as tar:
            for member in tar:  # one by one, so that files before a fault are checked
                folder, slash, name = member.name.rpartition("/")
                stem, dot, component = name.partition(".")
                if member.isdir() or is_hidden(name) or not dot:
                    continue
                key = f"{folder}{slash}{stem}"
                if not samples or samples[-1].key != key:
                    samples.append(_Sample(key))
                samples[-1].components[component.lower()] += 1
                if is_image(name):
                    samples[-1].images.append(member)
    except (tarfile.TarError, OSError, EOFError) as error:
        is_readable = isinstance(error, tarfile.TarError)
        what = archive_of(path) if is_readable and not samples else None
        if what is not None:
            return [], Finding("archive", f"it is {what}")
        said = shown(str(getattr(error, "strerror", None) or error)).rstrip(".")
        return samples, Finding("unreadable", f"it is no whole tar file: {said}")
    return samples, None


def _items(path: str, samples: list[_Sample]) -> Iterator[Item]:
    have = Counter(component for sample in samples for component in sample.components)
    needed = [
        component
        for component, count in have.items()
        # A sample needs no image of a certain ending: any image will do.
        if not is_image(f"1.{component}") and (component == _LABEL or 2 * count >= len(samples))
    ]
    seen: set[str] = set()
    for sample in samples:
        findings = tuple(_of_sample(sample, needed, sample.key in seen))
        seen.add(sample.key)
        if not sample.images and findings:
            title = shown(f"{path}:{sample.key}")
            yield Item(sample.key, title, path, findings, encoded=False)
        for member in sample.images:
            yield _item(path, member, findings)
            findings = ()  # only the first image reports them


def _of_sample(sample: _Sample, needed: list[str], again: bool) -> Iterator[Finding]:
    what = f"the sample {shown(sample.key)}"
    if not sample.images:
        yield Finding("incomplete", f"{what} has no image")
    for component in needed:
        if component not in sample.components:
            yield Finding("incomplete", f"{what} has no .{shown(component)}, as others have")
    for component, count in sample.components.items():
        if count > 1:
            yield Finding("duplicate", f"{what} has {count} files .{shown(component)}")
    if again:
        yield Finding("duplicate", f"{what} comes a second time, after others")


def _item(path: str, member: tarfile.TarInfo, findings: tuple[Finding, ...]) -> Item:
    title = shown(f"{path}:{member.name}")
    if not member.isfile() or member.issparse():
        findings = (*findings, Finding("unreadable", "it is no plain file in the tar"))
        return Item(member.name, title, path, findings, encoded=False)
    return Item(member.name, title, path, findings, member.offset_data, member.size)
