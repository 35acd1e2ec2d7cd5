"""The use cases: generate from a photo, vary a result, read and delete a result.

Knows no HTTP and no Ray. Resolves an order against the catalog, takes room for it, and opens the
run that does the work.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from anyio import CapacityLimiter, to_thread

from deployments.errors import InvalidRequest, UnknownModel
from deployments.ingress.admission import Admission
from deployments.ingress.backends import Backends
from deployments.ingress.origins import (
    Open,
    Preserve,
    distinct,
    lineage,
    open_result,
    open_upload,
)
from deployments.ingress.run import SEEDS, Run
from deployments.ingress.uploads import decode_mask, decode_upload
from deployments.ingress.urls import new_key
from deployments.jobs import ImageJob, Mask, Photo, StoredImage
from deployments.settings import IngressSettings, ModelSettings

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


class Service:
    """The use cases over the other deployments.

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
        self._admissions = {
            model.id: Admission(model.id, settings.max_waiting_images) for model in catalog
        }

    async def decode(self, data: bytes) -> Photo:
        """Turn untrusted bytes into a clean photo, off the event loop.

        Raises:
            InvalidImage: They are not an image this service accepts.
        """
        return await to_thread.run_sync(
            decode_upload, data, self._settings.limits, limiter=self._decoders
        )

    async def decode_mask(self, data: bytes) -> Mask:
        """Turn untrusted bytes into a product mask, off the event loop.

        Raises:
            InvalidImage: They are not an image this service accepts as a mask.
        """
        return await to_thread.run_sync(
            decode_mask, data, self._settings.limits, limiter=self._decoders
        )

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

    def generate(self, order: Order, photo: Photo, mask: Mask | None, *, progress: bool) -> Run:
        """Start making images from a photo.

        Args:
            order: What to make.
            photo: What to make it from.
            mask: uint8 [height, width]: 255 marks the product; None when the caller sent none.
            progress: Whether the run reports denoising steps.

        Raises:
            InvalidRequest: As in `check`.
            Overloaded: There is no room for all the images.
        """
        return self._start(
            order, lambda _: open_upload(self._backends, photo, mask, order.preserve), progress
        )

    def vary(self, order: Order, key: str, *, progress: bool) -> Run:
        """Start making images from a stored result.

        Whether that exists shows when the run opens.

        Args:
            order: What to make.
            key: The result's key.
            progress: Whether the run reports denoising steps.

        Raises:
            InvalidRequest: As in `check`.
            Overloaded: There is no room for all the images.
        """
        opened = partial(open_result, self._backends, self.decode, key, order.preserve)
        return self._start(order, opened, progress)

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

    def _start(self, order: Order, origin: Open, progress: bool) -> Run:
        model, jobs = self._jobs(order)
        admission = self._admissions[model.id]
        admission.take(len(jobs))
        return Run(
            model=model,
            jobs=jobs,
            origin=origin,
            admission=admission,
            backends=self._backends,
            shape_floor=self._shape_floor,
            deadline_s=self._settings.deadline_s,
            progress=progress,
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
