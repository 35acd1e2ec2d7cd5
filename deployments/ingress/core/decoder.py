"""Decoding off the event loop, a few uploads at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from deployments.ingress.core.uploads import decode_mask, decode_upload
from deployments.jobs import Mask, Photo
from deployments.settings import UploadLimits

T = TypeVar("T")

DECODERS = 2
"""Photos decoded at once: a large one takes some hundred megabytes meanwhile."""


class Decoder:
    """Turns untrusted bytes into clean pixels.

    Args:
        limits: What an upload may be.
    """

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._places = CapacityLimiter(DECODERS)

    async def photo(self, data: bytes) -> Photo:
        """Decode a photo.

        Raises:
            InvalidImage: It is not an image that this service accepts.
        """
        return await self._decode(decode_upload, data)

    async def mask(self, data: bytes) -> Mask:
        """Decode a product mask to uint8 [height, width].

        Raises:
            InvalidImage: It is not a mask that this service accepts.
        """
        return await self._decode(decode_mask, data)

    async def _decode(self, decode: Callable[[bytes, UploadLimits], T], data: bytes) -> T:
        return await to_thread.run_sync(decode, data, self._limits, limiter=self._places)
