"""What the use cases need of the other deployments, as plain async calls.

`ingress.deployment` implements these over Serve handles; tests implement them in memory. An
awaitable that one call returns may be handed to another without being awaited: its value then
travels between the deployments and not through this process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Protocol

from deployments.jobs import (
    GeneratedImage,
    ImageJob,
    Photo,
    PreparedPhoto,
    Progress,
    Recipe,
    StoredImage,
)


class Studio(Protocol):
    """Pixel work."""

    def prepare(self, photo: Photo, size: int) -> Awaitable[PreparedPhoto]:
        """Fit a photo to a working size of about size x size pixels."""
        ...

    def finish(self, image: GeneratedImage, recipe: Recipe) -> Awaitable[bytes]:
        """Encode a result as PNG with the recipe's public part."""
        ...

    def encode_source(self, photo: Photo) -> Awaitable[bytes]:
        """Encode a photo as PNG without metadata."""
        ...


class Models(Protocol):
    """The model deployments."""

    def generate(
        self, model: str, job: ImageJob, photo: Awaitable[PreparedPhoto], *, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        """Run a job on a model; its last item is the image. Closing the generator cancels it."""
        ...


class Results(Protocol):
    """Stored results and the photos they were made from."""

    async def save(
        self, key: str, png: Awaitable[bytes], recipe: Mapping[str, str | int | float]
    ) -> None:
        """Store an image and its recipe under one key."""
        ...

    async def save_source(self, key: str, png: Awaitable[bytes]) -> None:
        """Store a photo that images are made from."""
        ...

    async def load_image(self, key: str) -> StoredImage:
        """Read an image, or raise ImageNotFound."""
        ...

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        """Read a recipe, or raise ImageNotFound."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an image and its recipe, if they exist."""
        ...
