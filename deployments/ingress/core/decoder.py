"""Decoding off the event loop, a few uploads at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from deployments.ingress.core.uploads import UploadRules, decode_mask, decode_upload
from deployments.jobs import Mask, Photo
from deployments.settings import UploadLimits

T = TypeVar("T")

DECODERS = 2
"""Photos decoded at once: a large one takes some hundred megabytes meanwhile."""


class Decoder:
    """Turns untrusted bytes into clean pixels.

    Args:
        limits: What an upload may be.
        side: Pictures are decoded smaller where their longer side stays at least so long.
    """

    def __init__(self, limits: UploadLimits, side: int) -> None:
        self._rules = UploadRules(limits, side)
        self._places = CapacityLimiter(DECODERS)

    async def photo(self, data: bytes) -> Photo:
        """Decode a photo.

        Raises:
            InvalidImage: It is not an image that this service accepts.
        """
        return await self._decode(decode_upload, data)

    async def mask(self, data: bytes, photo: Photo) -> Mask:
        """Decode the product mask of a photo to uint8 [height, width], as large as that.

        Raises:
            InvalidRequest: Its file has not the size of the photo's.
            InvalidImage: It is not a mask that this service accepts.
        """
        return await self._decode(partial(decode_mask, photo=photo), data)

    async def _decode(self, decode: Callable[[bytes, UploadRules], T], data: bytes) -> T:
        return await to_thread.run_sync(decode, data, self._rules, limiter=self._places)
