"""One image: painted by its model where there is one, finished by the studio, and its recipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime

from deployments.encoded import FinishedImage
from deployments.errors import ReplicaLost
from deployments.ingress.core.events import ImageProgress, Timings
from deployments.ingress.core.job_source import Origin
from deployments.ingress.core.keys import owner_of
from deployments.ingress.core.orders import PlainJob, Plan
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.terms import Terms
from deployments.jobs import GeneratedImage, ImageJob
from deployments.recipes import Recipe


class Maker:
    """Makes the images of one request.

    Args:
        plan: What is made.
        backends: The other deployments.
        terms: Whose it is, and whether it hears of single steps.
        version: Version of this package, for the recipes.
        tell: Hears of every step.
    """

    def __init__(
        self,
        plan: Plan,
        backends: Backends,
        terms: Terms,
        version: str,
        tell: Callable[[ImageProgress], None],
    ) -> None:
        self._plan = plan
        self._backends = backends
        self._terms = terms
        self._version = version
        self._tell = tell

    async def make(
        self, index: int, job: ImageJob | PlainJob, origin: Origin, calls: AsyncExitStack
    ) -> tuple[Recipe, FinishedImage, tuple[str, ...], Timings]:
        """Make one image.

        Args:
            index: Its place in the request.
            job: What to make.
            origin: What it is made from.
            calls: Closed by the caller, once there is time: closing cancels, and right after its
                image a call is about to end by itself.

        Returns:
            The recipe, the file, sentences for the caller, and how long it took.

        Raises:
            ServiceError: It could not be made.
        """
        asked = time.monotonic()
        image, warnings = None, self._plan.warnings
        if isinstance(job, ImageJob):
            image = await self._generate(index, job, origin, calls)
            warnings += image.warnings
        engine_s = 0.0 if image is None else image.engine_s
        made = time.monotonic()
        recipe = self._recipe(job, image, origin)
        finished = await self._backends.studio.finish(image, recipe, origin.opened)
        timings = Timings(
            engine_s=engine_s,
            handle_s=made - asked - engine_s,
            finish_s=time.monotonic() - made,
        )
        recipe = replace(recipe, fidelity=finished.fidelity, placement=finished.placement)
        return recipe, finished, warnings, timings

    async def _generate(
        self, index: int, job: ImageJob, origin: Origin, calls: AsyncExitStack
    ) -> GeneratedImage:
        model = self._plan.order.model or ""
        items = self._backends.models.generate(
            model, job, origin.opened, progress=self._terms.progress
        )
        await calls.enter_async_context(aclosing(items))
        async for item in items:
            if isinstance(item, GeneratedImage):
                return item
            self._tell(ImageProgress(index, item.step, item.steps))
        raise ReplicaLost(f"model {model!r} ended without an image")

    def _recipe(
        self, job: ImageJob | PlainJob, image: GeneratedImage | None, origin: Origin
    ) -> Recipe:
        model, order = self._plan.model, self._plan.order
        controlled = model is not None and model.controlnet is not None
        return Recipe(
            model=None if model is None else model.id,
            weights=None if image is None else image.weights,
            scheduler=None if model is None else model.scheduler,
            source=origin.kind,
            source_key=origin.key,
            photo_key=origin.photo_key,
            mask_key=origin.mask_key,
            fidelity=None,
            version=self._version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            settings=job.settings if isinstance(job, ImageJob) else None,
            control=image.control if image is not None and controlled else None,
            look=order.look,
            canvas=order.canvas,
            photo_sha256=origin.photo_sha256,
            photo_opaque=origin.photo_opaque,
            style_sha256=origin.style_sha256,
            owner=owner_of(self._terms.api_key_name),
        )
