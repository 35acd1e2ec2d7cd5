"""The REST contract as a FastAPI application.

Knows no Ray: the use cases arrive as a `Service`, so the whole surface can be tested in memory.
"""

# No postponed annotations here: FastAPI reads those of the routes below, which name local types.
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Form, Path, Request
from fastapi.staticfiles import StaticFiles
from sse_starlette import EventSourceResponse
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from deployments.errors import ImageNotFound, InvalidRequest, ServiceError
from deployments.ingress.core.generation import Run
from deployments.ingress.core.idempotency import (
    HEADER,
    REPLAYED,
    Idempotency,
    KeptAnswer,
    Turn,
    fingerprint,
    key_of,
)
from deployments.ingress.core.result_urls import KEY_PATTERN, ResultUrls, is_key
from deployments.ingress.core.service import Order, Service, Terms
from deployments.ingress.http import openapi, problems
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.chat_page import add_playground
from deployments.ingress.http.delivery import Answers, replayed, server_timing
from deployments.ingress.http.middleware.deadline_header import RequestDeadline
from deployments.ingress.http.middleware.frame import RequestContext
from deployments.ingress.http.middleware.observation import Observation, Observer
from deployments.ingress.http.middleware.security_headers import SecurityHeaders
from deployments.ingress.http.middleware.whole_forms import WholeForms
from deployments.ingress.http.result_responses import image_response
from deployments.ingress.http.schemas import ModelEntry, ModelsAnswer, request_models
from deployments.settings import CorsSettings, IngressSettings

FORM = "multipart/form-data"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
NO_STORE = {"Cache-Control": "no-store"}
MAX_FILES, MAX_FIELDS = 8, 32
"""Parts of a form: more than it has fields, so that one too many is named and not only counted."""

PING_S = 15
"""Seconds between comments that keep an idle event stream open through proxies."""

_LOCALHOST = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"


