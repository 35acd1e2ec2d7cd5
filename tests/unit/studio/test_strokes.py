"""Strokes and points: what is refused, and how they come to the size of a photo."""

from __future__ import annotations

import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, stroke

from deployments.jobs import Hints, Photo
from deployments.studio.strokes import HintRefused, strokes_of

MARK = stroke((10, 10), (40, 40))


@pytest.mark.parametrize(
    ("hints", "sentence"),
    [
        (Hints(keep=MARK, remove=MARK.copy()), "keep: .* contradict"),
        (Hints(keep=MARK, remove=MARK[::2, ::2]), "keep: .* contradict"),
        (Hints(remove=MARK, points=((25 / WIDTH, 25 / HEIGHT),)), "point: .* contradicts"),
        (Hints(keep=MARK[:, :300]), "keep: the strokes are 300 x 400 pixels, the photo 480 x 400"),
        (Hints(remove=MARK[:200]), "remove: the strokes are 480 x 200"),
        (Hints(keep=MARK // 2), "keep: it marks nothing"),
        (Hints(remove=MARK * 0), "remove: it marks nothing"),
        (Hints(keep=MARK | 200), "keep: it marks everything"),
        (Hints(remove=MARK | 128), "remove: it marks everything"),
        (Hints(points=((0.5, 1.01),)), r"point: 0\.5,1\.01 is outside"),
        (Hints(points=((0.5, 0.5), (float("nan"), 0.5))), "point: nan,0.5 is outside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hints_that_cannot_be_followed_are_refused(hints: Hints, sentence: str) -> None:
    photo = Photo(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    with pytest.raises(HintRefused, match=f"^{sentence}"):
        strokes_of(hints, (WIDTH, HEIGHT), photo)


def test_strokes_on_what_is_transparent_are_refused() -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:100] = 0
    photo = Photo(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), alpha)
    with pytest.raises(HintRefused, match=r"^keep: it marks only what is transparent"):
        strokes_of(Hints(keep=MARK), (WIDTH, HEIGHT), photo)
    with pytest.raises(HintRefused, match=r"^point: it marks only what is transparent"):
        strokes_of(Hints(points=((0.1, 0.1),)), (WIDTH, HEIGHT), photo)
    assert strokes_of(Hints(keep=stroke((10, 90), (10, 200))), (WIDTH, HEIGHT), photo).keep.any()


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 2.0])
def test_strokes_come_at_any_size_of_the_same_aspect(scale: float) -> None:
    photo = Photo(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    size = (round(WIDTH * scale), round(HEIGHT * scale))
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[size[1] // 2 :, size[0] // 2 :] = 255
    keep = strokes_of(Hints(keep=mask), (3 * WIDTH, 3 * HEIGHT), photo).keep
    assert keep[HEIGHT // 2 + 2 :, WIDTH // 2 + 2 :].all()
    assert not keep[: HEIGHT // 2 - 2].any()
    assert not keep[:, : WIDTH // 2 - 2].any()


@pytest.mark.parametrize("place", range(7))
def test_a_line_of_one_pixel_stays_whole_in_a_smaller_photo(place: int) -> None:
    photo = Photo(np.full((120, 160, 3), 90, np.uint8))
    mask = np.zeros((840, 1120), np.uint8)
    mask[:, 300 + place] = 255
    keep = strokes_of(Hints(keep=mask), (1120, 840), photo).keep
    assert keep.any(axis=1).all()
    assert keep.sum(axis=1).max() <= 2
