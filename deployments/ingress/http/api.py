"""The REST contract as a FastAPI application.

The use cases arrive as a `Service`, so that the whole surface can be tested in memory.
"""

# No postponed annotations here: FastAPI reads those of the routes below, which name local types.
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from fastapi.staticfiles import StaticFiles
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response

from deployments.ingress.core.generation import Generation
from deployments.ingress.core.idempotency import KeptAnswer
from deployments.ingress.core.orders import Asked, Files, Order
from deployments.ingress.core.result_urls import ResultUrls
from deployments.ingress.core.service import Service
from deployments.ingress.core.terms import Terms
from deployments.ingress.http import openapi, problems
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.background import Background, add_background, refuse_callback
from deployments.ingress.http.catalogue import add_catalogue
from deployments.ingress.http.chat_page import add_playground
from deployments.ingress.http.cutouts import add_cutouts
from deployments.ingress.http.delivery import Delivery, replayed, server_timing
from deployments.ingress.http.exchange import NO_STORE, base_of, event_stream, note_failure
from deployments.ingress.http.forms import (
    FORM,
    JSON,
    MAX_FIELDS,
    MAX_FILES,
    SentFiles,
    read_either,
    refuse_repeated_fields,
)
from deployments.ingress.http.idempotency_header import HEADER, REPLAYED, idempotency_key_of
from deployments.ingress.http.middleware.arrivals import Arrivals
from deployments.ingress.http.middleware.deadline_header import RequestDeadline
from deployments.ingress.http.middleware.forwarded_scheme import ForwardedScheme
from deployments.ingress.http.middleware.frame import RequestFrame
from deployments.ingress.http.middleware.gate import Gate
from deployments.ingress.http.middleware.multipart_forms import MultipartForms
from deployments.ingress.http.middleware.pages import PageAccess
from deployments.ingress.http.middleware.security_headers import SecurityHeaders
from deployments.ingress.http.negotiation import wants_events
from deployments.ingress.http.openai.routes import EDITS, VARIATIONS, add_openai
from deployments.ingress.http.openapi_document import add_document
from deployments.ingress.http.outcome import Observer
from deployments.ingress.http.prefer_header import HEADER as PREFER
from deployments.ingress.http.prefer_header import prefers_async
from deployments.ingress.http.recipes import add_recipes
from deployments.ingress.http.results import add_results
from deployments.ingress.http.schemas import request_models
from deployments.presets import DEFAULT_PRESETS, PresetFields
from deployments.settings import IngressSettings


