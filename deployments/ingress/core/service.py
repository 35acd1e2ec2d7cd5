"""The use cases: generate from a photo, vary a result, read and delete a result.

Knows no HTTP and no Ray. Resolves an order against the catalog, takes room for it, and opens the
run that does the work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from deployments.errors import InvalidRequest, UnknownModel
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.generation import SEEDS, Run
from deployments.ingress.core.job_source import (
    Open,
    Preserve,
    distinct,
    lineage,
    open_result,
    open_upload,
)
from deployments.ingress.core.places_client import Holder, RequestPlaces
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import new_key
from deployments.ingress.core.uploads import decode_mask, decode_upload
from deployments.jobs import ImageJob, StoredImage
from deployments.settings import IngressSettings, ModelSettings, UploadLimits

T = TypeVar("T")

DECODERS = 2
"""Photos decoded at once: a large one takes some hundred megabytes while it is."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks for; None leaves a value to the model's default.

    Attributes:
        model: Catalog id.
        prompt: What the images shall show.
        num_images: How many to make.
        negative_prompt: What they shall not show.
        seed: Seed of the first image.
        steps: Scheduler steps.
        guidance_scale: Classifier-free guidance.
        strength: Distance from the photo, above 0 to 1.
        preserve: Whether the product is kept.
    """

    model: str
    prompt: str
    num_images: int
    negative_prompt: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    preserve: Preserve = "auto"


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a caller is served.

    Attributes:
        key: Name of the API key, empty without one.
        deadline: When the request is given up.
        progress: Whether the run reports denoising steps.
    """

    key: str
    deadline: Deadline
    progress: bool


class Service:
    """The use cases over the other deployments.

    Attributes:
        catalog: The models, in listing order.
        holder: What this replica holds of what all ingress replicas share.
        answers: Stored answers of idempotency keys.

    Args:
        catalog: The models, in listing order.
        settings: Limits.
        backends: The other deployments.
        shape_floor: The least `Fidelity.shape` with which an image is not made once more.
        version: Version of this package, for the recipes.
    """

    def __init__(
        self,
        *,
        catalog: Sequence[ModelSettings],
        settings: IngressSettings,
        backends: Backends,
        shape_floor: float,
        version: str,
    ) -> None:
        self.catalog = tuple(catalog)
        self._settings = settings
        self._backends = backends
        self._shape_floor = shape_floor
        self._version = version
        self._decoders = CapacityLimiter(DECODERS)
        self.holder = Holder(backends.admission)
        self.answers = backends.answers

    def check(self, order: Order, *, masked: bool = False) -> None:
        """Refuse an order that no photo could make right.

        Args:
            order: What to make.
            masked: Whether the caller marks the product.

        Raises:
            InvalidRequest: The model or a value it cannot run; the sentence names it.
        """
        if masked and order.preserve == "false":
            raise InvalidRequest(
                "product_mask marks what is kept, and preserve_product=false keeps nothing: "
                "send one of them"
            )
        self._jobs(order)

    async def generate(self, order: Order, upload: bytes, mask: bytes | None, terms: Terms) -> Run:
        """Start making images from a photo.

        Places come first: what is refused costs no decoding, and what is decoded at a time is
        bounded.

        Args:
            order: What to make.
            upload: The photo as it was sent.
            mask: Marks the product, as it was sent; None when the caller sent none.
            terms: See there.

        Raises:
            InvalidRequest: As in `check`.
            InvalidImage: The upload or the mask is not an image this service accepts.
            Overloaded: There is no room for all the images.
            RateLimited: The key would pass its rate.
            DeadlineExceeded: It passed meanwhile.
        """
        model, jobs = self._jobs(order)
        async with terms.deadline.bounds():
            places = await self._take(jobs, order, terms)
            try:
                photo = await self._decode(decode_upload, upload)
                marked = None if mask is None else await self._decode(decode_mask, mask)
            except BaseException:
                places.close()
                raise
        return self._run(
            model,
            jobs,
            lambda _: open_upload(self._backends, photo, marked, order.preserve),
            places,
            terms,
        )

    async def vary(self, order: Order, key: str, terms: Terms) -> Run:
        """Start making images from a stored result.

        Whether that exists shows when the run opens.

        Args:
            order: What to make.
            key: The result's key.
            terms: See there.

        Raises:
            InvalidRequest: As in `check`.
            Overloaded: There is no room for all the images.
            RateLimited: The key would pass its rate.
            DeadlineExceeded: It passed meanwhile.
        """
        model, jobs = self._jobs(order)
        async with terms.deadline.bounds():
            places = await self._take(jobs, order, terms)
        decode = partial(self._decode, decode_upload)
        opened = partial(open_result, self._backends, decode, key, order.preserve)
        return self._run(model, jobs, opened, places, terms)

    async def load_image(self, key: str) -> StoredImage:
        """Read a result.

        Raises:
            ImageNotFound: It does not exist, or no longer.
        """
        return await self._backends.results.load_image(key)

    async def delete(self, key: str) -> None:
        """Remove a result, and what it was made from where no other result needs that.

        Raises:
            ImageNotFound: It does not exist, or no longer.
        """
        recipe = await self._backends.results.load_recipe(key)
        await self._backends.results.delete(key, distinct(*lineage(recipe)))

    async def _take(self, jobs: Sequence[ImageJob], order: Order, terms: Terms) -> RequestPlaces:
        return await self.holder.take(order.model, terms.key, len(jobs), jobs[0].denoising_steps)

    async def _decode(self, decode: Callable[[bytes, UploadLimits], T], data: bytes) -> T:
        """Turn untrusted bytes into clean pixels, off the event loop."""
        return await to_thread.run_sync(decode, data, self._settings.limits, limiter=self._decoders)

    def _run(
        self,
        model: ModelSettings,
        jobs: Sequence[ImageJob],
        origin: Open,
        places: RequestPlaces,
        terms: Terms,
    ) -> Run:
        return Run(
            model=model,
            jobs=jobs,
            origin=origin,
            places=places,
            backends=self._backends,
            shape_floor=self._shape_floor,
            deadline=terms.deadline,
            progress=terms.progress,
            version=self._version,
        )

    def _jobs(self, order: Order) -> tuple[ModelSettings, list[ImageJob]]:
        model = next((model for model in self.catalog if model.id == order.model), None)
        if model is None:
            known = ", ".join(model.id for model in self.catalog)
            raise UnknownModel(f"model {order.model!r} is not known; known models: {known}")
        steps = model.steps if order.steps is None else order.steps
        strength = model.strength if order.strength is None else order.strength
        guidance = model.guidance_scale if order.guidance_scale is None else order.guidance_scale
        if steps > model.max_steps:
            raise InvalidRequest(
                f"steps: model {model.id!r} takes at most {model.max_steps}, not {steps}"
            )
        first = secrets.randbelow(SEEDS) if order.seed is None else order.seed
        jobs = [
            ImageJob(
                key=new_key(),
                prompt=order.prompt,
                negative_prompt=order.negative_prompt,
                seed=(first + index) % SEEDS,
                steps=steps,
                guidance_scale=guidance,
                strength=strength,
                control_scale=model.control_scale,
                control_start=model.control_start,
                control_end=model.control_end,
            )
            for index in range(order.num_images)
        ]
        if any(job.denoising_steps < 1 for job in jobs):
            raise InvalidRequest(
                f"strength: {strength:g} of {steps} steps leaves none to take; "
                f"at least {1 / steps:g} is needed"
            )
        return model, jobs
