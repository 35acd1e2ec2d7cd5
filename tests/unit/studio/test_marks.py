"""What a caller marks is kept: masks, transparency, and what is said about them."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image
from product_scenes import HEIGHT, WIDTH, Scene, bottle, chain, overlap, scene

from deployments.jobs import Mask, Photo, Pixels, Product
from deployments.studio.compositing import compose
from deployments.studio.finders import ProductFinder
from deployments.studio.marks import MaskRefused, alpha_of_mask, check_given, soften
from deployments.studio.segmentation import ProductNotFound, find_product


class Unasked(ProductFinder):
    """A finder that must not be needed."""

    def coarse(self, pixels: Pixels) -> Mask:
        pytest.fail("the finder is asked although the product is known")


class Sees(ProductFinder):
    """A finder that marks what it is told to."""

    def __init__(self, marked: Mask) -> None:
        self._marked = marked

    def coarse(self, pixels: Pixels) -> Mask:
        return self._marked


UNASKED = Unasked(threads=1)


def flattened(made: Scene) -> Pixels:
    """The scene's product over white, as a transparent upload comes."""
    share = made.alpha[..., None] / 255
    return np.rint(made.colours * share + 255 * (1 - share)).astype(np.uint8)


def on_a_beach(product: Product) -> Pixels:
    y, x = np.mgrid[0:64, 0:80]
    scenery = np.stack([90 + x, 140 + y, 200 - y], axis=2).astype(np.uint8)
    return compose(scenery, product)


@pytest.mark.parametrize("made", [scene(), bottle()], ids=["soft outline", "glass"])
def test_a_grey_mask_is_the_alpha_as_it_is(made: Scene) -> None:
    product = find_product(Photo(made.pixels), made.alpha, UNASKED)
    assert np.array_equal(product.alpha, made.alpha)
    opaque = made.alpha == 255
    assert np.array_equal(product.pixels[opaque], made.pixels[opaque])
    assert (product.found, product.warnings) == (False, ())


def test_every_grey_is_kept() -> None:
    mask = np.pad(np.tile(np.arange(256, dtype=np.uint8), (40, 1)), 1)
    photo = Photo(np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), np.uint8))
    assert np.array_equal(find_product(photo, mask, UNASKED).alpha, mask)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
def test_all_of_a_thin_chain_is_kept(width: int) -> None:
    pixels, mask, _ = chain(width)
    alpha = find_product(Photo(pixels), mask, UNASKED).alpha
    assert (alpha[mask == 255] >= 128).all()
    thin = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5))) == 0
    assert (alpha[thin & (mask == 255)] == 255).all()
    assert np.count_nonzero(thin & (mask == 255)) > 900 or width == 9


@pytest.mark.parametrize("levels", [(0, 255), (5, 250), (8, 247)])
def test_a_border_of_two_levels_becomes_as_soft_as_the_photo(levels: tuple[int, int]) -> None:
    pixels, alpha, _ = scene()
    marked = alpha >= 128
    mask = np.where(marked, np.uint8(levels[1]), np.uint8(levels[0]))
    soft = find_product(Photo(pixels), mask, UNASKED).alpha

    def error(given: Mask) -> float:
        return float(np.abs(given.astype(int) - alpha).mean())

    assert error(soft) < 0.75 * error(np.where(marked, 255, 0).astype(np.uint8))
    assert np.array_equal(soft >= 128, marked)
    inside = cv2.erode(marked.astype(np.uint8), np.ones((3, 3))) > 0
    outside = cv2.dilate(marked.astype(np.uint8), np.ones((3, 3))) == 0
    assert (soft[inside] == 255).all()
    assert (soft[outside] == 0).all()


@pytest.mark.parametrize("quality", [50, 75, 85, 95])
@pytest.mark.parametrize("width", [2, 30])
def test_jpeg_adds_no_greys_to_two_levels(quality: int, width: int) -> None:
    pixels, mask, _ = chain(width)
    file = BytesIO()
    Image.fromarray(mask).save(file, "JPEG", quality=quality)
    blurred = np.asarray(Image.open(file))
    assert not np.array_equal(blurred, mask) or quality == 95
    assert np.array_equal(alpha_of_mask(pixels, blurred), alpha_of_mask(pixels, mask))


@pytest.mark.parametrize("grey", [20, 82, 90, 170, 235])
def test_few_greys_are_no_work_of_jpeg(grey: int) -> None:
    made = scene()
    mask = np.where(made.alpha >= 128, np.uint8(255), np.uint8(0))
    mask[200:300, 190:290] = grey
    assert np.array_equal(alpha_of_mask(made.pixels, mask), mask)


def test_a_border_stays_where_both_sides_look_alike() -> None:
    marked = (scene().alpha >= 128).astype(np.uint8)
    flat = np.random.default_rng(0).integers(120, 130, (HEIGHT, WIDTH, 3), np.uint8)
    assert np.array_equal(soften(flat, marked), marked * 255)


