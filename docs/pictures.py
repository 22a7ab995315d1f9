"""Makes the pictures of the documentation: docs/pictures/.

    python docs/pictures.py    # in an environment with scikit-image, which has the photographs

The photographs may be used freely: the cat Chelsea (Stefan van der Walt, CC0), the coffee cup
(Rachel Michetti, CC0), the astronaut Eileen Collins (NASA, public domain), and a rocket (SpaceX,
public domain). The drawings are in drawings.py.
"""

import sys
import tempfile
from pathlib import Path

import drawings
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dali_mix import MixUp, methods
from dali_mix import fn as dmix
from dali_mix.commands import cli

# isort: split
from nvidia.dali import Pipeline, fn, types

PICTURES = Path(__file__).parent / "pictures"
NAMES = {"chelsea": "cat", "coffee": "coffee", "astronaut": "astronaut", "rocket": "rocket"}
SEEDS = {"mixup": 2, "cutmix": 6, "ricap": 6, "gridmix": 1, "fmix": 2, "patchmix": 3, "mosaic": 2}
"""Of the strips, where another draw than the first one is clearer."""


def main() -> None:
    for old in PICTURES.iterdir():
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        root = photographs(Path(folder))
        for kind in methods.METHODS:
            strip(root, kind.name)
        near_duplicates(root)
    for name, svg in drawings.all_of_them().items():
        (PICTURES / name).write_text(svg)


def photographs(folder: Path) -> Path:
    """One image in each class folder, as `dali-mix` reads them."""
    from skimage import data

    for photo, label in NAMES.items():
        (folder / label).mkdir()
        Image.fromarray(getattr(data, photo)()).save(folder / label / "1.jpg", quality=95)
    return folder


def strip(root: Path, method: str) -> None:
    """One image, its partner, and both mixed."""
    output = str(PICTURES / f"{method}.jpg")
    options = ["--method", method, "--wide", "--seed", str(SEEDS.get(method, 0)), "-o", output]
    if cli.main(["preview", str(root), *options]) != 0:
        sys.exit(f"no picture of {method}")


def near_duplicates(root: Path) -> None:
    """The two images of a pair, with one draw of lam: as it is, and folded."""
    files = [root / label / "1.jpg" for label in ("cat", "coffee")]
    figure = Figure(figsize=(7.4, 2.6), layout="constrained")
    panels = figure.subplots(1, 4)
    shown = {"drawn: the same twice": [0.25, 0.75], "folded": [0.75, 0.75]}
    pairs = [(title, lam, k) for title, lams in shown.items() for k, lam in enumerate(lams)]
    for panel, (title, lam, k) in zip(panels, pairs, strict=True):
        names = ["cat", "coffee"] if k == 0 else ["coffee", "cat"]
        panel.imshow(mixed(files, shown[title])[k])
        panel.set_title(title if k == 0 else " ", fontsize=10, loc="left")
        label = f"{100 * lam:.0f} % {names[0]}\n{100 - 100 * lam:.0f} % {names[1]}"
        panel.set_xlabel(label, fontsize=9)
        panel.set(xticks=[], yticks=[])
    figure.savefig(PICTURES / "near-duplicates.jpg", dpi=110)


def mixed(files: list[Path], lam: list[float]) -> np.ndarray:
    """Two images, each mixed with the other one."""
    with Pipeline(batch_size=2, num_threads=1, device_id=None) as pipeline:
        encoded = fn.external_source(source=[[np.fromfile(file, np.uint8) for file in files]])
        images = fn.resize(fn.decoders.image(encoded), size=200, mode="not_smaller")
        shares = fn.external_source(source=[np.float32(lam)])
        output = {"crop": (200, 200), "dtype": types.UINT8, "output_layout": "HWC"}
        x, _ = dmix.mix(images, None, MixUp(), lam=shares, partner="reverse", **output)
        pipeline.set_outputs(x)
    (x,) = pipeline.run()
    return np.array(x.as_tensor())


if __name__ == "__main__":
    main()
