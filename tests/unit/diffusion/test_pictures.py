"""How a picture lies in the one that a model works on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.diffusion.families.pictures import Frame
from deployments.jobs import PreparedPhoto

SIDES = st.integers(1, 90)


def a_slope(height: int, width: int) -> PreparedPhoto:
    """A picture that tells each place, and a mask."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 2, columns * 2, rows + columns], 2).astype(np.uint8)
    return PreparedPhoto(pixels, np.where(columns > width // 2, 255, 0).astype(np.uint8))


@given(SIDES, SIDES, st.sampled_from([1, 8, 32]))
def test_a_picture_with_more_border_comes_back_as_it_was(height, width, step):
    photo = a_slope(height, width)
    frame = Frame(height, width, step)
    put = frame.put(photo)
    assert put.pixels.shape[:2] == put.mask.shape == frame.size
    assert all(
        0 <= a - b < step and a % step == 0
        for a, b in zip(frame.size, (height, width), strict=True)
    )
    np.testing.assert_array_equal(frame.take(put.pixels), photo.pixels)
    assert (put is photo) == (frame.size == (height, width))
    assert put.pixels.max() == photo.pixels.max()


@given(SIDES, SIDES)
def test_every_picture_becomes_the_square(height, width):
    frame = Frame(height, width, 8, square=60)
    put = frame.put(a_slope(height, width))
    assert frame.size == put.pixels.shape[:2] == put.mask.shape == (64, 64)
    assert frame.take(put.pixels).shape == (height, width, 3)


@pytest.mark.parametrize(("height", "width"), [(48, 80), (80, 48), (64, 64), (100, 100)])
def test_a_picture_lies_in_the_middle_of_its_square_and_keeps_its_shape(height, width):
    photo = a_slope(height, width)
    frame = Frame(height, width, 32, square=64)
    put = frame.put(photo)
    if height == width == 64:
        assert put is photo
    back = frame.take(put.pixels).astype(int)
    # Away from the border, where the filter also sees what was added.
    inner = np.s_[6:-6, 6:-6]
    assert np.abs(back[inner] - photo.pixels[inner]).max() <= 2
