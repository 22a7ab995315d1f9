"""The laws of the methods that draw a mask: patches, grids, Fourier noise and bells. Their shapes
are counted in the mask itself, which `test_method_shares.py` finds again in the pixels."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from helpers import PerSample, chi2_accepts, draw, ks_accepts
from scipy import stats

from dali_mix import FMix, GridMix, PatchMix, SmoothMix

SIZES = [(7, 9), (32, 48), (48, 32), (1, 40), (40, 1)]


def masks_of(method, size, count=300, **given):
    """Mask and lam of the mixed samples."""
    plan = draw(count, method, size=size, partner="roll", **given)
    assert not plan.box.any() and (plan.blend == 1).all()
    for mask, lam in zip(plan.mask[0], plan.lam[0], strict=True):
        assert mask.dtype == np.uint8 and (mask.size > 0) == (lam < 1)
        if lam < 1:
            yield mask, lam


def runs(line):
    """Lengths of the runs of holes in a line; those that the borders cut are left out."""
    edges = np.flatnonzero(np.diff(np.r_[0, line, 0]))
    pairs = edges.reshape(-1, 2)
    return [b - a for a, b in pairs if a > 0 and b < len(line)], pairs


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("method", [GridMix(), FMix(), SmoothMix()], ids=lambda m: m.name)
def test_lam_is_the_mean_of_the_mask(method, size):
    for mask, lam in masks_of(method, size):
        assert mask.shape == size
        assert lam == np.float32(mask.astype(np.float64).mean() / 255)


# patches


@pytest.mark.parametrize("patch", [4, (8, 2), (2, 8)])
def test_as_many_patches_as_come_nearest(patch):
    h, w = patch if isinstance(patch, tuple) else (patch, patch)
    lams = PerSample(np.linspace(0.01, 0.99, 200, dtype=np.float32))
    cells = (32 // h) * (48 // w)
    plan = draw(200, PatchMix(patch=patch, shape="patches"), lam=lams)
    for given, mask, lam in zip(lams, plan.mask[0], plan.lam[0], strict=True):
        if lam == 1:
            assert round((1 - given) * cells) == 0
            continue
        assert mask.shape == (32 // h, 48 // w) and set(np.unique(mask)) <= {0, 255}
        assert lam == np.float32((mask > 0).mean())
        assert abs(lam - given) <= 0.5 / cells + 1e-6


def test_every_choice_of_patches_is_equally_likely():
    """Two of six: 15 choices."""
    method = PatchMix(patch=(2, 3), shape="patches")
    plan = draw(3000, method, size=(4, 9), lam=2 / 3)
    seen = Counter(mask.tobytes() for mask in plan.mask[0])
    assert len(seen) == 15 and chi2_accepts(list(seen.values()))


# grids


@pytest.mark.parametrize("size", [(60, 84), (84, 60)])
@pytest.mark.parametrize("tiles", [2, 3, 6])
@pytest.mark.parametrize("lam", [0.75, 0.36])
def test_holes_are_as_many_and_as_large_as_drawn(size, tiles, lam):
    """Along each side: of each tile of size / tiles the share sqrt(1 - lam), to the pixel."""
    for mask, _ in masks_of(GridMix(holes=(tiles, tiles)), size, count=60, lam=lam):
        assert set(np.unique(mask)) == {0, 255}
        holes = mask == 0
        rows, columns = holes.any(1), holes.any(0)
        np.testing.assert_array_equal(holes, np.outer(rows, columns))
        for line in (rows, columns):
            whole, every = runs(line)
            side = len(line) / tiles * math.sqrt(1 - lam)
            assert tiles <= len(every) <= tiles + 1
            assert len(whole) >= tiles - 1 and all(abs(n - side) < 1 for n in whole)
            starts = [a for a, _ in every if a > 0]
            assert all(abs(b - a - len(line) / tiles) <= 1 for a, b in pairwise(starts))


def test_the_number_of_holes_is_uniform():
    seen = Counter()
    for mask, _ in masks_of(GridMix(holes=(3, 6)), (36, 360), count=3000, lam=0.9375):
        starts = np.flatnonzero(np.diff((mask == 0).any(0).astype(int)) == 1)
        seen[round(360 / np.diff(starts).mean())] += 1
    assert set(seen) == {3, 4, 5, 6} and chi2_accepts(list(seen.values()))


@pytest.mark.parametrize("lam", [0.75, 0.36])
def test_grids_begin_anywhere(lam):
    """So that every pixel is in a hole as often."""
    method = GridMix(holes=(3, 3))
    holes = sum((mask == 0).astype(int) for mask, _ in masks_of(method, (24, 36), 4000, lam=lam))
    expected = 4000 * (1 - lam)
    assert np.abs(holes - expected).max() < 4.5 * math.sqrt(expected)


# fourier noise


@pytest.mark.parametrize("size", [(7, 9), (32, 48), (1, 40)], ids=str)
def test_the_noise_leaves_the_given_share_to_the_pixel(size):
    lams = PerSample(np.linspace(0.01, 0.99, 200, dtype=np.float32))
    plan = draw(200, FMix(), size=size, lam=lams)
    pixels = size[0] * size[1]
    assert np.abs(plan.lam[0] - lams).max() <= (0.5 / pixels + 1e-6)


def test_the_share_of_fmix_is_beta():
    lam = draw(4000, FMix(0.6), size=(64, 64), partner="roll").lam
    assert ks_accepts(lam, stats.beta(0.6, 0.6).cdf, upto=1 - 1e-3)


def borders(mask):
    """Share of neighbouring pixels, along x and y, that show different images."""
    own = mask > 0
    return (own[:, 1:] != own[:, :-1]).mean(), (own[1:] != own[:-1]).mean()


def test_masks_of_fmix_are_patches_and_the_decay_smooths_them():
    rough, smooth = (
        np.array([borders(m) for m, _ in masks_of(FMix(decay=d), (64, 64), 200, lam=0.5)])
        for d in (1.5, 4)
    )
    assert 0.01 < smooth.mean() < 0.5 * rough.mean() < 0.12
    # No axis is preferred.
    for values in (rough, smooth):
        difference = values[:, 0] - values[:, 1]
        assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(len(values))


def by_fourier(size, decay, count):
    """Own pixels by the definition: the inverse transform of noise, the higher half of it."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, size), indexing="ij"))
    frequency[0, 0] = np.inf
    for _ in range(count):
        noise = rng.normal(size=size) + 1j * rng.normal(size=size)
        values = np.fft.ifft2(noise * frequency**-decay).real
        yield values >= np.median(values)


