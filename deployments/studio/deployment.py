"""The studio replica: pixel work on the CPU, in threads, so that its event loop stays free.

A plain class, made a Serve deployment elsewhere; it knows no models, storage or HTTP. Ray's
metrics are imported in the constructor, so that what only calls a studio does not load them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from types import MappingProxyType
from typing import TypeVar

import cv2
import numpy as np
from anyio import CapacityLimiter, to_thread
from PIL import Image

from deployments.errors import InvalidRequest, ProductNotFound
from deployments.jobs import (
    FinishedImage,
    GeneratedImage,
    Mask,
    Photo,
    PreparedPhoto,
    Product,
    Recipe,
)
from deployments.settings import StudioSettings
from deployments.studio import marks, segmentation
from deployments.studio.compositing import compose, limit
from deployments.studio.encoding import encode_png
from deployments.studio.fidelity import measure
from deployments.studio.fitting import fit, shrink
from deployments.studio.framing import frame
from deployments.studio.observer import Observer
from deployments.studio.safety import SafetyFilter
from deployments.studio.segmentation import ProductFinder

T = TypeVar("T")


class Studio:
    """Finds products, prepares photos for models and finishes what they make.

    Args:
        settings: How products are kept and composed.
        threads: Calls worked on at once, at least 1; others wait their turn.
        finder: Finds products; by default the bundled network, loaded here.
        observer: Hears of the work; by default Ray's metrics do.
        safety: By catalog id, for the models whose results are filtered, the score from which one
            is withheld, 0 to 1.

    Raises:
        WeightsDamaged: The bundled network is not what it should be.
        SafetyUnavailable: Results are to be filtered, and the filter cannot be loaded.
    """

    def __init__(
        self,
        settings: StudioSettings = StudioSettings(),  # noqa: B008 - frozen
        threads: int = 2,
        finder: ProductFinder | None = None,
        observer: Observer | None = None,
        safety: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._limiter = CapacityLimiter(threads)
        self._finder = ProductFinder() if finder is None else finder
        if observer is None:
            from deployments.studio.metrics import StudioMetrics

            observer = StudioMetrics()
        self._observer = observer
        self._safety = SafetyFilter(safety) if safety else None

    async def find_product(self, photo: Photo, mask: Mask | None) -> Product:
        """Cut the product out of a photo.

        Args:
            photo: Of any size from 1 x 1.
            mask: uint8 [height, width], the caller's: 255 marks the product; None to look for it
                in the photo's transparency and then in its pixels.

        Returns:
            The product at the resolution of results: the photo's, or smaller where that is over
            `max_output_side`.

        Raises:
            ProductNotFound: There is none, and no mask.
            InvalidRequest: The mask cannot mark a product of this photo.
        """

        def find() -> Product:
            if mask is not None:
                try:
                    marks.check_given(mask, photo)
                except marks.MaskRefused as error:
                    raise InvalidRequest(f"product_mask: {error}") from None
            smaller, marked = shrink(photo, mask, self._settings.max_output_side)
            try:
                return segmentation.find_product(smaller, marked, self._finder)
            except segmentation.ProductNotFound as error:
                raise ProductNotFound(
                    f"no product was found: {error}; mark it with product_mask in POST "
                    "/api/generate, or send preserve_product=false"
                ) from None

        return await self._work("find_product", find)

    async def restore_product(self, png: bytes | None) -> Product | None:
        """Read a product that `encode_source` wrote.

        Args:
            png: One of our own files, an RGBA PNG; None where it is no longer stored.

        Returns:
            The product, bit for bit where it is not clear; None without a file.
        """
        if png is None:
            return None

        def restore() -> Product:
            with Image.open(BytesIO(png), formats=("PNG",)) as image:
                layers = np.asarray(image)
            product = Product(np.ascontiguousarray(layers[..., :3]), layers[..., 3].copy())
            return limit(product, self._settings.max_output_side)

        return await self._work("restore_product", restore)

    async def prepare(self, photo: Photo, product: Product | None, size: int) -> PreparedPhoto:
        """Fit a photo to the size a model works at, and mark what it may paint.

        Args:
            photo: Of any size from 1 x 1.
            product: What the model shall keep; None lets it paint everywhere.
            size: The model's nominal side in pixels.

        Returns:
            uint8 [height, width, 3], about `size` times `size` in area, aspect kept; with a mask
            where there is a product.
        """
        if product is None:
            return await self._work("prepare", partial(fit, photo, size))
        return await self._work("prepare", partial(frame, photo, product, size))

    async def finish(
        self, image: GeneratedImage, recipe: Recipe, product: Product | None
    ) -> FinishedImage:
        """Put the product's own pixels over what a model made, and encode the result.

        Args:
            image: What the model made.
            recipe: How; its public part goes into the file.
            product: What is kept; None leaves the image as it is, at the working size.

        Returns:
            A PNG file, and how true it is to the product; or why there is none.
        """

        def finish() -> FinishedImage:
            pixels = image.pixels
            if product is not None:
                pixels = compose(pixels, product, contact_shadow=self._settings.contact_shadow)
            if self._safety and (reason := self._safety.withholds(recipe.model, pixels)):
                return FinishedImage(b"", None, withheld=reason)
            if product is None:
                return FinishedImage(encode_png(pixels, recipe.public()), None)
            fidelity = measure(pixels, product)
            told = replace(recipe, fidelity=fidelity).public()
            return FinishedImage(encode_png(pixels, told), fidelity)

        return await self._work("finish", finish)

    async def encode_source(self, source: Photo | Product) -> bytes:
        """Encode what images are made from, to be stored beside them.

        Args:
            source: A photo, or the product cut out of one.

        Returns:
            A PNG file without metadata: RGB of a photo, RGBA of a product.
        """

        def encode() -> bytes:
            if isinstance(source, Photo):
                return encode_png(source.pixels, {})
            # What is clear has no colour worth keeping, and black compresses best.
            visible = cv2.bitwise_and(source.pixels, source.pixels, mask=source.alpha)
            return encode_png(np.dstack([visible, source.alpha]), {})

        return await self._work("encode_source", encode)

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
