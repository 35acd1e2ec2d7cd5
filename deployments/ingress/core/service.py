"""The use cases: generate from a photo, vary a result, read and delete a result.

Those around cut-outs are in `cutouts`.

An order is planned once, against the catalog. Then the service looks its idempotency key up, takes
room for its images, and starts the generation that makes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from deployments.errors import InvalidRequest, UnknownModel
from deployments.ingress.core.cutout_source import CutOutSource, check_cutout
from deployments.ingress.core.cutouts import CutOuts
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.generation import SEEDS, Generation
from deployments.ingress.core.idempotency import Idempotency, KeptAnswer, Turn, fingerprint
from deployments.ingress.core.job_source import (
    ResultSource,
    Source,
    UploadSource,
    distinct,
    lineage,
)
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import new_key
from deployments.ingress.core.terms import Terms
from deployments.jobs import GenerationSettings, ImageJob, Photo, Preserve, StoredImage
from deployments.settings import IngressSettings, ModelSettings


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
class _Plan:
    """An order that can be served.

    Attributes:
        model: The model's settings.
        jobs: One for each image.
        shape_floor: See `Generation`; 0 where a seed was asked for, since the same seed gives the
            same image.
    """

    model: ModelSettings
    jobs: tuple[ImageJob, ...]
    shape_floor: float

    @property
    def image_keys(self) -> list[str]:
        """The keys of the results."""
        return [job.key for job in self.jobs]


class Service:
    """The use cases over the other deployments.

    Attributes:
        catalog: The models, in listing order.
        cutouts: The use cases around cut-outs.

    Args:
        catalog: The models, in listing order.
        settings: Limits.
        backends: The other deployments.
        shape_floor: The least `Fidelity.shape` with which an image is not made once more.
        max_output_side: The longer side of a result in pixels, at most; larger photos are decoded
            at a reduced size.
        version: Version of this package, for the recipes.
    """

    def __init__(
        self,
        *,
        catalog: Sequence[ModelSettings],
        settings: IngressSettings,
        backends: Backends,
        shape_floor: float,
        max_output_side: int,
        version: str,
    ) -> None:
        self.catalog = tuple(catalog)
        self._backends = backends
        self._shape_floor = shape_floor
        self._version = version
        self._decoder = Decoder(settings.limits, max_output_side)
        self._places = PlacesClient(backends.admission)
        self._idempotency = Idempotency(self._places, backends.answers)
        self.cutouts = CutOuts(
            backends,
            self._decoder,
            self._idempotency,
            counts_requests=settings.rates.requests_per_minute is not None,
            version=version,
        )

    async def generate(
        self,
        order: Order,
        upload: bytes | None,
        mask: bytes | None,
        terms: Terms,
        cutout: str | None = None,
    ) -> Generation | KeptAnswer:
        """Start making images from a photo.

        Places come first: what is refused costs no decoding.

        Args:
            order: What to make.
            upload: The photo as it was sent; None, with a cut-out, takes the one it is of.
            mask: Marks the product, as it was sent; None when the caller sent none.
            terms: See there.
            cutout: The key of the cut-out that is kept; None without one.

        Returns:
            The generation, whose model may start now; or the answer that the same request got.

        Raises:
            InvalidRequest: The model or a value that it cannot run; the sentence names it.
            InvalidImage: The upload or the mask is not an image this service accepts.
            ProductNotFound: The product must be kept, and there is none.
            IdempotencyConflict: The idempotency key belongs to a request for something else.
            Overloaded: There is no room for all the images.
            RateLimited: The key would pass its rate.
            ImageNotFound: The cut-out does not exist, or no longer, or is another API key's.
            DeadlineExceeded: It passed meanwhile.
        """
        if mask is not None and order.preserve == "false":
            raise InvalidRequest(
                "product_mask marks what is kept, and preserve_product=false keeps nothing: "
                "send one of them"
            )
        check_cutout(cutout, order.preserve, marked=mask is not None)
        plan = self._plan(order)

        async def open_source() -> Source:
            if cutout is not None:
                sent = None if upload is None else await self._decoder.photo(upload)
                return self._with_cutout(plan, cutout, terms, photo=sent)
            if upload is None:
                raise InvalidRequest("image is required")
            photo = await self._decoder.photo(upload)
            marked = None if mask is None else await self._decoder.mask(mask, photo)
            return UploadSource(
                self._backends, photo, marked, order.preserve, plan.model.size, plan.image_keys
            )

        files = {"image": upload, "product_mask": mask}
        fields = {} if cutout is None else {"cutout": cutout}
        return await self._start("generate", plan, order, terms, fields, files, open_source)

    async def vary(
        self, order: Order, image_key: str, terms: Terms, cutout: str | None = None
    ) -> Generation | KeptAnswer:
        """Start making images from a stored result.

        Args:
            order: What to make.
            image_key: The result's.
            terms: See there.
            cutout: The key of the cut-out that is kept; None keeps the result's own product.

        Returns:
            As in `generate`.

        Raises:
            ImageNotFound: The result or its product does not exist, or no longer.
            ServiceError: As in `generate`.
        """
        check_cutout(cutout, order.preserve)
        plan = self._plan(order)

        async def open_source() -> Source:
            if cutout is not None:
                return self._with_cutout(plan, cutout, terms, image_key=image_key)
            return ResultSource(
                self._backends,
                self._decoder,
                image_key,
                order.preserve,
                plan.model.size,
                plan.image_keys,
            )

        fields = {"image_key": image_key, **({} if cutout is None else {"cutout": cutout})}
        return await self._start("vary", plan, order, terms, fields, {}, open_source)

    async def load_image(self, image_key: str) -> StoredImage:
        """Read a result.

        Raises:
            ImageNotFound: It does not exist, or no longer.
        """
        return await self._backends.results.load_image(image_key)

    async def delete(self, image_key: str) -> None:
        """Remove a result, and what it was made from where no other result needs that.

        Raises:
            ImageNotFound: It does not exist, or no longer.
        """
        recipe = await self._backends.results.load_recipe(image_key)
        await self._backends.results.delete(image_key, distinct(*lineage(recipe)))

    def _with_cutout(
        self,
        plan: _Plan,
        cutout: str,
        terms: Terms,
        *,
        photo: Photo | None = None,
        image_key: str | None = None,
    ) -> CutOutSource:
        return CutOutSource(
            self._backends,
            self._decoder,
            cutout,
            terms.api_key_name,
            photo=photo,
            image_key=image_key,
            size=plan.model.size,
            results=plan.image_keys,
        )

    async def _start(
        self,
        kind: str,
        plan: _Plan,
        order: Order,
        terms: Terms,
        fields: Mapping[str, object],
        files: Mapping[str, bytes | None],
        open_source: Callable[[], Awaitable[Source]],
    ) -> Generation | KeptAnswer:
        turn: Turn | None = None
        if terms.idempotency_key is not None:
            asked = await fingerprint(kind, {**asdict(order), **fields}, files)
            given = await self._idempotency.turn(
                terms.api_key_name, terms.idempotency_key, asked, terms.deadline
            )
            if isinstance(given, KeptAnswer):
                return given
            turn = given
        try:
            generation = await self._begin(plan, terms, turn, open_source)
            # Whatever is wrong with what was sent has a status of its own, also in a stream.
            await generation.opened()
        except BaseException:
            if turn is not None:
                turn.close()
            raise
        return generation

    async def _begin(
        self,
        plan: _Plan,
        terms: Terms,
        turn: Turn | None,
        open_source: Callable[[], Awaitable[Source]],
    ) -> Generation:
        async with terms.deadline.bounds():
            places = await self._places.take(
                plan.model.id,
                terms.api_key_name,
                len(plan.jobs),
                plan.jobs[0].settings.denoising_steps,
            )
            try:
                source = await open_source()
            except BaseException:
                places.close()
                raise
        return Generation(
            model=plan.model,
            jobs=plan.jobs,
            source=source,
            places=places,
            backends=self._backends,
            shape_floor=plan.shape_floor,
            deadline=terms.deadline,
            progress=terms.progress,
            version=self._version,
            turn=turn,
        )

    def _plan(self, order: Order) -> _Plan:
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
        settings = GenerationSettings(
            prompt=order.prompt,
            negative_prompt=order.negative_prompt,
            seed=first,
            steps=steps,
            guidance_scale=guidance,
            strength=strength,
        )
        jobs = [
            ImageJob(new_key(), replace(settings, seed=(first + index) % SEEDS))
            for index in range(order.num_images)
        ]
        if settings.denoising_steps < 1:
            raise InvalidRequest(
                f"strength: {strength:g} of {steps} steps leaves none to take; "
                f"at least {1 / steps:g} is needed"
            )
        floor = self._shape_floor if order.seed is None else 0.0
        return _Plan(model, tuple(jobs), floor)
