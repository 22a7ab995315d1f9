"""A folder with one folder of images for each class: which files count, and with which label.

The recipes, the loader and the commands use this listing, and give it to DALI's reader.

- A class folder is every folder in the root, and every link there that leads to a folder or to
  nothing. It must hold an image, because the labels of the classes after it depend on it.
- An image is a file or a link directly in a class folder, with a name such as *.jpg.
- Names that begin with a dot are hidden: neither classes nor images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dali_mix.images.names import shown

IMAGE_FILES = (
    *("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.tif", "*.tiff"),
    *("*.pnm", "*.ppm", "*.pgm", "*.pbm", "*.jp2", "*.webp"),
)
"""File names that count as images, in upper or lower case. DALI's reader would take sound too."""
_ENDINGS = tuple(pattern.removeprefix("*") for pattern in IMAGE_FILES)
EMPTY = "holds no images"
"""The fault of a class folder that can be listed and has no image."""
_NAMED = 3
"""How many class folders an error names."""


class ImageList(NamedTuple):
    """Images of a folder, in the order of the reader."""

    names: list[str]
    """Paths relative to the folder: class/file."""
    labels: list[int]
    """Index of the class in `class_names`, or in the classes that were given."""


def is_hidden(name: str) -> bool:
    """Whether the last part of a path begins with a dot, as .ipynb_checkpoints and ._1.jpg do."""
    return name.rpartition("/")[2].startswith(".")


def is_image(name: str) -> bool:
    """Whether a file of this name or path counts as an image."""
    return name.lower().endswith(_ENDINGS) and not is_hidden(name)


def class_folders(root: str | os.PathLike[str]) -> list[str]:
    """Names of the class folders in `root`, with or without images, sorted by their bytes."""
    with os.scandir(root) as entries:
        return sorted((entry.name for entry in entries if _is_class(entry)), key=os.fsencode)


def image_files(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the images in one folder, sorted as DALI sorts them: by their bytes."""
    return sorted(_images(folder), key=os.fsencode)


def fault_of(folder: str | os.PathLike[str]) -> str | None:
    """Why this cannot be a class folder, such as EMPTY; None if it can."""
    try:
        return EMPTY if next(_images(folder), None) is None else None
    except OSError as error:
        leads = f", it is a link to {shown(os.readlink(folder))}" if os.path.islink(folder) else ""
        return f"cannot be listed ({error.strerror}{leads})"


def class_names(root: str | os.PathLike[str]) -> list[str]:
    """Names of the class folders in `root`. The index in this list is the label.

    They are sorted by their bytes, as DALI and torchvision sort them. Folders whose names begin
    with a dot are not classes.

    ValueError: a class folder holds no images or cannot be listed, or `root` has no class folders.
    """
    path = checked_root(root)
    names = class_folders(path)
    faults = {name: fault_of(os.path.join(path, name)) for name in names}
    wrong = [f"{_shown(path, name)} {fault}" for name, fault in faults.items() if fault is not None]
    if wrong:
        raise ValueError(
            f"root must hold images in each of its class folders, but {_some(wrong)}; mend or "
            "remove it, because the labels of the classes after it depend on it, or name the "
            "classes: classes=[…]."
        )
    return names


def listed(root: str | os.PathLike[str], classes: Sequence[str] | None = None) -> ImageList:
    """All images of `root`.

    classes: names of the classes in the order of their labels; default: `class_names(root)`
    """
    folders = class_names(root) if classes is None else _known_folders(root, classes)
    label = {name: place for place, name in enumerate(folders if classes is None else classes)}
    names: list[str] = []
    labels: list[int] = []
    for folder in folders:
        files = image_files(os.path.join(root, folder))
        names += [f"{folder}/{file}" for file in files]
        labels += [label[folder]] * len(files)
    return ImageList(names, labels)


def checked_root(root: str | os.PathLike[str]) -> str:
    """`root` as text. A ValueError if it has no class folder with images."""
    path, name = Path(root), shown(root)
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise ValueError(f"root must be a folder with one folder per class; {name} {what}.")
    classes = class_folders(path)
    if not classes:
        found = "images but no class folders" if image_files(path) else "neither folders nor images"
        raise ValueError(
            f"root must hold one folder per class, but {name} holds {found}; "
            "put the images of each class in a folder named after it."
        )
    if all(fault_of(path / folder) == EMPTY for folder in classes):
        raise ValueError(
            f"root must hold images in its class folders, but there are none in {name}/*, such "
            f"as {shown(path / classes[0])}; if the classes lie deeper, name the folder directly "
            "above them."
        )
    return os.fspath(path)


def _known_folders(root: str | os.PathLike[str], classes: Sequence[str]) -> list[str]:
    """The class folders with images. A ValueError names those that are not in `classes`."""
    known = _checked_classes(classes)
    path = checked_root(root)
    faults = {name: fault_of(os.path.join(path, name)) for name in class_folders(path)}
    holding = [name for name, fault in faults.items() if fault is None]
    strange = [_shown(path, name) for name in holding if name not in known]
    if strange:
        raise ValueError(
            f"root must hold images of the {len(known)} given classes alone, but also holds "
            f"{_some(strange)}; add the name to classes, or move the folder away."
        )
    lost = [
        f"{_shown(path, name)} {fault}"
        for name, fault in faults.items()
        if name in known and fault not in (None, EMPTY)
    ]
    if lost:
        raise ValueError(
            f"root must hold class folders that can be listed, but {_some(lost)}; mend it."
        )
    return holding


def _checked_classes(classes: Sequence[str]) -> set[str]:
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise TypeError(
            "classes must be a list of the names of class folders, as loader.classes of the "
            f"training loader is, got {classes!r}."
        )
    known = set(classes)
    if len(known) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise ValueError(f"classes must be different names, got {shown(twice)} more than once.")
    return known


def _is_class(entry: os.DirEntry[str]) -> bool:
    if is_hidden(entry.name):
        return False
    leads_nowhere = entry.is_symlink() and not os.path.exists(entry.path)
    return os.path.isdir(entry.path) or (leads_nowhere and not is_image(entry.name))


def _images(folder: str | os.PathLike[str]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image(entry.name) and _is_file(entry):
                yield entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    # A link that leads nowhere counts, so that its missing image is an error.
    return not os.path.isdir(entry.path) if entry.is_symlink() else entry.is_file()


def _shown(root: str, name: str) -> str:
    return shown(os.path.join(root, name))


def _some(parts: Sequence[str]) -> str:
    more = len(parts) - _NAMED
    return ", ".join(parts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
