"""Photos at a model's working size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.jobs import Photo
from deployments.studio.fitting import fit, limited, shrink, working_size


@pytest.mark.parametrize(("photo", "size", "expected"), [
    ((512, 512), 512, (512, 512)),
    ((1, 1), 512, (512, 512)),
    ((6000, 4000), 512, (624, 416)),
    ((4000, 6000), 512, (416, 624)),
    ((1920, 1080), 1024, (1360, 768)),
    ((100, 100), 64, (64, 64)),
    ((8, 1), 512, (1456, 176)),
    ((8, 1), 64, (512, 64)),
])  # fmt: skip
def test_working_size(photo: tuple[int, int], size: int, expected: tuple[int, int]) -> None:
    assert working_size(*photo, size) == expected


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(4, 128).map(lambda n: 16 * n))
def test_working_size_keeps_its_promises(width: int, height: int, size: int) -> None:
    fitted = working_size(width, height, size)
    assert all(side % 16 == 0 and side >= 64 for side in fitted)
    # Rounding moves a side by 8 at most: multiples of 16 get no nearer to the aspect.
    scale = max(size / (width * height) ** 0.5, 64 / min(width, height))
    assert abs(fitted[0] - width * scale) <= 8.001
    assert abs(fitted[1] - height * scale) <= 8.001
    if min(fitted) > 64:
        assert fitted[0] * fitted[1] == pytest.approx(size**2, rel=0.3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 64), (900, 1600), (40, 300)])
def test_fit_gives_the_working_size(shape: tuple[int, int]) -> None:
    pixels = fit(Photo(np.full((*shape, 3), 200, np.uint8)), 128).pixels
    width, height = working_size(shape[1], shape[0], 128)
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert np.unique(pixels).tolist() == [200]


def test_fit_changes_nothing_at_the_working_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert np.array_equal(fit(Photo(pixels), 128).pixels, pixels)


def test_fit_keeps_the_whole_picture_in_place() -> None:
    y, x = np.mgrid[0:1024, 0:2048]
    photo = np.stack([x // 8, y // 4, np.full_like(x, 50)], axis=2).astype(np.uint8)
    fitted = fit(Photo(photo), 128).pixels.astype(int)
    height, width = fitted.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    expected = np.stack([(x + 0.5) / width * 256, (y + 0.5) / height * 256, 0 * x + 50.5], axis=2)
    assert np.abs(fitted - expected + 0.5).max() <= 3


def test_fit_does_not_alias_fine_patterns() -> None:
    checks = (np.indices((1024, 1024)).sum(axis=0) % 2 * 255).astype(np.uint8)
    fitted = fit(Photo(np.repeat(checks[:, :, None], 3, axis=2)), 128).pixels
    assert np.abs(fitted.astype(int) - 127).max() <= 2


def test_fit_takes_pixels_it_may_not_write() -> None:
    pixels = np.zeros((30, 30, 3), np.uint8)
    pixels.flags.writeable = False
    assert fit(Photo(pixels), 64).pixels.shape == (64, 64, 3)


def test_a_large_photo_shrinks_with_its_mask() -> None:
    """A pixel stays the same mixture in the colours as in the masks."""
    alpha = np.zeros((300, 450), np.uint8)
    alpha[40:233, 101:320] = 255
    pixels = np.where(alpha[..., None] > 0, np.uint8(240), np.uint8(20)).repeat(3, axis=2)
    photo, mask = shrink(Photo(pixels, alpha), alpha, 150)
    assert mask is not None
    assert photo.alpha is not None
    assert photo.pixels.shape == (100, 150, 3)
    assert np.array_equal(mask, photo.alpha)
    mixed = 20 + 220 * (mask / 255.0)
    assert np.abs(photo.pixels[..., 0] - mixed).max() <= 1
    assert {0, 255} < set(np.unique(mask))


def test_a_small_photo_is_left_alone() -> None:
    photo = Photo(np.zeros((30, 40, 3), np.uint8))
    assert shrink(photo, None, 40) == (photo, None)
    assert limited(40, 30, 40) == (40, 30)
    assert limited(4000, 3, 400) == (400, 1)
