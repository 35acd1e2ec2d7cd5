"""Photos and products laid out for a model, and for backgrounds that no model paints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, scene

from deployments.composition import Canvas, Placement
from deployments.jobs import Layout, OpenedPhoto, Photo, Product
from deployments.studio.fitting import fit, working_size
from deployments.studio.foreground import estimate_foreground
from deployments.studio.framing import frame, repaint_mask
from deployments.studio.layouts import NO_GROUND, laid_out
from deployments.studio.placing import place
from deployments.studio.resampling import placed

SQUARE = Canvas(size=(500, 500), padding=0.2)


def vase(**told: object) -> tuple[Photo, Product]:
    pixels, alpha, _ = scene()
    return Photo(pixels), Product(estimate_foreground(pixels, alpha), alpha, **told)  # type: ignore[arg-type]


def uploaded(layout: Layout, *, product: bool = True) -> OpenedPhoto:
    photo, found = vase(warnings=("a doubt",))
    return laid_out(photo, found if product else None, layout, 1536)


def varied(result: Photo, layout: Layout) -> OpenedPhoto:
    return laid_out(result, vase()[1], replace(layout, varied=True), 1536)


def test_without_a_canvas_a_photo_is_framed_as_it_is() -> None:
    photo, product = vase()
    opened = uploaded(Layout(256))
    expected = frame(photo, product, 256)
    assert opened.prepared is not None
    assert np.array_equal(opened.prepared.pixels, expected.pixels)
    assert np.array_equal(opened.prepared.mask, expected.mask)
    assert opened.product is not None
    assert np.array_equal(opened.product.alpha, product.alpha)
    assert (opened.cut, opened.placement, opened.backdrop) == (None, None, None)
    assert opened.warnings == ()


def test_on_a_canvas_the_old_background_is_only_colours() -> None:
    opened = uploaded(Layout(256, SQUARE))
    assert opened.prepared is not None
    assert opened.product is not None
    assert opened.cut is not None
    assert opened.placement is not None
    assert opened.product.alpha.shape == (500, 500)
    assert opened.cut.alpha.shape == (HEIGHT, WIDTH)
    assert opened.backdrop is None
    width, height = working_size(500, 500, 256)
    assert opened.prepared.pixels.shape == (height, width, 3)
    assert np.array_equal(opened.prepared.mask, repaint_mask(opened.product, width, height))
    ground = opened.prepared.pixels[:, :30].astype(int)
    assert np.abs(np.diff(ground, axis=0)).max() <= 2
    assert np.abs(ground.mean(axis=(0, 1)) - (41, 184, 72)).max() < 12
    held = opened.prepared.mask == 0
    shown = fit(Photo(opened.product.pixels), 256).pixels
    assert held.any()
    assert np.abs(opened.prepared.pixels[held].astype(int) - shown[held]).max() <= 3


def test_warnings_of_the_place_are_told() -> None:
    opened = uploaded(Layout(256, Canvas(size=(1500, 1500), padding=0)))
    assert ["enlarged" in warning for warning in opened.warnings] == [True]


def test_a_result_is_varied_from_itself() -> None:
    _, product = vase()
    placement, _ = place(product, SQUARE, max_side=1536)
    result = Photo(np.random.default_rng(2).integers(0, 256, (500, 500, 3), np.uint8))
    opened = varied(result, Layout(256, placement=placement))
    assert placement is not None
    lying = placed(product, placement)
    assert opened.prepared is not None
    assert opened.product is not None
    assert np.array_equal(opened.prepared.pixels, fit(result, 256).pixels)
    assert np.array_equal(opened.product.pixels, lying.pixels)
    assert np.array_equal(opened.product.alpha, lying.alpha)
    assert opened.placement == placement
    assert opened.cut is not None
    assert opened.warnings == ()


def test_the_same_canvas_said_again_changes_nothing() -> None:
    _, product = vase()
    placement, _ = place(product, SQUARE, max_side=1536)
    result = Photo(np.random.default_rng(2).integers(0, 256, (500, 500, 3), np.uint8))
    opened = varied(result, Layout(256, SQUARE, placement=placement))
    assert opened.prepared is not None
    assert np.array_equal(opened.prepared.pixels, fit(result, 256).pixels)


def test_a_result_keeps_its_size_where_only_the_place_changes() -> None:
    _, product = vase()
    placement, _ = place(product, SQUARE, max_side=1536)
    result = Photo(np.full((500, 500, 3), 90, np.uint8))
    opened = varied(result, Layout(256, Canvas(position="bottom"), placement=placement))
    assert opened.placement is not None
    assert (opened.placement.width, opened.placement.height) == (500, 500)


def test_a_result_covers_another_canvas_without_the_product_where_it_was() -> None:
    pixels, alpha, _ = scene()
    opened = varied(Photo(pixels), Layout(256, Canvas(size=(480, 900), position="bottom")))
    assert opened.prepared is not None
    assert opened.product is not None
    assert opened.prepared.mask is not None
    assert opened.product.alpha.shape == (900, 480)
    picture = opened.prepared.pixels.astype(int)
    height = picture.shape[0]
    # The scene is green, the vase red: it is at the bottom now, and nowhere else.
    red = picture[..., 0] > picture[..., 1]
    assert not red[: height // 2].any()
    lying = np.asarray(opened.prepared.mask == 0)
    assert red[lying].all()
    # The pixels are the upload's, wherever they lie.
    at = opened.placement
    assert at is not None
    assert at.scale == 1
    y, x = np.nonzero(alpha == 255)
    moved = opened.product.pixels[y + int(at.top), x + int(at.left)]
    assert np.array_equal(moved, pixels[y, x])


@pytest.mark.parametrize("canvas", [Canvas(), SQUARE])
def test_a_plain_background_prepares_nothing_for_a_model(canvas: Canvas) -> None:
    opened = uploaded(Layout(None, canvas, background="#ffffff"))
    assert opened.prepared is None
    assert opened.backdrop is None
    assert opened.product is not None


def test_blur_lies_behind_the_product_where_the_photo_lies() -> None:
    opened = uploaded(Layout(None, Canvas(size=(700, 600)), background="blur"))
    assert opened.backdrop is not None
    assert opened.backdrop.shape == (600, 700, 3)
    colours = opened.backdrop.astype(int)
    assert (colours[..., 1] > colours[..., 0]).all()


def test_blur_of_a_result_follows_the_product_to_another_canvas() -> None:
    """The result's scene goes on being behind the product as it was."""
    before = Placement(480, 400, 0.5, 120, 100)
    ramp = np.zeros((400, 480, 3), np.uint8)
    ramp[...] = np.linspace(0, 240, 480).astype(np.uint8)[None, :, None]
    canvas = Canvas(size=(960, 800), padding=0.01, position="center")
    opened = varied(Photo(ramp), Layout(None, canvas, placement=before, background="blur"))
    assert opened.backdrop is not None
    assert opened.placement is not None
    after = opened.placement
    x = (200 - before.left) / before.scale * after.scale + after.left
    assert abs(int(opened.backdrop[60, round(x), 0]) - 100) <= 6


