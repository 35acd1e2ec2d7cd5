"""A photo that is far larger than results are is used, marked and stored at a smaller size."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.settings import StudioSettings
from tests.unit.ingress.memory import Surface, png, surface
from tests.unit.ingress.test_problems import problem
from tests.unit.ingress.test_product_fields import image, mask


def enlarged(file: bytes, factor: int, kind: str) -> bytes:
    picture = Image.open(BytesIO(file))
    made = BytesIO()
    size = (picture.width * factor, picture.height * factor)
    picture.resize(size, Image.Resampling.NEAREST).save(made, kind, quality=100, subsampling=0)
    return made.getvalue()


@pytest.fixture
async def small(tmp_path) -> Surface:
    """A service whose results have at most 64 pixels a side."""
    made = surface(tmp_path, studio=StudioSettings(max_output_side=64))
    async with made.client:
        yield made


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
async def test_a_large_photo_is_kept_at_the_size_that_results_need(small, kind):
    square = np.zeros((32 * 8, 48 * 8), np.uint8)
    square[64:192, 96:240] = 255
    # 384 x 256 pixels come out as 96 x 64, from which results of 64 x 43 are made.
    answer = await small.generate(enlarged(png(), 8, kind), mask(square), num_images=1)
    assert answer.status_code == 200, answer.json()
    assert answer.json()["fidelity"][0]["pixels"] == 1.0
    assert (await image(small, answer.json()["images"][0])).shape == (43, 64, 3)
    (source,) = [name for name in small.names() if name.startswith("sources/")]
    stored = np.asarray(Image.open(BytesIO(small.store.get(source).data))).astype(int)
    expected = np.asarray(Image.open(BytesIO(png())).resize((96, 64), Image.Resampling.NEAREST))
    assert stored.shape == (64, 96, 3)
    assert np.abs(stored - expected).mean() < 2
    assert (await small.vary(answer.json()["images"][0], num_images=1)).status_code == 200


async def test_its_mask_has_the_size_of_its_file(small):
    photo = enlarged(png(), 8, "PNG")
    for height, width in ((64, 96), (256, 383)):
        error = problem(
            await small.generate(photo, mask(np.eye(height, width, dtype=np.uint8) * 255)),
            400,
            "invalid_request",
        )
        assert error == (
            f"product_mask: the mask is {width} x {height} pixels, the photo 384 x 256"
        )
