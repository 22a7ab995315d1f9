"""The contact sheet: what is drawn of a row, and to what scale."""

import numpy as np
import pytest

pytest.importorskip("PIL.Image")

from dali_mix.commands.preview import sheet


def test_the_bar_and_the_box_are_drawn_to_scale():
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    box = sheet.Box(1, (10, 0, 40, 40), (10, 0, 40, 40))
    shares = [0.25, 0.75]
    row = sheet.Row([black, white], ["a", "b"], shares, shares, black, [box])
    pixels = np.asarray(sheet.contact_sheet([row], "title")).astype(int)
    own, partner = ((pixels == color).all(-1) for color in ((9, 105, 218), (209, 87, 10)))
    bars = np.flatnonzero(own.sum(1) > 160)
    assert len(bars) == 8  # below the pictures, of 160 pixels: one is all own, one a quarter
    assert (own[bars].sum(1) == 160 + 40).all() and (partner[bars].sum(1) == 160 + 120).all()


def row_of(pixels, label, images=2):
    shares = [1 / images] * images
    return sheet.Row([pixels] * images, [label] * images, shares, shares, pixels)


@pytest.mark.parametrize("label", ["a very long name of a class " * 9, "Größe 猫", "", "a\nb"])
def test_any_label_can_be_drawn(label):
    black = np.zeros((20, 30, 3), np.uint8)
    drawn = sheet.contact_sheet([row_of(black, label)] * 7, f"title {label}")
    assert drawn.width > drawn.height / 2


def test_without_a_title_the_rows_stand_alone_and_below_each_other():
    rows = [row_of(np.zeros((20, 30, 3), np.uint8), "a")] * 5
    alone, titled = sheet.contact_sheet(rows), sheet.contact_sheet(rows, "title")
    assert titled.width > 1.8 * alone.width and alone.height > titled.height
    first = np.asarray(sheet.contact_sheet(rows[:1]))
    assert (np.asarray(alone)[: len(first) - 32] == first[:-32]).all()


@pytest.mark.parametrize("images", range(2, 9))
def test_every_image_has_a_color_and_the_partners_share_one_picture(images):
    black = np.zeros((40, 40, 3), np.uint8)
    rows = [row_of(black, "a", images)]
    pixels = np.asarray(sheet.contact_sheet(rows))
    bars = pixels[32 + 24 + 160 + 4 + 2]
    colors = {tuple(color) for color in bars.tolist()} - {(255, 255, 255)}
    assert len(colors) == images
    # 160 pixels, white between the pictures and around them.
    assert (pixels[32 + 24 + 1, 32 + 172 : 32 + 172 + 160] == 0).mean() > 0.9


def test_images_larger_than_the_sheet_shows_are_reduced():
    large = np.zeros((100, 2000, 3), np.uint8)
    assert sheet.contact_sheet([row_of(large, "a")], "").width < 1100
