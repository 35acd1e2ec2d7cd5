"""The ports of the use cases over Serve handles: which deployment does what."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from typing import Literal

from ray.serve.metrics import Counter, Histogram

from deployments.admission_messages import Claim, Granted, Lease, RateLeft, Report
from deployments.composition import FileFormat
from deployments.errors import IdempotencyConflict, ImageNotFound, ReplicaLost, ServiceError
from deployments.ingress.core.cutout_records import GONE
from deployments.ingress.http.outcome import NO_MODEL
from deployments.ingress.remote.callees import (
    AdmissionCalls,
    AnswerCalls,
    CutOutCalls,
    ModelCalls,
    ResultCalls,
    SourceCalls,
    StudioCalls,
    TileCalls,
)
from deployments.ingress.remote.metrics import ImageMetrics
from deployments.ingress.remote.retries import Patience, RetryObserver
from deployments.ingress.remote.serve_calls import RETRY_AFTER_S, Callee, Handle, Lent
from deployments.jobs import (
    EncodedCutOut,
    EncodedSources,
    FinishedImage,
    GeneratedImage,
    Hints,
    ImageJob,
    Layout,
    Mask,
    OpenedPhoto,
    Photo,
    Preserve,
    Progress,
    StoredImage,
)
from deployments.recipes import Recipe
from storage.store import StoredObject

FIDELITY_BOUNDARIES = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 0.999]
"""Upper bounds of the histograms' buckets; what is above the last is as good as perfect."""

REPEATED = Patience(lost=1)
"""Of calls that change nothing, and of images: the same seed gives the same image."""


def stored(outage_s: float) -> Patience:
    """Of calls that store or remove what has a key already, so that repeating them is harmless."""
    return Patience(lost=1, down_s=outage_s)


NO_IMAGE = "the image does not exist, or no longer"

NO_PHOTO = "the photo that the image began with is no longer stored"

NO_PRODUCT = (
    "the product that the image was made with is no longer stored; "
    "preserve_product=false varies the image without it"
)


class AdmissionHandle:
    """`ports.Admission` by its deployment, whose refusals are values."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._admission = Callee(handle, "the admission", observer, outage_s)

    async def take(self, replica: str, lease: Lease) -> Granted:
        granted = await self._admission.call(AdmissionCalls.take, replica, lease, patience=REPEATED)
        if isinstance(granted, ServiceError):
            raise granted
        return granted

    async def count(self, api_key_name: str) -> tuple[RateLeft, ...]:
        rates = await self._admission.call(AdmissionCalls.count, api_key_name, patience=REPEATED)
        if isinstance(rates, ServiceError):
            raise rates
        return rates

    async def claim(self, replica: str, claim: Claim) -> bool:
        granted = await self._admission.call(
            AdmissionCalls.claim, replica, claim, patience=REPEATED
        )
        if isinstance(granted, IdempotencyConflict):
            raise granted
        return granted

    async def report(self, report: Report) -> None:
        await self._admission.call(AdmissionCalls.report, report)


class AnswersHandle:
    """`ports.Answers` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, name: str, answer: Mapping[str, object]) -> None:
        await self._storage.call(AnswerCalls.save_answer, name, dict(answer), patience=self._stored)

    async def load(self, name: str) -> Mapping[str, object] | None:
        return await self._storage.call(AnswerCalls.load_answer, name, patience=self._stored)


