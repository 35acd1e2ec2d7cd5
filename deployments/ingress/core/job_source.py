"""What a request's images are made from: its photo, the product in it, and where both are kept.

Knows no HTTP and no Ray.

A photo that is uploaded is kept once for all results of its request, and so is the product found in
it. A result names both in its recipe, and hands them on to the results that are made from it. So a
product that was found is never looked for again, and its pixels stay those of the upload however
long a conversation gets. A result whose product was not kept still hands on what it has: the next
request may keep it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from deployments.errors import InternalError, ProductNotFound
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
        unsaved: The key under which an upload, or a product found in a result, is still to be
            stored; None where all is.
        warnings: Sentences for the caller.
    """

    photo: Photo
    product: Awaitable[Product] | None
    kind: Literal["upload", "result"]
    key: str
    photo_key: str
    mask_key: str | None
    unsaved: str | None
    warnings: tuple[str, ...]

    @property
    def sources(self) -> list[str]:
        """The distinct object keys that results hand on."""
        return distinct(self.photo_key, self.mask_key)


Refer = Callable[[Sequence[str]], Awaitable[None]]
"""Marks that the request's results need these sources."""

Open = Callable[[Refer], Awaitable[Origin]]
"""Gets everything ready that must be known before a model may start."""


async def open_upload(
    backends: Backends, photo: Photo, mask: Mask | None, preserve: Preserve
) -> Origin:
    """Find the product of an upload.

    Args:
        backends: The other deployments.
        photo: The upload.
        mask: uint8 [height, width]: 255 marks the product; None when the caller sent none.
        preserve: Whether to keep it.

    Raises:
        ProductNotFound: It must be kept, and there is none.
        InvalidRequest: The mask cannot mark a product of this photo.
    """
    product, warnings = await _find(backends, photo, mask, preserve)
    key = new_key()
    mask_key = None if product is None else key
    return Origin(photo, product, "upload", key, key, mask_key, key, warnings)


async def open_result(
    backends: Backends,
    decode: Callable[[bytes], Awaitable[Photo]],
    key: str,
    preserve: Preserve,
    refer: Refer,
) -> Origin:
    """Read a result and the product it was made with; without one, look for it in the result.

    Args:
        backends: The other deployments.
        decode: PNG to pixels.
        key: The result's key.
        preserve: Whether to keep the product.
        refer: Marks what the new results need, before the result is read.

    Raises:
        ImageNotFound: The result or its product does not exist, or no longer.
        ProductNotFound: A product must be kept, and there is none.
    """
    recipe = await backends.results.load_recipe(key)
    photo_key, mask_key = lineage(recipe)
    # In this order, so that a removal at the same time either is seen here or sees the marks.
    await refer(distinct(photo_key, mask_key))
    product = None
    if mask_key is not None and preserve != "false":
        product = backends.studio.restore_product(backends.sources.load_product(mask_key))
        stored, _ = await asyncio.gather(backends.results.load_image(key), product)
    else:
        stored = await backends.results.load_image(key)
    photo = await decode(stored.png)
    if mask_key is not None:
        return Origin(photo, product, "result", key, photo_key, mask_key, None, ())
    found, warnings = await _find(backends, photo, None, preserve)
    unsaved = None if found is None else new_key()
    return Origin(photo, found, "result", key, photo_key, unsaved, unsaved, warnings)


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
    backends: Backends, photo: Photo, mask: Mask | None, preserve: Preserve
) -> tuple[Awaitable[Product] | None, tuple[str, ...]]:
    if preserve == "false":
        return None, ()
    product = backends.studio.find_product(photo, mask)
    try:
        await product
    except ProductNotFound:
        if preserve == "true" or mask is not None:
            raise
        return None, (NOT_FOUND,)
    return product, ()