@pytest.mark.parametrize("size", [(48, 96), (96, 48)])
def test_patches_of_fmix_take_no_side_for_the_other(size):
    """Rough, they are as long along x as along y. Smooth, the longest wave decides, which only the
    longer side has: there as the definition is."""
    rough, smooth = (
        np.array([borders(m) for m, _ in masks_of(FMix(decay=d), size, lam=0.5)]) for d in (1.5, 3)
    )
    along_x, along_y = rough.mean(0)
    assert abs(along_x / along_y - 1) < 0.1
    defined = np.array([borders(own) for own in by_fourier(size, 3, len(smooth))])
    assert (stats.ttest_ind(smooth, defined, equal_var=False).pvalue > 1e-3).all()


def test_masks_of_fmix_lie_anywhere():
    own = sum((m > 0).astype(int) for m, _ in masks_of(FMix(), (16, 24), 3000, lam=0.5))
    assert np.abs(own - 1500).max() < 4.5 * math.sqrt(750)


def test_neighbouring_points_of_the_noise_wrap_around():
    """It is periodic, as the inverse Fourier transform that the paper takes: the borders meet."""
    across = [
        ((m[:, 0] > 0) != (m[:, -1] > 0)).mean()
        for m, _ in masks_of(FMix(), (64, 64), 200, lam=0.5)
    ]
    halves = [
        ((m[:, 0] > 0) != (m[:, 32] > 0)).mean()
        for m, _ in masks_of(FMix(), (64, 64), 200, lam=0.5)
    ]
    assert np.mean(across) < 0.2 < 0.4 < np.mean(halves)


# bells


@pytest.mark.parametrize("size", [(32, 48), (48, 32)])
def test_bells_are_gaussian_around_a_pixel(size):
    """Of 255 less the rounded value, along both sides by themselves."""
    sigmas = []
    for mask, _ in masks_of(SmoothMix((0.1, 0.3)), size, count=100):
        bell = 255 - mask.astype(int)
        cy, cx = np.unravel_index(bell.argmax(), size)
        assert bell[cy, cx] == 255 or mask.min() == 0
        line = [np.arange(n) - c for n, c in zip(size, (cy, cx), strict=True)]
        fits = []
        for axis, away in enumerate(line):
            values = bell[:, cx] if axis == 0 else bell[cy]
            seen = (values > 60) & (values < 250)
            sigma = np.median(np.abs(away[seen]) / np.sqrt(-2 * np.log(values[seen] / 255)))
            fits.append(sigma)
        y, x = (np.exp(-0.5 * (a / s) ** 2) for a, s in zip(line, fits, strict=True))
        assert np.abs(255 * np.outer(y, x) - bell).max() < 4
        sigmas.append([s / n for s, n in zip(fits, size, strict=True)])
    sigmas = np.array(sigmas)
    assert sigmas.min() > 0.095 and sigmas.max() < 0.31
    assert abs(np.corrcoef(sigmas.T)[0, 1]) < 0.35
    for axis in (0, 1):
        assert ks_accepts(sigmas[:, axis], stats.uniform(0.1, 0.2).cdf, upto=0.3)


def test_bells_stand_on_every_pixel_alike():
    size = (5, 7)
    seen = np.zeros(size, int)
    for mask, _ in masks_of(SmoothMix((0.05, 0.05)), size, count=4000):
        seen[np.unravel_index(mask.argmin(), size)] += 1
    assert seen.sum() == 4000 and chi2_accepts(seen.ravel())


def test_the_smallest_bells_are_one_pixel():
    for mask, lam in masks_of(SmoothMix((1e-300, 1e-300)), (7, 9), count=20):
        assert sorted(mask.ravel().tolist()) == [0] + [255] * 62 and lam == np.float32(62 / 63)
