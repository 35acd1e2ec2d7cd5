"""Decodes uploads off the event loop, a few at a time, however many requests come and go.

A thread cannot be stopped, so a request that is cancelled leaves its own running. Such a thread
keeps its place until it ends: what is decoded at a time is bounded, and not only what somebody
still waits for.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from PIL import _imaging

from deployments.errors import InternalError, InvalidImage, Overloaded
from deployments.ingress.core.uploads import UploadRules, decode_mask, decode_upload
from deployments.jobs import Mask, Photo
from deployments.settings import UploadLimits

Decoded = TypeVar("Decoded", Photo, Mask)

THREADS = 2
"""Photos decoded at once."""

MOST_HELD_BYTES = 512 * 1024 * 1024
"""Of decoded pixels, for the requests in flight: some fifty photos of a phone."""

BLOCK_BYTES = 64 * 1024 * 1024
"""Of Pillow's blocks. The C library gives back at once what is over 32 MiB, and may keep the rest,
in each thread apart: 250 MB after a photo of 67 million pixels with Pillow's own 16 MiB."""

RETRY_AFTER_S = 5.0


class PixelRoom:
    """Room for pixels that are being decoded; threads wait for it.

    Args:
        pixels: How many there is room for. What needs more waits until all of it is free.
    """

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """Wait for room and take it until the block ends."""
        needed = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= needed)
            self._free -= needed
        try:
            yield
        finally:
            with self._changed:
                self._free += needed
                self._changed.notify_all()


class Decoder:
    """Turns untrusted bytes into clean pixels, within the memory of one of the largest photos.

    Args:
        limits: What an upload may be.
        side: Pictures are decoded smaller where their longer side stays at least so long.
    """

    def __init__(self, limits: UploadLimits, side: int) -> None:
        _imaging.set_block_size(BLOCK_BYTES)
        # Not anyio's threads: their limiter counts those who wait, and not the threads.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="decoder")
        self._rules = UploadRules(limits, side, PixelRoom(limits.max_pixels).taking)
        self._held_bytes = 0
        self._counting = threading.Lock()

    async def photo(self, data: bytes, field: str = "image") -> Photo:
        """Decode a photo.

        Args:
            data: As it was sent.
            field: What it was sent as, for the sentence of a refusal.

        Raises:
            InvalidImage: It is not an image that this service accepts.
            Overloaded: This replica holds as many decoded pixels as it may.
        """

        def decode(data: bytes, rules: UploadRules) -> Photo:
            photo = decode_upload(data, rules, field=field)
            return replace(photo, file_sha256=hashlib.sha256(data).hexdigest())

        return await self._decode(decode, data)

    async def stored(self, data: bytes) -> Photo:
        """Decode a picture that this service has stored.

        Raises:
            InternalError: It is damaged, which is not the caller's fault.
            Overloaded: This replica holds as many decoded pixels as it may.
        """
        try:
            return await self._decode(decode_upload, data)
        except InvalidImage:
            raise InternalError("the stored image is damaged") from None

    async def mask(self, data: bytes, photo: Photo, *, by_alpha: bool = False) -> Mask:
        """Decode the product mask of a photo to uint8 [height, width], as large as that.

        Args:
            data: As it was sent.
            photo: What it was sent with.
            by_alpha: As of `decode_mask`.

        Raises:
            InvalidRequest: Its file has not the size of the photo's.
            InvalidImage: It is not a mask that this service accepts.
            Overloaded: This replica holds as many decoded pixels as it may.
        """
        return await self._decode(partial(decode_mask, photo=photo, by_alpha=by_alpha), data)

    async def strokes(self, data: bytes, field: str) -> Mask:
        """Decode strokes over a photo to uint8 [height, width], of the size they have.

        Args:
            data: As they were sent.
            field: What they were sent as, for the sentence of a refusal.

        Raises:
            InvalidImage: They are not a mask that this service accepts.
            Overloaded: This replica holds as many decoded pixels as it may.
        """
        return await self._decode(partial(decode_mask, field=field), data)

    async def _decode(
        self, decode: Callable[[bytes, UploadRules], Decoded], data: bytes
    ) -> Decoded:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._held, decode, data)

    def _held(self, decode: Callable[[bytes, UploadRules], Decoded], data: bytes) -> Decoded:
        if self._held_bytes >= MOST_HELD_BYTES:
            raise Overloaded("there is no room for another photo now", RETRY_AFTER_S)
        decoded = decode(data, self._rules)
        pixels = decoded.pixels if isinstance(decoded, Photo) else decoded
        self._hold(pixels.nbytes)
        # Given back when the pixels are freed, whoever holds them until then.
        weakref.finalize(pixels, self._hold, -pixels.nbytes).atexit = False
        return decoded

    def _hold(self, count: int) -> None:
        with self._counting:
            self._held_bytes += count