def create_api(
    service: Service,
    settings: IngressSettings,
    *,
    version: str,
    retention_s: float | None = None,
    keys: KeyRing | None = None,
    sends_request_id: bool = True,
    observer: Observer | None = None,
) -> FastAPI:
    """Build the application.

    Args:
        service: The use cases.
        settings: Limits, CORS and the public base URL.
        version: Version of this package, shown in the OpenAPI document.
        retention_s: Seconds a result is kept, which bounds how long it may be cached.
        keys: Keys that calls under /api/, and removals, must carry; None lets everybody in.
        sends_request_id: Put the request id into the answer's headers; off where the server in
            front does so.
        observer: Hears of every request; None where nobody wants to know.
    """
    app = FastAPI(
        title="Backdrop",
        version=version,
        description="One product photo and a prompt in, product-image variations out.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    urls = ResultUrls(settings.public_base_url)
    answers = Answers(urls)
    idempotency = Idempotency(service.holder, service.answers)
    bodies = request_models(service.catalog, settings)
    body_limits = {
        "/api/generate": settings.limits.max_body_bytes,
        "/api/variation": min(settings.limits.max_json_bytes, settings.limits.max_body_bytes),
    }

    @app.post(
        "/api/generate",
        form_limits={"max_files": MAX_FILES, "max_fields": MAX_FIELDS},
        **openapi.images_route(),
    )
    async def generate(
        request: Request,
        response: Response,
        form: Annotated[bodies.generate, Form(media_type=FORM)],  # type: ignore[name-defined]  # its bounds are configured
    ) -> Any:  # noqa: ANN401 - one of two response classes
        """Generate product-image variations from a photo and a prompt."""
        await _refuse_repeated_fields(request)
        order = request.state.order = form.order()
        marks = form.product_mask
        service.check(order, masked=marks is not None)
        upload = await form.image.read()
        marked = None if marks is None else await marks.read()
        files = {"image": upload, "product_mask": marked}
        fields = form.model_dump(mode="json", exclude=set(files))
        start = partial(service.generate, order, upload, marked)
        return await answer(request, response, order, start, fields, files)

    @app.post(
        "/api/variation", max_body_size=body_limits["/api/variation"], **openapi.images_route()
    )
    async def variation(request: Request, response: Response, body: bodies.variation) -> Any:  # type: ignore[name-defined]  # noqa: ANN401 - as above
        """Generate variations of an image made here."""
        order = request.state.order = body.order()
        key = urls.key_of(body.image_url, _base(request))
        start = partial(service.vary, order, key)
        return await answer(request, response, order, start, body.model_dump(mode="json"), {})

    @app.get("/api/models", **openapi.models_route())
    async def models() -> ModelsAnswer:
        """List the available models."""
        return ModelsAnswer(
            models=[ModelEntry(id=model.id, name=model.name) for model in service.catalog]
        )

    @app.head("/generated/{key}.png", include_in_schema=False)
    @app.get("/generated/{key}.png", **openapi.result_route())
    async def generated(
        request: Request,
        key: Annotated[str, Path(json_schema_extra={"pattern": f"^{KEY_PATTERN}$"})],
    ) -> Response:
        """Fetch a generated image."""
        if not is_key(key):
            raise ImageNotFound("the image does not exist")
        stored = await service.load_image(key)
        public = keys is None or settings.public_results
        return image_response(stored, request.headers, retention_s, public=public)

    @app.delete("/generated/{key}.png", **openapi.removal_route())
    async def delete(
        key: Annotated[str, Path(json_schema_extra={"pattern": f"^{KEY_PATTERN}$"})],
    ) -> None:
        """Delete a generated image, and the photo it was made from where no other needs it."""
        if not is_key(key):
            raise ImageNotFound("the image does not exist")
        await service.delete(key)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return openapi.docs_page(app)

    async def answer(
        request: Request,
        response: Response,
        order: Order,
        start: Callable[[Terms], Awaitable[Run]],
        fields: Mapping[str, object],
        files: Mapping[str, bytes | None],
    ) -> Any:  # noqa: ANN401 - as above
        begun = time.monotonic()
        state, base = request.state, _base(request)
        terms = Terms(state.key_name, state.deadline, _wants_events(request))
        with ExitStack() as held:
            turn: Turn | None = None
            if (key := key_of(request.headers.getlist(HEADER))) is not None:
                asked = await fingerprint(request.url.path, fields, files)
                given = await idempotency.turn(terms.key, key, asked, terms.deadline)
                if isinstance(given, KeptAnswer):
                    return _replay(given, terms)
                turn = given
                held.callback(turn.close)
            run = state.run = await start(terms)
            # Whatever is wrong with what was sent has a status of its own, also in a stream.
            await run.opened()
            if terms.progress:
                held.pop_all()  # now the stream's
                failed = partial(_note_failure, request)
                events = answers.events(order, run, base, state.request_id, failed, turn)
                return EventSourceResponse(events, ping=PING_S, headers=NO_STORE)
            taken_s = time.monotonic() - begun
            images = await run.images()
            response.headers["Server-Timing"] = server_timing(images, input=taken_s)
            return await answers.kept(turn, answers.whole(order, images, base), images, base)

    if settings.playground:
        add_playground(app, settings.public_base_url)
    else:
        app.add_api_route("/", _to_the_docs, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=str(files("fastapi_swagger") / "resources")))
    problems.register(app, body_limits)
    app.add_middleware(WholeForms)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=settings.limits.max_body_bytes)
    app.add_middleware(RequestDeadline, longest_s=settings.deadline_s)
    app.add_middleware(
        RequestContext,
        body_limits=body_limits,
        body_types={"/api/generate": FORM, "/api/variation": JSON},
        keys=keys,
        public_results=settings.public_results,
        sends_request_id=sends_request_id,
    )
    _allow_pages(app, settings.cors)
    app.add_middleware(SecurityHeaders, public_results=settings.public_results)
    if observer is not None:
        ids = [model.id for model in service.catalog]
        app.add_middleware(Observation, routes=app.routes, models=ids, observer=observer)
    openapi.describe(app, keys_required=keys is not None, public_results=settings.public_results)
    return app


def _replay(kept: KeptAnswer, terms: Terms) -> Response:
    headers = {REPLAYED: "true", **NO_STORE}
    if terms.progress:
        return EventSourceResponse(replayed(kept), ping=PING_S, headers=headers)
    return JSONResponse(kept.answer, headers=headers)


async def _to_the_docs() -> RedirectResponse:
    return RedirectResponse("docs")


async def _refuse_repeated_fields(request: Request) -> None:
    """A field sent twice has no single meaning, and the form model keeps only the last."""
    names = [name for name, _ in (await request.form()).multi_items()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"field given more than once: {', '.join(twice)}")


def _wants_events(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return any(part.split(";")[0].strip() == EVENT_STREAM for part in accepted.split(","))


def _note_failure(request: Request, error: ServiceError) -> None:
    """Tell the observation how an answer ended whose status has long been sent."""
    request.state.problem = (error.status, error.code)


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _allow_pages(app: FastAPI, cors: CorsSettings) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(cors.origins),
        allow_origin_regex=_LOCALHOST if cors.localhost else None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["X-Request-Id", "Retry-After", REPLAYED],
    )
