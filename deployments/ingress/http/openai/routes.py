"""The façade's routes."""

# No postponed annotations here: FastAPI reads those of the routes below.
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Path, Request
from starlette.responses import JSONResponse, Response

from deployments.errors import InvalidRequest, ModelNotFound
from deployments.ingress.core.idempotency import KeptAnswer
from deployments.ingress.core.service import Service
from deployments.ingress.core.terms import Terms
from deployments.ingress.http.delivery import Delivery, server_timing
from deployments.ingress.http.exchange import base_of, event_stream, note_failure
from deployments.ingress.http.forms import SentFiles
from deployments.ingress.http.idempotency_header import REPLAYED
from deployments.ingress.http.openai import document
from deployments.ingress.http.openai.answers import ModelList, ModelObject
from deployments.ingress.http.openai.delivery import Rendering
from deployments.ingress.http.openai.fields import MAX_FIELDS, MAX_FILES, names_of, read
from deployments.ingress.http.schemas import GenerateForm
from deployments.settings import ModelSettings

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
GENERATIONS = "/v1/images/generations"

NO_PROMPT = (
    "prompt: no model here varies a photo without one; send it too, here or to POST "
    "/v1/images/edits"
)


def add_openai(
    app: FastAPI,
    service: Service,
    delivery: Delivery,
    terms: Callable[[Request], Terms],
    generate: type[GenerateForm],
) -> None:
    """Add the routes.

    Args:
        app: The application.
        service: The use cases.
        delivery: Renders images as under /api/, which is what is kept of them.
        terms: On which terms the caller of a request is served.
        generate: What the form of POST /api/generate must be.
    """

    def described(model: ModelSettings) -> ModelObject:
        return ModelObject(id=model.id, name=model.name)

    ids = [model.id for model in service.catalog]
    ModelId = Annotated[str, Path(json_schema_extra={"enum": ids})]

    @app.head("/v1/models", include_in_schema=False)
    @app.get("/v1/models", **document.models_route())
    async def openai_models() -> ModelList:
        """List the models, as OpenAI's clients do."""
        return ModelList(data=[described(model) for model in service.catalog])

    @app.head("/v1/models/{model}", include_in_schema=False)
    @app.get("/v1/models/{model}", **document.model_route())
    async def openai_model(model: ModelId) -> ModelObject:
        """Describe a model, as OpenAI's clients ask for it."""
        for known in service.catalog:
            if known.id == model:
                return described(known)
        raise ModelNotFound(f"model {model!r} is not known; known models: {', '.join(ids)}")

    @app.post(EDITS, **document.edits_route("openai_edit_image", generate))
    async def openai_edit(request: Request) -> Response:
        """Make images of a photo and a prompt, as OpenAI's clients ask for them."""
        return await images(request)

    @app.post(VARIATIONS, **document.edits_route("openai_vary_image", generate))
    async def openai_variation(request: Request) -> Response:
        """The same, where a prompt is sent: no model here paints without one."""
        return await images(request, NO_PROMPT)

    # Not in the document: an operation that never succeeds is of no use to generated clients.
    @app.post(GENERATIONS, include_in_schema=False)
    async def openai_generation(request: Request) -> Response:
        """Refuse to draw without a photo: no model here can."""
        raise InvalidRequest(
            "no model here draws without a photo: send one to POST /v1/images/edits, as image"
        )

    async def images(request: Request, no_prompt: str | None = None) -> Response:
        begun = time.monotonic()
        state = request.state
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
            state.field_names = names_of(form)
            if no_prompt is not None and not (form.get("prompt") or form.get("background")):
                raise InvalidRequest(no_prompt)
            asked = read(form, await SentFiles.of(request), generate, service.catalog)
            state.order = asked.order
            on = replace(terms(request), progress=False)
            # The files are there until the form is closed; it reads what it needs of them.
            generation = await service.generate(asked.order, asked.files, on, asked.cutout)
        base = base_of(request)
        rendering = Rendering(delivery, service.results, asked, on.deadline, base)
        if isinstance(generation, KeptAnswer):
            generation = delivery.moved(generation, base)
            headers = {REPLAYED: "true"}
            if asked.stream:
                told = rendering.replayed_events(generation)
                return event_stream(told, headers)
            return JSONResponse(await rendering.replayed(generation), headers=headers)
        state.generation = generation
        if asked.stream:
            failed = partial(note_failure, request)
            told = rendering.events(generation, state.request_id, failed)
            return event_stream(told)
        try:
            taken_s = time.monotonic() - begun
            made = await generation.images()
            headers = {"Server-Timing": server_timing(made, input=taken_s)}
            return JSONResponse(await rendering.whole(generation, made), headers=headers)
        finally:
            generation.close()