def create_api(
    service: Service,
    settings: IngressSettings,
    *,
    version: str,
    retention_s: float | None = None,
    keys: KeyRing | None = None,
    sends_request_id: bool = True,
    observer: Observer | None = None,
    departures: tuple[type[BaseException], ...] = (),
    presets: Mapping[str, PresetFields] = DEFAULT_PRESETS,
) -> FastAPI:
    """Build the application.

    Args:
        service: The use cases.
        settings: Limits, CORS and the public base URL.
        version: Version of this package, shown in the OpenAPI document.
        retention_s: Seconds a result is kept, which bounds how long it may be cached.
        keys: Keys that calls, and removals, must carry; None lets everybody in.
        sends_request_id: Put the request id into the answer's headers; off where the server in
            front does so.
        observer: Hears of every request; None where nobody wants to know.
        departures: Errors of the server's `receive` that mean that the caller has left.
        presets: Sets of fields that a request may choose by name, without `presets.faults`.
    """

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        """Work on background requests, tell of them, and write usage down, while it runs."""
        work = [
            asyncio.create_task(service.background.run()),
            asyncio.create_task(background.deliver()),
            asyncio.create_task(service.usage.run()),
        ]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)

    app = FastAPI(
        title="Backdrop",
        version=version,
        description="One product photo and a prompt in, product-image variations out.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=working,
    )
    urls = ResultUrls(settings.public_base_url, settings.earlier_base_urls)
    delivery = Delivery(urls)
    listed = keys is not None or not settings.allow_anonymous
    background = Background(service.background, delivery, listed=listed)
    public = keys is None or settings.public_results
    bodies = request_models(service.catalog, settings, service.max_output_side, presets)
    json_limit = min(settings.limits.max_json_bytes, settings.limits.max_body_bytes)
    body_limits = {
        "/api/generate": settings.limits.max_body_bytes,
        "/api/variation": settings.limits.max_body_bytes,
        "/api/cutout": settings.limits.max_body_bytes,
        EDITS: settings.limits.max_body_bytes,
        VARIATIONS: settings.limits.max_body_bytes,
    }

    @app.post(
        "/api/generate",
        form_limits={"max_files": MAX_FILES, "max_fields": MAX_FIELDS},
        **openapi.images_route("generate_images"),
    )
    async def generate(
        request: Request,
        response: Response,
        form: Annotated[bodies.generate, Form(media_type=FORM)],  # type: ignore[name-defined]  # its bounds are configured
    ) -> Any:  # noqa: ANN401 - one of two response classes
        """Generate product-image variations from a photo and a prompt."""
        await refuse_repeated_fields(request)
        pictured = form.background_image is not None
        order = request.state.order = form.order(pictured=pictured)
        sent = await SentFiles.of(request)
        files = Files(
            image=sent.file_or_none(form.image),
            product_mask=sent.file_or_none(form.product_mask),
            background_image=sent.file_or_none(form.background_image),
            style_image=sent.file_or_none(form.style_image),
        )
        if prefers_async(request.headers.getlist(PREFER)):
            asked = Asked(order, form.cutout)
            return await background.accept(request, asked, files, terms(request), form.callback_url)
        refuse_callback(form.callback_url)
        started = service.generate(order, files, terms(request), form.cutout)
        return await answer(request, response, order, started)

    @app.post("/api/variation", **openapi.variation_route(bodies.variation, bodies.variation_form))
    async def variation(request: Request, response: Response) -> Any:  # noqa: ANN401 - as above
        """Generate variations of an image made here."""
        kinds = bodies.variation, bodies.variation_form
        async with read_either(request, *kinds, json_limit) as (asked, files):
            sent = Files(
                background_image=files.get("background_image"), style_image=files.get("style_image")
            )
            pictured = sent.background_image is not None
            order = request.state.order = asked.order(pictured=pictured)
            result = urls.name_of(asked.image_url, base_of(request))
            if prefers_async(request.headers.getlist(PREFER)):
                later = Asked(order, asked.cutout, result.key, result.file_format)
                callback_url = asked.callback_url
                return await background.accept(request, later, sent, terms(request), callback_url)
            refuse_callback(asked.callback_url)
            started = service.vary(order, result, sent, terms(request), asked.cutout)
            return await answer(request, response, order, started)

    add_catalogue(app, service, settings, presets, retention_s)
    add_results(app, service.results, retention_s, public=public)
    add_recipes(app, service.results, urls, listed=listed)

    def terms(request: Request) -> Terms:
        state = request.state
        key = idempotency_key_of(request.headers.getlist(HEADER))
        return Terms(
            state.api_key_name,
            state.deadline,
            _wants_events(request),
            key,
            tell_rates=partial(setattr, state, "rates"),
        )

    async def answer(
        request: Request,
        response: Response,
        order: Order,
        started: Awaitable[Generation | KeptAnswer],
    ) -> Any:  # noqa: ANN401 - as above
        begun = time.monotonic()
        state, base, events = request.state, base_of(request), _wants_events(request)
        generation = await started
        if isinstance(generation, KeptAnswer):
            return _replay(delivery.moved(generation, base), events)
        state.generation = generation
        if events:
            failed = partial(note_failure, request)
            told = delivery.events(order, generation, base, state.request_id, failed)
            return event_stream(told)
        try:
            taken_s = time.monotonic() - begun
            images = await generation.images()
            response.headers["Server-Timing"] = server_timing(images, input=taken_s)
            return await delivery.kept(generation, order, images, base)
        finally:
            generation.close()

    add_cutouts(app, service.cutouts, urls, terms, json_limit, retention_s, public=public)
    add_openai(app, service, delivery, terms, bodies.generate)
    add_background(app, background)
    if settings.playground:
        add_playground(app, settings.public_base_url)
    else:
        app.add_api_route("/", _to_the_docs, include_in_schema=False)
    add_document(app, keys_required=keys is not None, public_results=settings.public_results)
    app.mount("/docs/assets", StaticFiles(directory=str(files("fastapi_swagger") / "resources")))
    problems.register(app, body_limits)
    app.add_middleware(MultipartForms)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=settings.limits.max_body_bytes)
    app.add_middleware(Arrivals, limits=settings.limits)
    app.add_middleware(RequestDeadline, longest_s=settings.deadline_s)
    app.add_middleware(
        Gate,
        body_limits=body_limits,
        body_types={
            "/api/generate": [FORM],
            "/api/variation": [FORM, JSON],
            "/api/cutout": [FORM, JSON],
            EDITS: [FORM],
            VARIATIONS: [FORM],
        },
        keys=keys,
        public_results=settings.public_results,
    )
    app.add_middleware(PageAccess, cors=settings.cors)
    app.add_middleware(ForwardedScheme)
    app.add_middleware(SecurityHeaders, public_results=settings.public_results)
    app.add_middleware(
        RequestFrame,
        routes=app.routes,
        models=[model.id for model in service.catalog],
        observer=observer,
        usage=service.usage,
        sends_request_id=sends_request_id,
        departures=departures,
    )
    return app


def _replay(kept: KeptAnswer, events: bool) -> Response:
    headers = {REPLAYED: "true", **NO_STORE}
    if events:
        return event_stream(replayed(kept), headers)
    return JSONResponse(kept.answer, headers=headers)


async def _to_the_docs() -> RedirectResponse:
    return RedirectResponse("docs")


def _wants_events(request: Request) -> bool:
    return wants_events(request.headers.getlist("accept"))
