"""What a request's images are made from: its photo, the product in it, and where both are kept.

An uploaded photo is kept once for all results of its request, and so is the product found in it. A
result names both in its recipe, and hands them on to the results that are made from it. So a
product that was found is never looked for again, and its pixels stay those of the upload however
long a conversation gets. A result whose product was not kept still hands on what it has: the next
request may keep it again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeGuard

from pydantic import TypeAdapter, ValidationError

from deployments.composition import SUFFIXES, FileFormat, Placement
from deployments.encoded import StoredImage
from deployments.errors import ImageNotFound, InternalError
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.keys import is_key
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import ResultName
from deployments.jobs import Layout, Mask, OpenedPhoto, Photo, Preserve


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request's images are made from.

    Attributes:
        photo: What the model starts from; None where nothing reads it.
        opened: The photo made ready for the model, and the product that is kept.
        kind: The photo is an upload, or one of our results.
        key: The object key of that upload or result.
        photo_key: The object key of the upload at the root of the conversation.
        mask_key: The object key of the product the results hand on; None where they have none.
        found: Whether the product was searched for now, and neither marked nor stored before.
        warnings: Sentences for the caller.
        photo_sha256: As of a `Recipe`.
        photo_opaque: As of a `Recipe`.
        style_sha256: As of a `Recipe`.
    """

    photo: Awaitable[Photo] | None
    opened: Awaitable[OpenedPhoto]
    kind: Literal["upload", "result"]
    key: str
    photo_key: str
    mask_key: str | None
    found: bool
    warnings: tuple[str, ...]
    photo_sha256: str | None = None
    photo_opaque: bool | None = None
    style_sha256: str | None = None


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
        layout: What the photo is made ready for.
        results: The image keys of the request.
        source_key: The object key of the photo and of its product.
    """

    def __init__(
        self,
        backends: Backends,
        photo: Photo,
        mask: Mask | None,
        preserve: Preserve,
        layout: Layout,
        results: Sequence[str],
        source_key: str,
    ) -> None:
        self._source_key = source_key
        self._backends = backends
        self._photo = photo
        self._mask = mask
        self._preserve = preserve
        self._layout = layout
        self._results = results
        self.referred: list[str] = []

    async def open(self) -> Origin:
        """Find the product.

        Raises:
            ProductNotFound: It must be kept, and there is none.
            InvalidRequest: The mask cannot mark a product of this photo.
        """
        studio = self._backends.studio
        photo, opaque = studio.lend(self._photo), self._photo.alpha is None
        layout = replace(self._layout, opaque_photo=opaque)
        opened = studio.open_upload(photo, self._mask, self._preserve, layout)
        product, key = (await opened).product, self._source_key
        return Origin(
            photo=photo,
            opened=opened,
            kind="upload",
            key=key,
            photo_key=key,
            mask_key=None if product is None else key,
            found=product is not None and product.found,
            warnings=(await opened).warnings,
            photo_sha256=self._photo.file_sha256,
            photo_opaque=opaque,
            style_sha256=layout.style_sha256,
        )

    async def keep(self, origin: Origin) -> None:
        """Store the photo and its product."""
        encoded = self._backends.studio.encode_sources(origin.photo, origin.opened)
        self.referred.append(origin.key)
        await self._backends.sources.keep(origin.key, self._results, encoded)


class ResultSource:
    """A stored result, and the product that it was made with.

    Args:
        backends: The other deployments.
        decoder: Turns files into pixels.
        result: The result.
        preserve: Whether to keep the product.
        layout: What the result is made ready for.
        results: The image keys of the request.
        source_key: The object key of a product that is found in the result.
    """

    def __init__(
        self,
        backends: Backends,
        decoder: Decoder,
        result: ResultName,
        preserve: Preserve,
        layout: Layout,
        results: Sequence[str],
        source_key: str,
    ) -> None:
        self._source_key = source_key
        self._backends = backends
        self._decoder = decoder
        self._result = result
        self._preserve = preserve
        self._layout = layout
        self._results = results
        self._found_key: str | None = None
        self.referred: list[str] = []

    async def open(self) -> Origin:
        """Read the result and its product; without one, look for it in the result.

        Raises:
            ImageNotFound: The result or its product does not exist, or no longer.
            ProductNotFound: A product must be kept, and there is none.
            InternalError: The stored result is damaged.
        """
        backends, image_key = self._backends, self._result.key
        recipe = await recipe_of(backends, self._result)
        photo_key, mask_key = lineage(recipe)
        needed = distinct(photo_key, mask_key)
        self.referred += needed
        stored = await backends.results.borrow(
            image_key, file_format(recipe), needed, self._results
        )
        lying = None if mask_key is None else placement(recipe)
        # A product that is found in the result itself has the result's frame.
        opaque = None if mask_key is None else photo_opaque(recipe)
        layout = replace(self._layout, placement=lying, varied=True, opaque_photo=opaque)
        first = await first_photo(backends, self._decoder, photo_key, layout)
        if mask_key is not None and self._preserve != "false":
            photo = await self._lent(stored) if layout.reads_photo else None
            png = backends.sources.load_product(mask_key)
            opened = backends.studio.open_result(photo, png, layout, first)
        else:
            photo = await self._lent(stored)
            opened = backends.studio.open_upload(photo, None, self._preserve, layout, first)
        product = (await opened).product
        found = mask_key is None and product is not None
        if found:
            mask_key = self._found_key = self._source_key
        return Origin(
            photo=photo,
            opened=opened,
            kind="result",
            key=image_key,
            photo_key=photo_key,
            mask_key=mask_key,
            found=found,
            warnings=(await opened).warnings,
            photo_sha256=photo_sha256(recipe),
            photo_opaque=opaque,
            style_sha256=layout.style_sha256,
        )

    async def _lent(self, stored: StoredImage) -> Awaitable[Photo]:
        """The result's pixels, where the studio finds them."""
        return self._backends.studio.lend(await self._decoder.stored(stored.file))

    async def keep(self, origin: Origin) -> None:
        """Store a product that was found in the result itself."""
        if self._found_key is None:
            return
        self.referred.append(self._found_key)
        encoded = self._backends.studio.encode_sources(None, origin.opened)
        await self._backends.sources.keep(self._found_key, self._results, encoded)


async def first_photo(
    backends: Backends, decoder: Decoder, photo_key: str, layout: Layout
) -> Awaitable[Photo] | None:
    """The photo at the root of a conversation, where the model is shown it beside a result.

    Raises:
        ImageNotFound: It is gone.
    """
    if not layout.shows_first:
        return None
    stored = await backends.sources.load_photo(photo_key)
    return backends.studio.lend(await decoder.stored(stored))


async def recipe_of(backends: Backends, result: ResultName) -> Mapping[str, object]:
    """The recipe of a result that a URL names.

    Raises:
        ImageNotFound: There is no such result, or no longer, or its ending is of another format.
        InternalError: The recipe is damaged.
    """
    recipe = await backends.results.load_recipe(result.key)
    if result.file_format not in (None, file_format(recipe)):
        raise ImageNotFound(
            f"image_url: the image is no {result.file_format}; take its URL as the answer had it"
        )
    return recipe


def lineage(recipe: Mapping[str, object]) -> tuple[str, str | None]:
    """The photo_key and mask_key of a recipe.

    Raises:
        InternalError: The recipe has no such keys.
    """
    photo_key, mask_key = recipe.get("photo_key"), recipe.get("mask_key")
    if _is_key(photo_key) and (mask_key is None or _is_key(mask_key)):
        return photo_key, mask_key
    raise InternalError("the image's recipe is damaged")


def file_format(recipe: Mapping[str, object]) -> FileFormat:
    """The format of a result's file; a recipe without one is of a PNG.

    Raises:
        InternalError: It is none that a result has.
    """
    for known in SUFFIXES:
        if recipe.get("file_format", "png") == known:
            return known
    raise InternalError("the image's recipe is damaged")


def photo_sha256(recipe: Mapping[str, object]) -> str | None:
    """The hash of the upload that a result was made from; None where its recipe has none.

    Raises:
        InternalError: It is no hash.
    """
    known = recipe.get("photo_sha256")
    if known is None or (isinstance(known, str) and re.fullmatch("[0-9a-f]{64}", known)):
        return known
    raise InternalError("the image's recipe is damaged")


def photo_opaque(recipe: Mapping[str, object]) -> bool | None:
    """Whether the photo of a result's product came without transparency; None where not known.

    Raises:
        InternalError: The recipe says something else.
    """
    known = recipe.get("photo_opaque")
    if known is None or isinstance(known, bool):
        return known
    raise InternalError("the image's recipe is damaged")


def placement(recipe: Mapping[str, object]) -> Placement | None:
    """Where the photo of the product lies in a result; None in its own frame.

    Raises:
        InternalError: The recipe says it in a way that cannot be read.
    """
    placed = recipe.get("placement")
    if placed is None:
        return None
    try:
        return TypeAdapter(Placement).validate_python(placed)
    except ValidationError:
        raise InternalError("the image's recipe is damaged") from None


def _is_key(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and is_key(value)


def distinct(*keys: str | None) -> list[str]:
    """The keys among these, each once."""
    return list(dict.fromkeys(key for key in keys if key is not None))
