"""The studio's cut-outs: found, corrected, corrected again, and refused."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from product_scenes import overlap, scene

from deployments.encoded import EncodedCutOut
from deployments.errors import InvalidRequest, ProductNotFound
from deployments.jobs import Hints, Layout, OpenedPhoto, Photo, PreparedPhoto, Product
from deployments.settings import StudioSettings
from deployments.studio import deployment
from deployments.studio.deployment import Studio
from deployments.studio.doubts import certainty
from deployments.studio.finders import ProductFinder
from deployments.studio.segmentation import find_product

SAMPLE = Path(deployment.__file__).parents[1] / "samples/coffee.png"
COFFEE = Photo(np.asarray(Image.open(SAMPLE).convert("RGB")))
FLAT = Photo(np.full((60, 80, 3), 180, np.uint8))
NONE = Hints()

finder = ProductFinder()


def studio(**settings: object) -> Studio:
    return Studio(StudioSettings.model_validate(settings), finder=finder)


def layers(cut: EncodedCutOut) -> np.ndarray:
    """RGBA of its image; its mask must be the same alpha."""
    with Image.open(BytesIO(cut.image), formats=("PNG",)) as image:
        assert (image.mode, image.size, image.info) == ("RGBA", (cut.width, cut.height), {})
        pixels = np.asarray(image)
    with Image.open(BytesIO(cut.mask), formats=("PNG",)) as image:
        assert (image.mode, image.info) == ("L", {})
        assert np.array_equal(np.asarray(image), pixels[..., 3])
    return pixels


def stroke(photo: Photo, *points: tuple[int, int], width: int = 7) -> np.ndarray:
    mask = np.zeros(photo.pixels.shape[:2], np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 255, width)
    return mask


async def test_what_is_found_is_shown() -> None:
    cut = await studio().cut_out(COFFEE, None, NONE, None)
    product = find_product(COFFEE, None, finder)
    opened = OpenedPhoto(PreparedPhoto(COFFEE.pixels), product)
    assert cut.image == (await studio().encode_sources(None, opened)).product
    alpha = layers(cut)[..., 3]
    rows, columns = np.nonzero(alpha >= 16)
    left, top, width, height = cut.box
    assert (left, top) == (columns.min(), rows.min())
    assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
    assert cut.certainty == certainty(finder.coarse(COFFEE.pixels)) < 1
    assert cut.warnings == product.warnings


async def test_a_mask_and_transparency_are_certain() -> None:
    pixels, alpha, _ = scene()
    marked = await studio().cut_out(Photo(pixels), alpha, NONE, None)
    assert np.array_equal(layers(marked)[..., 3], alpha)
    clear = await studio().cut_out(Photo(pixels, alpha), None, NONE, None)
    assert np.array_equal(layers(clear)[..., 3], alpha)
    assert (marked.certainty, clear.certainty) == (1, 1)


async def test_a_small_product_that_is_seen_from_nearer_is_certain() -> None:
    pixels = np.full((1000, 1400, 3), 200, np.uint8)
    cv2.circle(pixels, (500, 600), 24, (160, 40, 30), -1)
    cut = await studio().cut_out(Photo(pixels), None, NONE, None)
    assert cut.box == pytest.approx((476, 576, 49, 49), abs=2)
    assert cut.certainty > 0.8
    assert "the product is only" in cut.warnings[0]


async def test_strokes_correct_what_was_found_and_then_that() -> None:
    pixels, true, _ = scene()
    pixels[150:210, 360:420] = (30, 60, 170)
    both = true.copy()
    both[150:210, 360:420] = 255
    photo = Photo(pixels)
    made = studio()
    hints = Hints(
        keep=stroke(photo, (375, 170), (400, 190)), remove=stroke(photo, (10, 10), (60, 10))
    )
    first = await made.cut_out(photo, None, hints, None)
    assert overlap(layers(first)[..., 3], both) > 0.98
    taken = Hints(remove=stroke(photo, (370, 160), (410, 200), width=5))
    second = await made.cut_out(photo, None, taken, first.image)
    assert overlap(layers(second)[..., 3], true) > 0.98
    before, after = layers(first), layers(second)
    assert np.array_equal(before[:, :330], after[:, :330])
    assert second.certainty == 1
    again = await made.cut_out(photo, None, NONE, second.image)
    assert again.image == second.image


async def test_a_point_finds_what_the_search_does_not() -> None:
    pixels = cv2.GaussianBlur(np.full((400, 600, 3), (150, 152, 150), np.uint8), (0, 0), 3)
    cv2.rectangle(pixels, (250, 150), (380, 300), (172, 170, 160), -1)
    photo = Photo(pixels)

    class Blind(ProductFinder):
        def coarse(self, pixels: np.ndarray) -> np.ndarray:
            return np.zeros(pixels.shape[:2], np.uint8)

    made = Studio(StudioSettings(), finder=Blind())
    with pytest.raises(ProductNotFound, match="mark it with keep, point or product_mask"):
        await made.cut_out(photo, None, NONE, None)
    with pytest.raises(ProductNotFound, match="mark it with keep"):
        await made.cut_out(photo, None, Hints(remove=stroke(photo, (9, 9), (50, 9))), None)
    cut = await made.cut_out(photo, None, Hints(points=((0.5, 0.5),)), None)
    true = np.zeros((400, 600), np.uint8)
    true[150:301, 250:381] = 255
    assert overlap(layers(cut)[..., 3], true) > 0.97
    assert cut.certainty == 1


async def test_strokes_are_kept_in_a_smaller_cut_out() -> None:
    keep = stroke(COFFEE, (20, 30), (90, 30), width=1)
    remove = stroke(COFFEE, (250, 200), (300, 220), width=3)
    cut = await studio(max_output_side=150).cut_out(
        COFFEE, None, Hints(keep=keep, remove=remove), None
    )
    assert (cut.width, cut.height) == (150, 100)
    alpha = layers(cut)[..., 3]
    for column in range(6, 22):
        assert alpha[6:9, column].max() == 255
    assert (alpha[50:55, 64:74] == 0).any(axis=0).all()


async def test_an_earlier_cut_out_under_another_limit_is_read() -> None:
    first = await studio(max_output_side=300).cut_out(COFFEE, None, NONE, None)
    second = await studio().cut_out(
        COFFEE, None, Hints(remove=stroke(COFFEE, (9, 9), (50, 9))), first.image
    )
    assert (second.width, second.height) == (600, 400)
    larger = cv2.resize(layers(first)[..., 3], (600, 400))
    assert overlap(layers(second)[..., 3], larger) > 0.98


@pytest.mark.parametrize(
    ("mask", "hints", "sentence"),
    [
        (np.zeros((60, 80), np.uint8), NONE, "product_mask: the mask marks nothing"),
        (None, Hints(keep=np.zeros((60, 80), np.uint8)), "keep: it marks nothing"),
        (None, Hints(remove=np.zeros((60, 81), np.uint8) | 255), "remove: it marks everything"),
        (None, Hints(keep=np.zeros((80, 60), np.uint8)), "keep: the strokes are 60 x 80"),
        (None, Hints(points=((2, 0),)), "point: 2,0 is outside the photo"),
    ],
    ids=["mask", "empty", "full", "size", "outside"],
)
async def test_what_marks_nothing_is_refused(
    mask: np.ndarray | None, hints: Hints, sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{sentence}"):
        await studio().cut_out(FLAT, mask, hints, None)


async def test_strokes_have_the_size_of_the_file() -> None:
    photo = Photo(COFFEE.pixels, full_size=(1203, 800))
    keep = np.zeros((800, 1203), np.uint8)
    keep[380:420, 560:600] = 255
    cut = await studio().cut_out(photo, None, Hints(keep=keep), None)
    assert (layers(cut)[191:209, 281:298, 3] == 255).all()


async def test_a_product_that_strokes_made_is_restored_bit_for_bit() -> None:
    cut = await studio().cut_out(COFFEE, None, Hints(keep=stroke(COFFEE, (20, 30), (90, 30))), None)
    opened = await studio().open_result(COFFEE, cut.image, Layout(64))
    product: Product = opened.product
    assert np.array_equal(np.dstack([product.pixels, product.alpha]), layers(cut))
