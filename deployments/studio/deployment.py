"""The studio replica: pixel work on the CPU, in threads, so that its event loop stays free.

A plain class, which `deployments.app` makes a Serve deployment. What imports Ray is imported in the
constructor, so that what only calls a studio does not load it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from anyio import CapacityLimiter, to_thread
from PIL import Image

from deployments.encoded import EncodedCutOut, EncodedSources, FinishedImage
from deployments.errors import InvalidRequest, ProductNotFound
from deployments.jobs import (
    GeneratedImage,
    Hints,
    Layout,
    Mask,
    OpenedPhoto,
    Photo,
    Preserve,
    Product,
)
from deployments.recipes import Recipe
from deployments.settings import StudioSettings
from deployments.studio import marks, segmentation
from deployments.studio.compositing import limit
from deployments.studio.credentials import load_signer
from deployments.studio.encoding import encode_png, encode_product
from deployments.studio.finders import Finder, load_finder
from deployments.studio.finishing import finished
from deployments.studio.fitting import shrink
from deployments.studio.hints import at_size, corrected
from deployments.studio.layouts import laid_out
from deployments.studio.observer import Observer
from deployments.studio.safety import SafetyFilter
from deployments.studio.strokes import HintRefused, strokes_of
from deployments.studio.tiles import make_tile

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

T = TypeVar("T")

NOT_FOUND = (
    "no product was found, so the images were made without keeping one; mark it with product_mask"
    " in POST /api/generate to keep it"
)


class Studio:
    """Finds products, prepares photos for models and finishes what they make.

    Args:
        settings: How products are kept and composed.
        threads: Calls worked on at once, at least 1; others wait their turn.
        finder: Finds products; by default that of the settings, loaded here.
        remote_finder: The finder's deployment, where it has one; it is asked then.
        observer: Hears of the work; by default Ray's metrics do.
        safety: By catalog id, for the models whose results are filtered, the score from which one
            is withheld, 0 to 1.

    Raises:
        FinderError: The settings' finder cannot be loaded.
        SafetyUnavailable: Results are to be filtered, and the filter cannot be loaded.
        CredentialsRefused: The environment's certificate and key cannot sign results.
    """

    def __init__(
        self,
        settings: StudioSettings = StudioSettings(),  # noqa: B008 - frozen
        threads: int = 2,
        finder: Finder | None = None,
        remote_finder: DeploymentHandle[Any] | None = None,
        observer: Observer | None = None,
        safety: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._limiter = CapacityLimiter(threads)
        if remote_finder is not None:
            from deployments.studio.remote_finder import RemoteFinder

            finder = RemoteFinder(remote_finder, settings.finder)
        self._finder = load_finder(settings.finder) if finder is None else finder
        if observer is None:
            from deployments.studio.metrics import StudioMetrics

            observer = StudioMetrics()
        self._observer = observer
        self._safety = SafetyFilter(safety) if safety else None
        self._signer = load_signer(os.environ)

    async def open_upload(
        self,
        photo: Photo,
        mask: Mask | None,
        preserve: Preserve,
        layout: Layout,
        first: Photo | None = None,
    ) -> OpenedPhoto:
        """Cut the product out of a photo, and make the photo ready for a model.

        Args:
            photo: Of any size from 1 x 1.
            mask: uint8 [height, width], the caller's: 255 marks the product; None to look for it
                in the photo's transparency and then in its pixels.
            preserve: Whether the product is kept.
            layout: What for.
            first: The first photo of the conversation, where the model is shown that too.

        Returns:
            The photo, about `layout.size` times that in area, in the result's aspect. The product
            has the photo's resolution, or less where that is over `max_output_side`, unless the
            canvas asks for another.

        Raises:
            ProductNotFound: The product must be kept, and there is none.
            InvalidRequest: The mask cannot mark a product of this photo, or the product cannot lie
                where it is asked for.
        """
        if preserve == "false":
            return await self._laid_out(photo, None, layout, first)
        try:
            product = await self._work("find_product", partial(self._find, photo, mask))
        except ProductNotFound:
            if preserve == "true" or mask is not None or layout.needs_product:
                raise
            opened = await self._laid_out(photo, None, layout, first)
            return replace(opened, warnings=(NOT_FOUND, *opened.warnings))
        opened = await self._laid_out(photo, product, layout, first)
        return replace(opened, warnings=product.warnings + opened.warnings)

    async def open_result(
        self,
        photo: Photo | None,
        product: bytes | None,
        layout: Layout,
        first: Photo | None = None,
    ) -> OpenedPhoto | None:
        """Make a result ready for a model, with the product that it was made with.

        Args:
            photo: The result, or the photo that the product is of; None where the layout does not
                read it.
            product: What `encode_sources` wrote of its product; None where it is no longer stored.
            layout: What for.
            first: As of `open_upload`.

        Returns:
            The result and its product, bit for bit where that is not clear; None without one.
        """
        if product is None:
            return None
        restored = await self._work("restore_product", partial(self._restore, product))
        return await self._laid_out(photo, restored, layout, first)

    async def finish(
        self, image: GeneratedImage | None, recipe: Recipe, opened: OpenedPhoto
    ) -> FinishedImage:
        """Put the product's own pixels over what a model made, and encode the result.

        Args:
            image: What the model made; None where the background is plain.
            recipe: How; its public part goes into the file.
            opened: What it was made from; without a product the image stays as it is, at the
                working size.

        Returns:
            The file in the format of the recipe's look, and how true it is to the product; or why
            there is none.
        """
        work = partial(finished, image, recipe, opened, self._settings, self._safety, self._signer)
        return await self._work("finish", work)

    async def encode_sources(
        self, photo: Photo | None, opened: OpenedPhoto | None
    ) -> EncodedSources:
        """Encode what images are made from, to be stored beside them.

        Args:
            photo: An upload; None where it is stored already.
            opened: Its product is encoded, if it has one; None encodes the photo alone.

        Returns:
            PNG files without metadata: RGB of a photo, RGBA of a product.
        """

        def encode() -> EncodedSources:
            source = None if photo is None else encode_png(photo.pixels, {})
            product = None if opened is None else opened.cut or opened.product
            if product is None:
                return EncodedSources(source, None)
            return EncodedSources(source, encode_product(product))

        return await self._work("encode_sources", encode)

    async def cut_out(
        self, photo: Photo, mask: Mask | None, hints: Hints, earlier: bytes | None
    ) -> EncodedCutOut:
        """Cut the product out of a photo, to be shown, corrected and kept.

        Args:
            photo: Of any size from 1 x 1.
            mask: As of `open_upload`.
            hints: What the caller says; they correct what the mask, the photo's transparency, the
                search or the earlier cut-out says.
            earlier: The `image` of an earlier cut-out of the photo, to start from; None without.

        Returns:
            The product, at the photo's resolution, or less where that is over `max_output_side`.

        Raises:
            ProductNotFound: There is no product, and no hint says what belongs to it.
            InvalidRequest: The mask cannot mark a product of this photo, or a hint cannot be
                followed.
        """

        def cut() -> EncodedCutOut:
            product = self._cut(photo, mask, hints, earlier)
            height, width = product.alpha.shape
            left, top, wide, high = cv2.boundingRect((product.alpha >= marks.SEEN).astype(np.uint8))
            return EncodedCutOut(
                image=encode_product(product),
                mask=encode_png(product.alpha, {}),
                width=width,
                height=height,
                box=(left, top, wide, high),
                certainty=product.certainty,
                warnings=product.warnings,
            )

        return await self._work("cut_out", cut)

    async def make_tile(self, file: bytes, width: int) -> bytes:
        """Make a smaller copy of a result; see `tiles.make_tile`."""
        return await self._work("make_tile", partial(make_tile, file, width))

    def _cut(self, photo: Photo, mask: Mask | None, hints: Hints, earlier: bytes | None) -> Product:
        smaller, marked = self._checked(photo, mask)
        try:
            strokes = strokes_of(hints, photo.file_size, smaller)
            if earlier is not None:
                start = at_size(self._restore(earlier), smaller)
            else:
                try:
                    start = segmentation.find_product(smaller, marked, self._finder)
                except segmentation.ProductNotFound as error:
                    if not strokes.keep.any():
                        raise ProductNotFound(
                            f"no product was found: {error}; mark it with keep, point or "
                            "product_mask"
                        ) from None
                    nothing = np.zeros(smaller.pixels.shape[:2], np.uint8)
                    start = Product(smaller.pixels, nothing, found=True, certainty=0.0)
            return corrected(smaller, start, strokes, self._finder) if hints.given else start
        except HintRefused as error:
            raise InvalidRequest(str(error)) from None

    def _find(self, photo: Photo, mask: Mask | None) -> Product:
        smaller, marked = self._checked(photo, mask)
        try:
            return segmentation.find_product(smaller, marked, self._finder)
        except segmentation.ProductNotFound as error:
            raise ProductNotFound(
                f"no product was found: {error}; mark it with product_mask in POST "
                "/api/generate, or send preserve_product=false"
            ) from None

    def _checked(self, photo: Photo, mask: Mask | None) -> tuple[Photo, Mask | None]:
        """A photo and its mask at the size of results."""
        if mask is not None:
            try:
                marks.check_given(mask, photo)
            except marks.MaskRefused as error:
                raise InvalidRequest(f"product_mask: {error}") from None
        return shrink(photo, mask, self._settings.max_output_side)

    def _restore(self, png: bytes) -> Product:
        with Image.open(BytesIO(png), formats=("PNG",)) as image:
            layers = np.asarray(image)
        product = Product(np.ascontiguousarray(layers[..., :3]), layers[..., 3].copy())
        return limit(product, self._settings.max_output_side)

    async def _laid_out(
        self, photo: Photo | None, product: Product | None, layout: Layout, first: Photo | None
    ) -> OpenedPhoto:
        side = self._settings.max_output_side
        return await self._work("prepare", partial(laid_out, photo, product, layout, side, first))

    async def _work(self, operation: str, function: Callable[[], T]) -> T:
        """Run a function in a thread, and tell the observer how it went."""

        def observed() -> T:
            begun = time.monotonic()
            outcome = "failed"
            try:
                result = function()
                outcome = "ok"
                return result
            except ProductNotFound:
                outcome = "not_found"
                raise
            except InvalidRequest:
                outcome = "refused"
                raise
            finally:
                self._observer.worked(operation, outcome, time.monotonic() - begun)

        return await to_thread.run_sync(observed, limiter=self._limiter)

    async def check_health(self) -> None:
        """Pass: a studio that answers works, since it holds nothing that can fail."""
