"""The REST contract as a FastAPI application.

Knows no Ray: the use cases arrive as a `Service`, so the whole surface can be tested in memory.
"""

# No postponed annotations here: FastAPI reads those of the routes below, which name local types.
import time
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Form, Path, Request
from fastapi.staticfiles import StaticFiles
from sse_starlette import EventSourceResponse
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, RedirectResponse, Response

from deployments.errors import ImageNotFound, InvalidRequest
from deployments.ingress import openapi, problems
from deployments.ingress.answers import Answers, server_timing
from deployments.ingress.context import RequestContext
from deployments.ingress.keys import KeyRing
from deployments.ingress.results import image_response
from deployments.ingress.run import Run
from deployments.ingress.schemas import ModelEntry, ModelsAnswer, request_models
from deployments.ingress.service import Order, Service
from deployments.ingress.urls import KEY_PATTERN, ResultUrls, is_key
from deployments.settings import CorsSettings, IngressSettings

FORM = "multipart/form-data"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
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
    bodies = request_models(service.catalog, settings)

    @app.post("/api/generate", **openapi.images_route())
    async def generate(
        request: Request,
        response: Response,
        form: Annotated[bodies.generate, Form(media_type=FORM)],  # type: ignore[name-defined]  # its bounds are configured
    ) -> Any:  # noqa: ANN401 - one of two response classes
        """Generate product-image variations from a photo and a prompt."""
        await _refuse_repeated_fields(request)
        order = form.order()
        marks = form.product_mask
        service.check(order, masked=marks is not None)
        upload = await form.image.read()
        marked = None if marks is None else await marks.read()
        begun = time.monotonic()
        photo = await service.decode(upload)
        mask = None if marked is None else await service.decode_mask(marked)
        run = service.generate(order, photo, mask, progress=_wants_events(request))
        return await answer(request, response, order, run, begun)

    @app.post("/api/variation", **openapi.images_route())
    async def variation(request: Request, response: Response, body: bodies.variation) -> Any:  # type: ignore[name-defined]  # noqa: ANN401 - as above
        """Generate variations of an image made here."""
        begun = time.monotonic()
        order = body.order()
        key = urls.key_of(body.image_url, _base(request))
        run = service.vary(order, key, progress=_wants_events(request))
        return await answer(request, response, order, run, begun)

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
        return image_response(stored, request.headers, retention_s)

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

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("docs")

    async def answer(
        request: Request, response: Response, order: Order, run: Run, begun: float
    ) -> Any:  # noqa: ANN401 - as above
        base = _base(request)
        # Whatever is wrong with what was sent has a status of its own, also in a stream.
        await run.opened()
        if _wants_events(request):
            events = answers.events(order, run, base, request.state.request_id)
            return EventSourceResponse(events, ping=PING_S, headers={"Cache-Control": "no-store"})
        taken_s = time.monotonic() - begun
        images = await run.images()
        response.headers["Server-Timing"] = server_timing(images, input=taken_s)
        return answers.whole(order, images, base)

    app.mount("/docs/assets", StaticFiles(directory=str(files("fastapi_swagger") / "resources")))
    problems.register(app, settings.limits.max_body_bytes)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=settings.limits.max_body_bytes)
    app.add_middleware(
        RequestContext,
        max_body_bytes=settings.limits.max_body_bytes,
        body_types={"/api/generate": FORM, "/api/variation": JSON},
        keys=keys,
        sends_request_id=sends_request_id,
    )
    _allow_pages(app, settings.cors)
    openapi.describe(app, keys_required=keys is not None)
    return app


async def _refuse_repeated_fields(request: Request) -> None:
    """A field sent twice has no single meaning, and the form model keeps only the last."""
    names = [name for name, _ in (await request.form()).multi_items()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"field given more than once: {', '.join(twice)}")


def _wants_events(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return any(part.split(";")[0].strip() == EVENT_STREAM for part in accepted.split(","))


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _allow_pages(app: FastAPI, cors: CorsSettings) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(cors.origins),
        allow_origin_regex=_LOCALHOST if cors.localhost else None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )
