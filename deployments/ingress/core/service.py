"""The use cases: generate from a photo, and vary a result.

Those around cut-outs are in `cutouts`, those around stored results in `result_files`.

An order is planned once, against the catalog. Then the service looks its idempotency key up, takes
room for its images, and starts the generation that makes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from deployments.errors import InternalError, InvalidRequest
from deployments.ingress.core.background.requests import BackgroundRequests
from deployments.ingress.core.cutout_records import usable
from deployments.ingress.core.cutout_source import CutOutSource
from deployments.ingress.core.cutouts import CutOuts
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.demo.warnings import DemoWarnings
from deployments.ingress.core.generation import Generation
from deployments.ingress.core.idempotency import Idempotency, KeptAnswer, Turn, fingerprint
from deployments.ingress.core.job_source import ResultSource, Source, UploadSource, recipe_of
from deployments.ingress.core.layouts import check_files, layout_of
from deployments.ingress.core.orders import Asked, Files, Fixed, Order, Plan, planned
from deployments.ingress.core.places_client import Places, PlacesClient, mark_of
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_files import ResultFiles
from deployments.ingress.core.result_urls import ResultName
from deployments.ingress.core.sent_files import SentFile
from deployments.ingress.core.studio_places import StudioPlaces
from deployments.ingress.core.terms import Terms
from deployments.jobs import ImageJob, Layout, Photo
from deployments.rate_settings import RatesOf
from deployments.settings import IngressSettings, ModelSettings, StudioSettings


class Service:
    """The use cases over the other deployments.

    Attributes:
        catalog: The models, in listing order.
        cutouts: The use cases around cut-outs.
        results: The use cases around stored results.
        replicas: Which deployments have a replica.
        usage: Hears what API keys use.
        background: The use cases around requests that are answered later.
        max_output_side: The longer side of a result in pixels, at most.
        rates_of: Tells the rates of API keys.

    Args:
        catalog: The models, in listing order.
        settings: Limits.
        backends: The other deployments.
        rates_of: Tells the rates of API keys.
        studio: Of results: their longest side, the shape with which one is not made once more, and
            whether their files tell how they were made.
        version: Version of this package, for the recipes.
    """

    def __init__(
        self,
        *,
        catalog: Sequence[ModelSettings],
        settings: IngressSettings,
        backends: Backends,
        rates_of: RatesOf,
        studio: StudioSettings,
        version: str,
    ) -> None:
        self.catalog = tuple(catalog)
        self._demo = DemoWarnings(self.catalog)
        self._backends = backends
        self.results = ResultFiles(backends, public_recipes=studio.public_metadata)
        self.replicas = backends.replicas
        self.usage = backends.usage
        self.rates_of = rates_of
        self._shape_floor = studio.shape_floor
        self._version = version
        self.max_output_side = studio.max_output_side
        self._decoder = Decoder(settings.limits, studio.max_output_side)
        self._places = PlacesClient(backends.admission, rates_of)
        self._idempotency = Idempotency(self._places, backends.answers)
        self._studio_places = StudioPlaces(backends.admission, rates_of)
        self.cutouts = CutOuts(
            backends, self._decoder, self._idempotency, self._studio_places, version=version
        )
        self.background = BackgroundRequests(
            self, backends, self._places, self._idempotency, settings
        )

    async def generate(
        self, order: Order, files: Files, terms: Terms, cutout: str | None = None
    ) -> Generation | KeptAnswer:
        """Start making images from a photo.

        Places come first: what is refused costs no decoding.

        Args:
            order: What to make.
            files: The photo and what came with it; no photo, with a cut-out, takes the one it is
                of.
            terms: See there.
            cutout: The key of the cut-out that is kept; None without one.

        Returns:
            The generation, whose model may start now; or the answer that the same request got.

        Raises:
            InvalidRequest: The model or a value that it cannot run; the sentence names it.
            InvalidImage: A file is not an image this service accepts.
            ProductNotFound: The product must be kept, and there is none.
            IdempotencyConflict: The idempotency key belongs to a request for something else.
            Overloaded: There is no room for all the images.
            RateLimited: The key would pass its rate.
            ImageNotFound: The cut-out does not exist, or no longer, or is another API key's.
            DeadlineExceeded: It passed meanwhile.
        """
        mask = files.product_mask
        plan = self._planned(order, files, terms, cutout)

        async def open_source() -> Source:
            layout = await layout_of(plan, files, self._decoder)
            if cutout is not None:
                sent = None
                if files.image is not None:
                    sent = await self._decoder.photo(await files.image.read())
                return self._with_cutout(plan, layout, cutout, terms, photo=sent)
            if files.image is None:
                raise InvalidRequest("image is required")
            photo = await self._decoder.photo(await files.image.read())
            marked = None
            if mask is not None:
                drawn, by_alpha = await mask.read(), files.mask_by_alpha
                marked = await self._decoder.mask(drawn, photo, by_alpha=by_alpha)
            return UploadSource(
                self._backends,
                photo,
                marked,
                order.preserve,
                layout,
                plan.image_keys,
                plan.source_key,
            )

        fields: dict[str, object] = {} if cutout is None else {"cutout": cutout}
        if files.mask_by_alpha:
            fields["mask_by_alpha"] = True
        sent_files = {"image": files.image, "product_mask": mask, **files.beside}
        return await self._start("generate", plan, terms, fields, sent_files, open_source)

    async def vary(
        self,
        order: Order,
        result: ResultName,
        files: Files,
        terms: Terms,
        cutout: str | None = None,
    ) -> Generation | KeptAnswer:
        """Start making images from a stored result.

        Args:
            order: What to make.
            result: The result.
            files: What came with it: no photo and no mask.
            terms: See there.
            cutout: The key of the cut-out that is kept; None keeps the result's own product.

        Returns:
            As in `generate`.

        Raises:
            ImageNotFound: The result or its product does not exist, or no longer.
            ServiceError: As in `generate`.
        """
        plan = self._planned(order, files, terms, cutout)

        async def open_source() -> Source:
            layout = await layout_of(plan, files, self._decoder)
            if cutout is not None:
                return self._with_cutout(plan, layout, cutout, terms, result=result)
            return ResultSource(
                self._backends,
                self._decoder,
                result,
                order.preserve,
                layout,
                plan.image_keys,
                plan.source_key,
            )

        fields = {"image_key": result.key, **({} if cutout is None else {"cutout": cutout})}
        return await self._start("vary", plan, terms, fields, files.beside, open_source)

    async def fix(self, asked: Asked, files: Files, api_key_name: str) -> Fixed:
        """Find all that is wrong with a request before it is stored to be worked on later.

        Args:
            asked: What is asked for.
            files: What came with it.
            api_key_name: Whose it is, empty without a key.

        Returns:
            What its plan leaves to chance.

        Raises:
            ServiceError: As in `generate` and `vary`, but for those of places and of the product.
        """
        order, cutout, mask = asked.order, asked.cutout, files.product_mask
        plan = planned(order, self.catalog, self._shape_floor)
        check_files(plan, files, cutout)
        if files.image is None and cutout is None and asked.image_key is None:
            raise InvalidRequest("image is required")
        if files.image is not None:
            photo = await self._decoder.photo(await files.image.read())
            if mask is not None:
                await self._decoder.mask(await mask.read(), photo)
        for field, picture in files.beside.items():
            await self._decoder.photo(await picture.read(), field)
        if cutout is not None:
            await usable(self._backends, cutout, api_key_name)
        if asked.result is not None:
            await recipe_of(self._backends, asked.result)
        return plan.fixed

    def warnings(self, order: Order) -> tuple[str, ...]:
        """Sentences that are known before anything of an order is made."""
        return (*self._demo.of(order), *order.warnings)

    async def begin(self, asked: Asked, files: Files, terms: Terms) -> Generation:
        """Start making the images of a request that was stored; see `generate` and `vary`."""
        if asked.result is None:
            started = await self.generate(asked.order, files, terms, asked.cutout)
        else:
            started = await self.vary(asked.order, asked.result, files, terms, asked.cutout)
        if isinstance(started, KeptAnswer):
            raise InternalError("a background request has no idempotency key of its own")
        return started

    def _planned(self, order: Order, files: Files, terms: Terms, cutout: str | None) -> Plan:
        fixed = None if terms.again is None else terms.again.fixed
        plan = planned(order, self.catalog, self._shape_floor, fixed)
        check_files(plan, files, cutout)
        return replace(plan, undrawn=self._demo.of(order))

    def _with_cutout(
        self,
        plan: Plan,
        layout: Layout,
        cutout: str,
        terms: Terms,
        *,
        photo: Photo | None = None,
        result: ResultName | None = None,
    ) -> CutOutSource:
        return CutOutSource(
            self._backends,
            self._decoder,
            cutout,
            terms.api_key_name,
            photo=photo,
            result=result,
            layout=layout,
            results=plan.image_keys,
        )

    async def _start(
        self,
        kind: str,
        plan: Plan,
        terms: Terms,
        fields: Mapping[str, object],
        files: Mapping[str, SentFile | None],
        open_source: Callable[[], Awaitable[Source]],
    ) -> Generation | KeptAnswer:
        turn: Turn | None = None
        fields = {**plan.order.document(), **fields}
        if terms.idempotency_key is not None:
            asked = fingerprint(kind, fields, files)
            given = await self._idempotency.turn(
                terms.api_key_name, terms.idempotency_key, asked, terms.deadline
            )
            if isinstance(given, KeptAnswer):
                return given
            turn = given
        try:
            take = partial(self._take_places, kind, plan, terms, fields, files)
            generation = await self._begin(plan, terms, turn, take, open_source)
            # Whatever is wrong with what was sent has a status of its own, also in a stream.
            await generation.opened()
        except BaseException:
            if turn is not None:
                turn.close()
            raise
        return generation

    async def _begin(
        self,
        plan: Plan,
        terms: Terms,
        turn: Turn | None,
        take_places: Callable[[int], Awaitable[Places]],
        open_source: Callable[[], Awaitable[Source]],
    ) -> Generation:
        async with terms.deadline.bounds():
            made = 0 if terms.again is None else len(terms.again.made)
            places = await take_places(len(plan.jobs) - made)
            try:
                source = await open_source()
            except BaseException:
                places.close()
                raise
        return Generation(
            plan=plan,
            source=source,
            places=places,
            backends=self._backends,
            terms=terms,
            version=self._version,
            turn=turn,
        )

    async def _take_places(
        self,
        kind: str,
        plan: Plan,
        terms: Terms,
        fields: Mapping[str, object],
        files: Mapping[str, SentFile | None],
        images: int,
    ) -> Places:
        first = plan.jobs[0]
        if plan.model is None or not isinstance(first, ImageJob):
            return await terms.counted(self._studio_places.take(terms.api_key_name))
        told = "cutout" in fields or files.get("product_mask") is not None
        taking = self._places.take(
            plan.model.id,
            terms.api_key_name,
            images,
            plan.model.traits.steps_taken(first.settings.steps, first.settings.strength),
            searches=kind == "generate" and plan.order.preserve != "false" and not told,
            mark=mark_of((kind, fields), files),
        )
        return await terms.counted(taking)
