"""What an observer hears of a studio's work."""

import numpy as np
import pytest

from deployments.errors import InvalidRequest, ProductNotFound
from deployments.jobs import Layout, Photo
from deployments.studio.deployment import Studio


class Heard(list[tuple[str, str]]):
    def worked(self, operation: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.append((operation, outcome))


class Nothing:
    """Finds no product."""

    grid = 320
    matte = False

    def coarse(self, pixels: np.ndarray) -> np.ndarray:
        return np.zeros(pixels.shape[:2], np.uint8)


async def test_operations_are_told_with_their_outcome() -> None:
    heard = Heard()
    studio = Studio(finder=Nothing(), observer=heard)
    photo = Photo(np.full((40, 60, 3), 90, np.uint8))
    with pytest.raises(ProductNotFound):
        await studio.open_upload(photo, None, "true", Layout(64))
    with pytest.raises(InvalidRequest):
        await studio.open_upload(photo, np.zeros((40, 60), np.uint8), "auto", Layout(64))
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 255
    opened = await studio.open_upload(photo, mask, "auto", Layout(64))
    encoded = await studio.encode_sources(photo, opened)
    await studio.open_result(photo, encoded.product, Layout(64))
    assert heard == [
        ("find_product", "not_found"),
        ("find_product", "refused"),
        ("find_product", "ok"),
        ("prepare", "ok"),
        ("encode_sources", "ok"),
        ("restore_product", "ok"),
        ("prepare", "ok"),
    ]


async def test_what_breaks_is_told_as_failed() -> None:
    heard = Heard()
    studio = Studio(finder=Nothing(), observer=heard)
    photo = Photo(np.full((40, 60, 3), 90, np.uint8))
    with pytest.raises(OSError, match="cannot identify"):
        await studio.open_result(photo, b"no picture", Layout(64))
    assert heard == [("restore_product", "failed")]
