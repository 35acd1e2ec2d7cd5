"""The use cases: generate from a photo, vary a result, read a result.

Knows no HTTP and no Ray. Resolves an order against the catalog, takes room for it, and opens the
run that does the work.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread

from deployments.errors import InternalError, InvalidRequest, UnknownModel
from deployments.ingress.admission import Admission
from deployments.ingress.backends import Models, Results, Studio
from deployments.ingress.run import Run, Source
from deployments.ingress.uploads import decode_upload
from deployments.ingress.urls import new_key
from deployments.jobs import ImageJob, Photo, StoredImage
from deployments.settings import IngressSettings, ModelSettings

SEEDS = 2**32
"""Seeds are 0 to SEEDS - 1; the images of a request take consecutive ones."""

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
    """

    model: str
    prompt: str
    num_images: int
    negative_prompt: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None


class Service:
    """The use cases over the other deployments.

    Args:
        catalog: The models, in listing order.
        settings: Limits.
        studio: Pixel work.
        models: The model deployments.
        results: The store.
        version: Version of this package, for the recipes.
    """

    def __init__(
        self,
        *,
        catalog: Sequence[ModelSettings],
        settings: IngressSettings,
        studio: Studio,
        models: Models,
        results: Results,
        version: str,
    ) -> None:
        self.catalog = tuple(catalog)
        self._settings = settings
        self._studio = studio
        self._models = models
        self._results = results
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

    def check(self, order: Order) -> None:
        """Refuse an order that no photo could make right.

        Raises:
            InvalidRequest: The model or a value it cannot run; the sentence names it.
        """
        self._jobs(order)

    def generate(self, order: Order, photo: Photo, *, progress: bool) -> Run:
        """Start making images from a photo.

        Args:
            order: What to make.
            photo: What to make it from.
            progress: Whether the run reports denoising steps.

        Raises:
            InvalidRequest: As in `check`.
            Overloaded: There is no room for all the images.
        """
        key = new_key()
        return self._start(order, Source(photo, "upload", key, key), progress)

    async def vary(self, order: Order, key: str, *, progress: bool) -> Run:
        """Start making images from a stored result.

        Args:
            order: What to make.
            key: The result's key.
            progress: Whether the run reports denoising steps.

        Raises:
            InvalidRequest: As in `check`.
            ImageNotFound: The result does not exist, or no longer.
            Overloaded: There is no room for all the images.
        """
        self.check(order)
        stored, recipe = await asyncio.gather(
            self._results.load_image(key), self._results.load_recipe(key)
        )
        photo_key = recipe.get("photo_key")
        if not isinstance(photo_key, str):
            raise InternalError("the image's recipe is damaged")
        photo = await self.decode(stored.png)
        return self._start(order, Source(photo, "result", key, photo_key), progress)

    async def load_image(self, key: str) -> StoredImage:
        """Read a result.

        Raises:
            ImageNotFound: It does not exist, or no longer.
        """
        return await self._results.load_image(key)

    def _start(self, order: Order, source: Source, progress: bool) -> Run:
        model, jobs = self._jobs(order)
        admission = self._admissions[model.id]
        admission.take(len(jobs))
        return Run(
            model=model,
            jobs=jobs,
            source=source,
            admission=admission,
            studio=self._studio,
            models=self._models,
            results=self._results,
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
            )
            for index in range(order.num_images)
        ]
        if any(job.denoising_steps < 1 for job in jobs):
            raise InvalidRequest(
                f"strength: {strength:g} of {steps} steps leaves none to take; "
                f"at least {1 / steps:g} is needed"
            )
        return model, jobs
