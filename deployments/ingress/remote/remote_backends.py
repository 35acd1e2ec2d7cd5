"""The ports of the use cases over Serve handles, but for those of stored objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing

from ray.serve.metrics import Counter, Histogram

from deployments.admission_messages import Claim, Granted, Lease, RateLeft, Report
from deployments.encoded import EncodedCutOut, EncodedSources, FinishedImage
from deployments.errors import IdempotencyConflict, ReplicaLost, ServiceError
from deployments.ingress.http.outcome import NO_MODEL
from deployments.ingress.remote.callees import (
    AdmissionCalls,
    ModelCalls,
    StudioCalls,
)
from deployments.ingress.remote.failures import RETRY_AFTER_S
from deployments.ingress.remote.metrics import ImageMetrics
from deployments.ingress.remote.retries import Patience, RetryObserver
from deployments.ingress.remote.serve_calls import Callee, Handle, Lent
from deployments.jobs import (
    GeneratedImage,
    Hints,
    ImageJob,
    Layout,
    Mask,
    OpenedPhoto,
    Photo,
    Preserve,
    Progress,
)
from deployments.rate_settings import RateSettings
from deployments.recipes import Recipe

FIDELITY_BOUNDARIES = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 0.999]
"""Upper bounds of the histograms' buckets; what is above the last is as good as perfect."""

REPEATED = Patience(lost=1)
"""Of calls that change nothing, and of images: the same seed gives the same image."""


NO_PRODUCT = (
    "the product that the image was made with is no longer stored; "
    "preserve_product=false varies the image without it"
)


class AdmissionHandle:
    """`ports.Admission` by its deployment, whose refusals are values."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._admission = Callee(handle, "the admission", observer, outage_s)

    async def take(self, replica: str, lease: Lease, rates: RateSettings) -> Granted:
        granted = await self._admission.call(
            AdmissionCalls.take, replica, lease, rates, patience=REPEATED
        )
        if isinstance(granted, ServiceError):
            raise granted
        return granted

    async def count(self, api_key_name: str, rates: RateSettings) -> tuple[RateLeft, ...]:
        left = await self._admission.call(
            AdmissionCalls.count, api_key_name, rates, patience=REPEATED
        )
        if isinstance(left, ServiceError):
            raise left
        return left

    async def claim(self, replica: str, claim: Claim) -> bool:
        granted = await self._admission.call(
            AdmissionCalls.claim, replica, claim, patience=REPEATED
        )
        if isinstance(granted, IdempotencyConflict):
            raise granted
        return granted

    async def report(self, report: Report) -> None:
        await self._admission.call(AdmissionCalls.report, report)


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
        self,
        photo: Awaitable[Photo],
        mask: Mask | None,
        preserve: Preserve,
        layout: Layout,
        first: Awaitable[Photo] | None = None,
    ) -> Awaitable[OpenedPhoto]:
        return self._studio.call(
            StudioCalls.open_upload, photo, mask, preserve, layout, first, patience=REPEATED
        )

    def open_result(
        self,
        photo: Awaitable[Photo] | None,
        product: Awaitable[bytes],
        layout: Layout,
        first: Awaitable[Photo] | None = None,
    ) -> Awaitable[OpenedPhoto]:
        return self._studio.find(
            StudioCalls.open_result,
            photo,
            product,
            layout,
            first,
            patience=REPEATED,
            missing=NO_PRODUCT,
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