def test_blur_of_a_transparent_upload_is_warned_of() -> None:
    pixels, alpha, _ = scene()
    _, product = vase()
    layout = Layout(None, background="blur")
    opened = laid_out(Photo(pixels, alpha), product, layout, 1536)
    assert opened.warnings == (NO_GROUND,)


def test_a_photo_without_a_product_covers_the_canvas() -> None:
    opened = uploaded(Layout(256, Canvas(aspect=1)), product=False)
    assert opened.prepared is not None
    assert opened.product is None
    assert opened.prepared.mask is None
    assert opened.prepared.pixels.shape == (256, 256, 3)
    assert opened.placement == Placement(400, 400, 1, -40, 0)
    assert opened.warnings == ()
    photo, _ = vase()
    whole = uploaded(Layout(256), product=False)
    assert whole.prepared is not None
    assert np.array_equal(whole.prepared.pixels, fit(photo, 256).pixels)
    assert whole.placement is None


def test_a_result_without_its_product_keeps_the_products_place_for_later() -> None:
    before = Placement(500, 500, 0.5, 10, 20)
    result = Photo(np.zeros((250, 250, 3), np.uint8))
    layout = Layout(256, placement=before, varied=True)
    assert laid_out(result, None, layout, 1536).placement == before
    # The middle half of what was 500 pixels wide, at 1.2 of its size.
    layout = replace(layout, canvas=Canvas(size=(300, 600)))
    placement = laid_out(result, None, layout, 1536).placement
    assert placement == Placement(300, 600, 0.6, -138, 24)


def test_a_shadow_that_was_asked_for_and_is_not_drawn_is_told() -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[HEIGHT // 2 :, 100:200] = 255
    cut = Product(pixels, alpha)
    told = {
        shadow: laid_out(Photo(pixels), cut, Layout(None, shadow=shadow), 1536).warnings
        for shadow in (None, "none", "contact", "floating")
    }
    assert not told[None]
    assert not told["none"]
    assert "nothing of the product seems to stand" in told["contact"][0]
    assert "reaches the lower border" in told["floating"][0]
