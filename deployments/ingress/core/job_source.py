"""What a request's images are made from: its photo, the product in it, and where both are kept.

An uploaded photo is kept once for all results of its request, and so is the product found in it. A
result names both in its recipe, and hands them on to the results that are made from it. So a
product that was found is never looked for again, and its pixels stay those of the upload however
long a conversation gets. A result whose product was not kept still hands on what it has: the next
request may keep it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeGuard

from deployments.errors import InternalError, InvalidImage, ProductNotFound
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import is_key, new_key
from deployments.jobs import Mask, Photo, Product

Preserve = Literal["auto", "true", "false"]
"""Whether the product is kept: if there is one, or else it is an error, or not at all."""

NOT_FOUND = (
    "no product was found, so the images were made without keeping one; mark it with product_mask"
    " in POST /api/generate to keep it"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request's images are made from.

    Attributes:
        photo: What the model starts from.
        product: What is kept; None paints everything.
        kind: The photo is an upload, or one of our results.
        key: The object key of that upload or result.
        photo_key: The object key of the upload at the root of the conversation.
        mask_key: The object key of the product the results hand on; None where they have none.
        found: Whether the product was searched for now, and neither marked nor stored before.
        warnings: Sentences for the caller.
    """

    photo: Awaitable[Photo]
    product: Awaitable[Product] | None
    kind: Literal["upload", "result"]
    key: str
    photo_key: str
    mask_key: str | None
    found: bool
    warnings: tuple[str, ...]


class Source(Protocol):
    """Where the images of one request come from.

    Attributes:
        referred: The stored sources that were marked as needed by the request's results.
    """

    referred: list[str]

    async def open(self) -> Origin:
        """Get everything ready that must be known before a model may start."""
        ...

    async def keep(self, origin: Origin) -> None:
        """Store what the images are made from, where that is not done yet."""
        ...


class UploadSource:
    """A photo that came with the request.

    Args:
        backends: The other deployments.
        photo: The upload.
        mask: uint8 [height, width]: 255 marks the product; None when the caller sent none.
        preserve: Whether to keep the product.
        results: The image keys of the request.
    """

    def __init__(
        self,
        backends: Backends,
        photo: Photo,
        mask: Mask | None,
        preserve: Preserve,
        results: Sequence[str],
    ) -> None:
        self._backends = backends
        self._photo = photo
        self._mask = mask
        self._preserve = preserve
        self._results = results
        self.referred: list[str] = []

    async def open(self) -> Origin:
        """Find the product.

        Raises:
            ProductNotFound: It must be kept, and there is none.
            InvalidRequest: The mask cannot mark a product of this photo.
        """
        photo = self._backends.studio.lend(self._photo)
        product, found, warnings = await _find(self._backends, photo, self._mask, self._preserve)
        key = new_key()
        mask_key = None if product is None else key
        return Origin(photo, product, "upload", key, key, mask_key, found, warnings)

    async def keep(self, origin: Origin) -> None:
        """Store the photo and its product."""
        studio, sources = self._backends.studio, self._backends.sources
        self.referred.append(origin.key)
        await sources.refer(origin.key, self._results)
        await sources.save_photo(origin.key, studio.encode_source(origin.photo))
        if origin.product is not None:
            await sources.save_product(origin.key, studio.encode_source(origin.product))


class ResultSource:
    """A stored result, and the product that it was made with.

    Args:
        backends: The other deployments.
        decoder: Turns files into pixels.
        image_key: The result's.
        preserve: Whether to keep the product.
        results: The image keys of the request.
    """

    def __init__(
        self,
        backends: Backends,
        decoder: Decoder,
        image_key: str,
        preserve: Preserve,
        results: Sequence[str],
    ) -> None:
        self._backends = backends
        self._decoder = decoder
        self._image_key = image_key
        self._preserve = preserve
        self._results = results
        self.referred: list[str] = []
        self._found_key: str | None = None

    async def open(self) -> Origin:
        """Read the result and its product; without one, look for it in the result.

        Raises:
            ImageNotFound: The result or its product does not exist, or no longer.
            ProductNotFound: A product must be kept, and there is none.
        """
        backends, image_key = self._backends, self._image_key
        recipe = await backends.results.load_recipe(image_key)
        photo_key, mask_key = lineage(recipe)
        # In this order, so that a removal at the same time either is seen here or sees the marks.
        for source in distinct(photo_key, mask_key):
            await self._refer(source)
        product = None
        if mask_key is not None and self._preserve != "false":
            product = backends.studio.restore_product(backends.sources.load_product(mask_key))
            stored, _ = await asyncio.gather(backends.results.load_image(image_key), product)
        else:
            stored = await backends.results.load_image(image_key)
        try:
            decoded = await self._decoder.photo(stored.png)
        except InvalidImage:
            # Not the caller's fault: we wrote it.
            raise InternalError("the stored image is damaged") from None
        photo = backends.studio.lend(decoded)
        if mask_key is not None:
            return Origin(photo, product, "result", image_key, photo_key, mask_key, False, ())
        product, found, warnings = await _find(backends, photo, None, self._preserve)
        self._found_key = None if product is None else new_key()
        return Origin(
            photo, product, "result", image_key, photo_key, self._found_key, found, warnings
        )

    async def keep(self, origin: Origin) -> None:
        """Store a product that was found in the result itself."""
        if self._found_key is None or origin.product is None:
            return
        await self._refer(self._found_key)
        png = self._backends.studio.encode_source(origin.product)
        await self._backends.sources.save_product(self._found_key, png)

    async def _refer(self, source: str) -> None:
        self.referred.append(source)
        await self._backends.sources.refer(source, self._results)


def lineage(recipe: Mapping[str, object]) -> tuple[str, str | None]:
    """The photo_key and mask_key of a recipe.

    Raises:
        InternalError: The recipe has no such keys.
    """
    photo_key, mask_key = recipe.get("photo_key"), recipe.get("mask_key")
    if _is_key(photo_key) and (mask_key is None or _is_key(mask_key)):
        return photo_key, mask_key
    raise InternalError("the image's recipe is damaged")


def _is_key(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and is_key(value)


def distinct(*keys: str | None) -> list[str]:
    """The keys among these, each once."""
    return list(dict.fromkeys(key for key in keys if key is not None))


async def _find(
    backends: Backends, photo: Awaitable[Photo], mask: Mask | None, preserve: Preserve
) -> tuple[Awaitable[Product] | None, bool, tuple[str, ...]]:
    """The product, whether it was searched for, and what is to be said about it."""
    if preserve == "false":
        return None, False, ()
    product = backends.studio.find_product(photo, mask)
    try:
        known = await product
    except ProductNotFound:
        if preserve == "true" or mask is not None:
            raise
        return None, False, (NOT_FOUND,)
    return product, known.found, known.warnings
