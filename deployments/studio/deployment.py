"""The studio replica: pixel work on the CPU, in threads, so that its event loop stays free.

A plain class, made a Serve deployment elsewhere; it knows no models, storage or HTTP.
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread

from deployments.jobs import GeneratedImage, Photo, PreparedPhoto, Recipe
from deployments.studio.encoding import encode_png
from deployments.studio.fitting import fit


class Studio:
    """Prepares photos for models and finishes what they make.

    Args:
        threads: Calls worked on at once, at least 1; others wait their turn.
    """

    def __init__(self, threads: int = 2) -> None:
        self._limiter = CapacityLimiter(threads)

    async def prepare(self, photo: Photo, size: int) -> PreparedPhoto:
        """Fit a photo to the size a model works at.

        Args:
            photo: Of any size from 1 x 1.
            size: The model's nominal side in pixels.

        Returns:
            uint8 [height, width, 3], about `size` times `size` in area, aspect kept.
        """
        return await to_thread.run_sync(fit, photo, size, limiter=self._limiter)

    async def finish(self, image: GeneratedImage, recipe: Recipe) -> bytes:
        """Encode a result.

        Args:
            image: What the model made.
            recipe: How; its public part goes into the file.

        Returns:
            A PNG file.
        """
        return await to_thread.run_sync(
            encode_png, image.pixels, recipe.public(), limiter=self._limiter
        )

    async def encode_source(self, photo: Photo) -> bytes:
        """Encode a photo at its own resolution, to be stored as the source of results.

        Args:
            photo: A clean picture.

        Returns:
            A PNG file without metadata.
        """
        return await to_thread.run_sync(encode_png, photo.pixels, {}, limiter=self._limiter)

    async def check_health(self) -> None:
        """Pass: a studio that answers works, since it holds nothing that can fail."""