class StudioHandle:
    """`ports.Studio` and `ports.Cutter` by their deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._studio = Callee(handle, "the studio", observer, outage_s)
        self._withheld = Counter(
            "backdrop_images_withheld", "Images the safety filter kept back.", ("model",)
        )
        self._fidelity = {
            name: Histogram(
                f"backdrop_fidelity_{name}",
                f"The {name} fidelity of images that keep their product, 0 to 1.",
                boundaries=FIDELITY_BOUNDARIES,
                tag_keys=("model",),
            )
            for name in ("pixels", "shape")
        }

    def lend(self, photo: Photo) -> Awaitable[Photo]:
        return Lent(photo)

    def open_upload(
        self, photo: Awaitable[Photo], mask: Mask | None, preserve: Preserve, layout: Layout
    ) -> Awaitable[OpenedPhoto]:
        return self._studio.call(
            StudioCalls.open_upload, photo, mask, preserve, layout, patience=REPEATED
        )

    def open_result(
        self, photo: Awaitable[Photo] | None, product: Awaitable[bytes], layout: Layout
    ) -> Awaitable[OpenedPhoto]:
        return self._studio.find(
            StudioCalls.open_result, photo, product, layout, patience=REPEATED, missing=NO_PRODUCT
        )

    async def finish(
        self, image: GeneratedImage | None, recipe: Recipe, opened: Awaitable[OpenedPhoto]
    ) -> FinishedImage:
        finished = await self._studio.call(
            StudioCalls.finish, image, recipe, opened, patience=REPEATED
        )
        tags = {"model": recipe.model or NO_MODEL}
        if finished.withheld is not None:
            self._withheld.inc(1, tags)
        if finished.fidelity is not None:
            self._fidelity["pixels"].observe(finished.fidelity.pixels, tags)
            self._fidelity["shape"].observe(finished.fidelity.shape, tags)
        return finished

    def encode_sources(
        self, photo: Awaitable[Photo] | None, opened: Awaitable[OpenedPhoto] | None
    ) -> Awaitable[EncodedSources]:
        return self._studio.call(StudioCalls.encode_sources, photo, opened, patience=REPEATED)

    def cut_out(
        self,
        photo: Awaitable[Photo],
        mask: Mask | None,
        hints: Hints,
        earlier: Awaitable[bytes] | None,
    ) -> Awaitable[EncodedCutOut]:
        return self._studio.call(
            StudioCalls.cut_out, photo, mask, hints, earlier, patience=REPEATED
        )

    def make_tile(self, file: bytes, width: int) -> Awaitable[bytes]:
        return self._studio.call(StudioCalls.make_tile, file, width, patience=REPEATED)


class ModelHandles:
    """`ports.Models` by a deployment each."""

    def __init__(
        self,
        handles: Mapping[str, Handle],
        observer: RetryObserver,
        outage_s: float,
        images: ImageMetrics,
    ) -> None:
        self._images = images
        self._models = {
            name: Callee(handle, f"model {name!r}", observer, outage_s)
            for name, handle in handles.items()
        }

    async def generate(
        self, model: str, job: ImageJob, opened: Awaitable[OpenedPhoto], *, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        callee = self._models[model]
        attempts = callee.attempts(REPEATED)
        given: Awaitable[OpenedPhoto] | OpenedPhoto = opened
        while True:
            try:
                items = callee.stream(ModelCalls.generate, job, given, progress)
                with self._images.in_flight(model):
                    async with aclosing(items):
                        async for item in items:
                            yield item
                            if isinstance(item, GeneratedImage):
                                return
                raise ReplicaLost(f"model {model!r} ended without an image", RETRY_AFTER_S)
            except ReplicaLost as lost:
                await attempts.wait(lost)
            # What it was given may have gone with the replica that made it: see `Reply`.
            given = await opened


class ResultsHandle:
    """`ports.Results` by the storage deployment."""

    def __init__(
        self, handle: Handle, observer: RetryObserver, outage_s: float, images: ImageMetrics
    ) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)
        self._images = images

    async def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        await self._storage.call(ResultCalls.save, key, file, dict(recipe), patience=self._stored)
        self._images.stored(str(recipe["model"]))

    async def load_image(self, key: str, file_format: FileFormat) -> StoredImage:
        stored = await self._storage.find(
            ResultCalls.load_image, key, file_format, patience=REPEATED, missing=NO_IMAGE
        )
        return _image(stored)

    async def borrow(
        self, key: str, file_format: FileFormat, sources: Sequence[str], results: Sequence[str]
    ) -> StoredImage:
        stored = await self._storage.find(
            ResultCalls.borrow,
            key,
            file_format,
            list(sources),
            list(results),
            patience=self._stored,
            missing=NO_IMAGE,
        )
        return _image(stored)

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        return await self._storage.find(
            ResultCalls.load_recipe, key, patience=REPEATED, missing=NO_IMAGE
        )

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        await self._storage.call(ResultCalls.delete, key, list(sources), patience=self._stored)


class TilesHandle:
    """`ports.StoredTiles` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, key: str, width: int, webp: Awaitable[bytes]) -> None:
        saved = await self._storage.call(
            TileCalls.save_tile, key, width, webp, patience=self._stored
        )
        if not saved:
            raise ImageNotFound(NO_IMAGE)

    async def load(self, key: str, file_format: FileFormat, width: int) -> StoredImage | None:
        tile = await self._storage.call(
            TileCalls.load_tile, key, file_format, width, patience=REPEATED
        )
        return None if tile is None else _image(tile)


class SourcesHandle:
    """`ports.Sources` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def keep(
        self, key: str, results: Sequence[str], encoded: Awaitable[EncodedSources]
    ) -> None:
        await self._storage.call(
            SourceCalls.keep_sources, key, list(results), encoded, patience=self._stored
        )

    def load_product(self, key: str) -> Awaitable[bytes]:
        return self._storage.find(SourceCalls.load_mask, key, patience=REPEATED, missing=NO_PRODUCT)

    async def load_photo(self, key: str) -> bytes:
        stored = await self._storage.find(
            SourceCalls.load_source, key, patience=REPEATED, missing=NO_PHOTO
        )
        return stored.data


class CutOutsHandle:
    """`ports.StoredCutOuts` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(
        self, key: str, encoded: Awaitable[EncodedCutOut], record: Mapping[str, object]
    ) -> None:
        await self._storage.call(
            CutOutCalls.save_cutout, key, encoded, dict(record), patience=self._stored
        )

    async def load(self, key: str, part: Literal["image", "mask"]) -> StoredImage:
        stored = await self._storage.find(
            CutOutCalls.load_cutout, key, part, patience=REPEATED, missing=GONE
        )
        return _image(stored)

    async def load_record(self, key: str) -> Mapping[str, object]:
        return await self._storage.find(
            CutOutCalls.load_cutout_record, key, patience=REPEATED, missing=GONE
        )

    async def borrow(self, key: str, sources: Sequence[str], results: Sequence[str]) -> None:
        await self._storage.find(
            CutOutCalls.borrow_cutout,
            key,
            list(sources),
            list(results),
            patience=self._stored,
            missing=GONE,
        )

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        await self._storage.call(
            CutOutCalls.delete_cutout, key, list(sources), patience=self._stored
        )


def _image(stored: StoredObject) -> StoredImage:
    return StoredImage(stored.data, stored.content_type, stored.etag, stored.modified)