@settings(deadline=None)
@drawn(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_no_marked_pixel_is_lost(height: int, width: int, seed: int) -> None:
    noise = np.random.default_rng(seed)
    pixels = noise.integers(0, 256, (height, width, 3), np.uint8)
    mask = noise.choice(np.array([0, 255], np.uint8), (height, width))
    for array in (pixels, mask):
        array.flags.writeable = False
    assert np.array_equal(alpha_of_mask(pixels, mask) >= 128, mask >= 128)


def test_glass_by_its_mask_looks_as_by_its_own_transparency() -> None:
    made = bottle()
    by_mask = find_product(Photo(made.pixels), made.alpha, UNASKED)
    cut = find_product(Photo(flattened(made), made.alpha), None, UNASKED)
    shown = made.alpha > 0
    apart = np.abs(on_a_beach(by_mask).astype(int) - on_a_beach(cut))
    assert apart.mean() < 0.5
    assert apart[shown].mean() < 2


def test_an_uploads_transparency_is_the_mask() -> None:
    made = scene()
    product = find_product(Photo(flattened(made), made.alpha), None, UNASKED)
    assert np.array_equal(product.alpha, made.alpha)
    half = made.alpha > 127
    # Flattening rounds to 8 bits; at half alpha that is one step of colour.
    assert np.abs(product.pixels[half].astype(int) - made.colours[half]).max() <= 1
    assert (product.found, product.warnings) == (False, ())


def book(margin: int) -> Mask:
    """A book with round corners that fills a picture, but for a clear margin on top."""
    alpha = np.zeros((700 + margin, 520), np.uint8)
    cv2.rectangle(alpha, (20, margin), (499, margin + 699), 255, -1)
    cv2.rectangle(alpha, (0, margin + 20), (519, margin + 679), 255, -1)
    for x, y in ((20, 20), (499, 20), (20, 679), (499, 679)):
        cv2.circle(alpha, (x, y + margin), 20, 255, -1, cv2.LINE_AA)
    return alpha


@pytest.mark.parametrize("margin", [0, 8, 80], ids=["trimmed", "a strip", "a margin"])
def test_opaque_pixels_of_a_transparent_upload_are_never_painted(margin: int) -> None:
    alpha = book(margin)
    colours = np.random.default_rng(4).integers(0, 256, (*alpha.shape, 3), np.uint8)
    made = Scene(colours, alpha, colours)
    product = find_product(Photo(flattened(made), alpha), None, UNASKED)
    assert np.array_equal(product.alpha, alpha)
    opaque = alpha == 255
    assert np.array_equal(on_a_beach(product)[opaque], colours[opaque])
    warned = [text for text in product.warnings if "all of that is kept as it is" in text]
    assert len(warned) == len(product.warnings) == (1 if margin < 80 else 0)


def test_a_thin_thing_cut_out_is_kept_however_little_it_covers() -> None:
    made = chain(1)
    alpha = np.where(chain(1).alpha[..., None] > 0, 255, 0)[..., 0].astype(np.uint8)
    alpha[600:] = 0
    assert (alpha > 0).mean() < 0.002
    product = find_product(Photo(flattened(made._replace(alpha=alpha)), alpha), None, UNASKED)
    assert np.array_equal(product.alpha, alpha)


def test_transparency_that_marks_no_product_is_not_the_mask() -> None:
    pixels, alpha, _ = scene()
    rounded = np.full((HEIGHT, WIDTH), 255, np.uint8)
    rounded[:9, :9] = 0
    found = find_product(Photo(pixels, rounded), None, ProductFinder(threads=1))
    assert overlap(found.alpha, alpha) > 0.99
    assert found.found


def test_an_upload_that_is_clear_everywhere_shows_no_product() -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    with pytest.raises(ProductNotFound, match="transparent everywhere"):
        find_product(Photo(pixels, np.zeros((HEIGHT, WIDTH), np.uint8)), None, UNASKED)


def test_the_callers_mask_counts_before_transparency() -> None:
    pixels, alpha, _ = scene()
    shown = Photo(pixels, np.where(alpha > 0, 255, 0).astype(np.uint8))
    given = np.zeros_like(alpha)
    given[:, : WIDTH // 2] = alpha[:, : WIDTH // 2]
    product = find_product(shown, given, UNASKED)
    assert np.array_equal(product.alpha, given)
    opaque = product.alpha == 255
    assert np.array_equal(product.pixels[opaque], pixels[opaque])


@pytest.mark.parametrize("invert", [True, False])
def test_an_inverted_mask_is_warned_of(invert: bool) -> None:
    pixels, alpha, _ = scene()
    mask = 255 - alpha if invert else alpha
    product = find_product(Photo(pixels), mask, ProductFinder(threads=1))
    assert np.array_equal(product.alpha, mask)
    assert [text[:34] for text in product.warnings] == (
        ["product_mask seems to be inverted:"] if invert else []
    )


def test_a_mask_that_fills_the_frame_is_not_taken_for_inverted() -> None:
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:40] = 0
    photo = Photo(scene().pixels)
    assert find_product(photo, mask, Sees(mask)).warnings == ()
    # Nor where the finder sees a part of what is marked.
    part = mask.copy()
    part[:200] = 0
    assert find_product(photo, mask, Sees(part)).warnings == ()


def test_check_given() -> None:
    photo = Photo(scene().pixels)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    with pytest.raises(MaskRefused, match="480 x 399 pixels, the photo 480 x 400"):
        check_given(mask[1:], photo)
    with pytest.raises(MaskRefused, match="marks nothing"):
        check_given(mask + 15, photo)
    with pytest.raises(MaskRefused, match="marks everything"):
        check_given(mask + 240, photo)
    mask[5, 5] = 16
    check_given(mask, photo)
    check_given(mask + 100, photo)
