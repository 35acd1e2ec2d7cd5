"""What strokes and points do to a cut-out, in pictures whose products are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, chain, overlap, scene, stroke

from deployments.jobs import Hints, Mask, Photo, Pixels, Product
from deployments.studio.hints import at_size, corrected
from deployments.studio.segmentation import PARTS_LEFT_OUT, UNSURE
from deployments.studio.strokes import HintRefused, strokes_of


class Blind:
    """A finder that marks nothing, or one fixed thing whatever it is shown."""

    grid = 320
    matte = False

    def __init__(self, level: int = 0) -> None:
        self.asked = 0
        self._level = level

    def coarse(self, pixels: Pixels) -> Mask:
        self.asked += 1
        return np.full(pixels.shape[:2], self._level, np.uint8)


def resolved(pixels: Pixels, before: Mask, hints: Hints, certainty: float = 1.0) -> Product:
    photo = Photo(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    start = Product(pixels, before, certainty=certainty)
    return corrected(photo, start, strokes_of(hints, size, photo), Blind())


def two_coloured() -> tuple[Pixels, Mask, Mask]:
    """A vase with a lid of another colour before a patterned wall: it, all of it, and its body."""
    noise = np.random.default_rng(4)
    blots = noise.integers(60, 200, (25, 30, 1)).repeat(3, axis=2).astype(np.uint8)
    pixels = cv2.resize(blots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    pixels[..., 0] //= 2
    true, body = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(true, (170, 60), (310, 360), 255, -1)
    body[220:] = true[220:]
    pixels[true > 0] = (220, 40, 150)
    pixels[body > 0] = (240, 170, 20)
    grain = noise.normal(0, 4, pixels.shape)
    return (pixels + grain).clip(0, 255).astype(np.uint8), true, body


def test_two_strokes_bring_back_the_half_that_was_missed() -> None:
    pixels, true, body = two_coloured()
    assert overlap(body, true) < 0.5
    keep = stroke((200, 90), (240, 130)) | stroke((280, 140), (250, 190))
    product = resolved(pixels, body, Hints(keep=keep))
    assert overlap(product.alpha, true) > 0.98
    assert np.array_equal(product.pixels[product.alpha == 255], pixels[product.alpha == 255])


def test_a_stroke_removes_what_was_kept_wrongly() -> None:
    pixels, true, _ = two_coloured()
    pixels[300:361, 311:400] = (30, 90, 200)
    wrong = true.copy()
    wrong[300:361, 311:400] = 255
    product = resolved(pixels, wrong, Hints(remove=stroke((330, 320), (380, 340))))
    assert overlap(product.alpha, true) > 0.98
    assert not product.alpha[310:350, 325:390].any()


def test_no_rim_is_left_of_what_a_stroke_removed() -> None:
    pixels, true, _ = two_coloured()
    wrong = true.copy()
    cv2.circle(wrong, (400, 200), 37, 255, -1)
    wrong = cv2.GaussianBlur(wrong, (0, 0), 1.5)
    pixels[(wrong > 0) & (true == 0)] = (30, 90, 200)
    product = resolved(pixels, wrong, Hints(remove=stroke((385, 190), (415, 210))))
    assert product.alpha[:, 340:].max() < 16


def test_a_long_stroke_takes_a_wrong_thing_as_a_whole() -> None:
    pixels, true, _ = two_coloured()
    pixels[100:200, 20:140] = (30, 90, 200)
    pixels[150:200, 20:140] = (20, 130, 90)
    wrong = true.copy()
    wrong[100:200, 20:140] = 255
    product = resolved(pixels, wrong, Hints(remove=stroke((50, 120), (110, 130))))
    assert not product.alpha[105:195, 25:135].any()
    assert overlap(product.alpha, true) > 0.99


@pytest.mark.parametrize("background", [(40, 180, 70), (240, 240, 240), (30, 30, 34)])
def test_a_point_finds_what_the_finder_does_not_see(background: tuple[int, int, int]) -> None:
    pixels, true, _ = scene(background)
    nothing = np.zeros_like(true)
    product = resolved(pixels, nothing, Hints(points=((0.5, 0.6),)), certainty=0.0)
    assert overlap(product.alpha, true) > 0.97
    assert product.certainty == 1


def test_what_is_kept_is_looked_at_from_nearer() -> None:
    pixels, true, _ = two_coloured()
    nothing = np.zeros_like(true)

    class Sees(Blind):
        def coarse(self, pixels: Pixels) -> Mask:
            self.asked += 1
            likely = (pixels.max(axis=2).astype(int) - pixels.min(axis=2) > 110) & (
                pixels[..., 0] > 190
            )
            return likely.astype(np.uint8) * np.uint8(255)

    finder = Sees()
    photo = Photo(pixels)
    strokes = strokes_of(Hints(keep=stroke((220, 250), (240, 300))), (WIDTH, HEIGHT), photo)
    start = Product(pixels, nothing, certainty=0.0)
    product = corrected(photo, start, strokes, finder)
    assert finder.asked == 1
    assert overlap(product.alpha, true) > 0.95


def test_a_stroke_beside_the_product_asks_no_network() -> None:
    pixels, _, body = two_coloured()
    photo, finder = Photo(pixels), Blind()
    hints = Hints(keep=stroke((240, 100), (240, 230)))
    corrected(photo, Product(pixels, body), strokes_of(hints, (WIDTH, HEIGHT), photo), finder)
    assert finder.asked == 0


@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_short_stroke_brings_back_a_thin_chain(width: int) -> None:
    pixels, true, _ = chain(width)
    pendant = true.copy()
    pendant[: 900 // 5 + 900 // 2 + 2] = 0
    # A person touches the chain: only what is on it counts.
    lane = stroke((150, 100), (153, 300), shape=true.shape, width=8) & true
    assert np.count_nonzero(lane) > 20
    product = resolved(pixels, pendant, Hints(keep=lane))
    left = true.copy()
    left[:, 450:] = 0
    kept = product.alpha[:, :450]
    assert (kept[left[:, :450] > 0] >= 128).mean() > 0.98
    assert (kept[left[:, :450] == 0] >= 128).mean() < 0.001


@pytest.mark.parametrize("brush", [9, 15])
def test_a_stroke_along_a_chain_keeps_no_ground_beside_it(brush: int) -> None:
    pixels, true, _ = chain(4)
    pendant = true.copy()
    pendant[: 900 // 5 + 900 // 2 + 2] = 0
    # A person follows the chain by hand: sometimes left of it, sometimes right.
    ys = range(190, 560, 40)
    points = [(int(np.flatnonzero(true[y])[0]) + 3 * (-1) ** n, y) for n, y in enumerate(ys)]
    product = resolved(pixels, pendant, Hints(keep=stroke(*points, shape=true.shape, width=brush)))
    kept = product.alpha[180:600, :400] >= 128
    on_chain = true[180:600, :400] > 0
    assert kept[on_chain].mean() > 0.98
    grown = cv2.dilate(on_chain.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not kept[~grown].any()


def test_a_stroke_across_a_thin_part_is_kept_where_it_looks_like_the_ground() -> None:
    pixels, true, _ = chain(4)
    keep = stroke((40, 300), (330, 300), shape=true.shape, width=9)
    product = resolved(pixels, true, Hints(keep=keep))
    assert (product.alpha[keep >= 128] == 255).all()


def test_a_stroke_along_a_pale_edge_has_no_holes() -> None:
    rng = np.random.default_rng(2)
    pixels = np.full((400, 600, 3), (225, 222, 215), np.uint8)
    pixels[300:325, 100:500] = (245, 245, 240)
    pixels[150:300, 120:480] = (90, 40, 30)
    pixels = (pixels + rng.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8)
    upper = np.zeros((400, 600), np.uint8)
    upper[150:300, 120:480] = 255
    keep = stroke((130, 312), (470, 312), shape=(400, 600), width=12)
    alpha = resolved(pixels, upper, Hints(keep=keep)).alpha
    assert (alpha[keep >= 128] == 255).all()


def test_a_stroke_over_what_has_one_colour_takes_no_more_than_itself() -> None:
    rng = np.random.default_rng(3)
    pixels = np.full((500, 600, 3), 230, np.uint8)
    true = np.zeros((500, 600), np.uint8)
    cv2.rectangle(true, (180, 140), (380, 400), 255, -1)
    pixels[true > 0] = (170, 40, 40)
    pixels[140:170][true[140:170] > 0] = (240, 235, 220)
    pixels = (pixels + rng.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8)
    remove = stroke((200, 380), (350, 380), shape=(500, 600), width=20)
    alpha = resolved(pixels, true, Hints(remove=remove)).alpha
    assert (alpha[remove >= 128] == 0).all()
    left = (true > 0) & (cv2.dilate(remove, np.ones((9, 9), np.uint8)) == 0)
    assert (alpha[left] >= 128).mean() > 0.99


def test_strokes_are_kept_to_the_pixel() -> None:
    pixels, true, body = two_coloured()
    keep = stroke((30, 30), (60, 40)) | stroke((240, 100), (240, 180))
    remove = stroke((20, 300), (60, 330)) | stroke((200, 300), (280, 300))
    alpha = resolved(pixels, body, Hints(keep=keep, remove=remove)).alpha
    assert (alpha[keep >= 128] == 255).all()
    assert (alpha[remove >= 128] == 0).all()
    assert (alpha[(true == 0) & (keep == 0)] >= 128).mean() < 0.02


def test_what_is_far_from_the_strokes_stays_bit_for_bit() -> None:
    pixels, _, body = two_coloured()
    rng = np.random.default_rng(1)
    body[250:340, 170:311] = rng.integers(100, 256, (90, 141), np.uint8)
    body[10:30, 400:440] = 90
    body[100:110, 320:326] = 90
    start = Product(rng.integers(0, 256, pixels.shape, np.uint8), body)
    photo = Photo(pixels)
    strokes = strokes_of(Hints(keep=stroke((240, 100), (240, 120))), (WIDTH, HEIGHT), photo)
    product = corrected(photo, start, strokes, Blind())
    assert (product.alpha[70:200, 180:300] == 255).mean() > 0.99
    far = np.ones_like(body, np.bool_)
    far[50:240, 160:320] = False
    assert np.array_equal(product.alpha[far], body[far])
    shown = far & (body > 0)
    assert np.array_equal(product.pixels[shown], start.pixels[shown])


def test_the_same_hints_give_the_same_cut_out() -> None:
    blots = np.random.default_rng(6).integers(0, 256, (40, 48, 3), np.uint8)
    pixels = cv2.resize(blots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    body = np.zeros((HEIGHT, WIDTH), np.uint8)
    body[150:250, 150:300] = 255
    hints = Hints(keep=stroke((200, 100), (240, 200)))
    cv2.setRNGSeed(12)
    first = resolved(pixels, body, hints)
    for seed in (99, 5):
        cv2.setRNGSeed(seed)
        assert np.array_equal(first.alpha, resolved(pixels, body, hints).alpha)


def test_a_short_stroke_does_not_take_all_that_looks_alike() -> None:
    noise = np.random.default_rng(2)
    pixels = np.full((HEIGHT, WIDTH, 3), (52, 38, 30), np.float32)
    true = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(true, (240, 220), 110, 255, -1)
    cv2.circle(true, (240, 110), 40, 255, -1)
    pixels[true > 0] = (56, 40, 31)
    pixels[:150][true[:150] > 0] = (200, 20, 30)
    pixels = (pixels + noise.normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8)
    wrong = true.copy()
    wrong[215:235, 340:375] = 255
    product = resolved(pixels, wrong, Hints(remove=stroke((360, 220), (366, 230))))
    assert (product.alpha[true > 0] >= 128).mean() > 0.9


def test_certainty_counts_what_hints_add_as_sure() -> None:
    pixels, true, body = two_coloured()
    keep = stroke((200, 90), (240, 130)) | stroke((280, 140), (250, 190))
    product = resolved(pixels, body, Hints(keep=keep), certainty=0.4)
    added = 1 - (body > 0).sum() / (true > 0).sum()
    assert product.certainty == pytest.approx(0.4 + 0.6 * added, abs=0.02)
    assert product.warnings == (UNSURE,)


def test_what_a_stroke_removed_was_not_left_out() -> None:
    pixels, true, _ = scene((230, 230, 230))
    pixels[200:240, 400:440] = (20, 60, 160)
    elsewhere = stroke((20, 20), (60, 20))
    assert PARTS_LEFT_OUT in resolved(pixels, true, Hints(remove=elsewhere)).warnings
    said = stroke((405, 205), (435, 235), width=30)
    assert PARTS_LEFT_OUT not in resolved(pixels, true, Hints(remove=said)).warnings


def test_nothing_and_everything_are_no_products() -> None:
    pixels, _, body = two_coloured()
    remove = body.copy()
    with pytest.raises(HintRefused, match=r"^remove: nothing is left of the product$"):
        resolved(pixels, body, Hints(remove=remove))
    keep = np.full_like(body, 255)
    keep[:4, :4] = 0
    with pytest.raises(HintRefused, match=r"^keep: 100% of the photo would be the product$"):
        resolved(pixels, body, Hints(keep=keep))


def test_an_earlier_cut_out_of_another_size_is_brought_to_the_photos() -> None:
    pixels, true, _ = scene()
    small = Product(pixels[::2, ::2].copy(), true[::2, ::2].copy())
    brought = at_size(small, Photo(pixels))
    assert overlap(brought.alpha, true) > 0.98
    same = Product(pixels, true)
    assert at_size(same, Photo(pixels)) is same
