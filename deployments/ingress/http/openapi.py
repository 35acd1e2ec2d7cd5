"""What /openapi.json and /docs say beyond what FastAPI reads off the routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from deployments.ingress.http import idempotency_header
from deployments.ingress.http.answers import ErrorAnswer, ImagesAnswer
from deployments.ingress.http.catalogue_schemas import ModelsAnswer, NotReadyAnswer, ReadyAnswer
from deployments.ingress.http.cutout_schemas import CutOutAnswer, CutOutBody, CutOutForm
from deployments.ingress.http.forms import FORM, JSON
from deployments.ingress.http.idempotency_header import REPLAYED
from deployments.ingress.http.middleware import deadline_header
from deployments.ingress.http.middleware.gate import CALLS, READY

_REASONS = {
    400: "A field is missing, malformed, unknown or out of range, or the image is not accepted.",
    401: "A key is required, and it is missing or wrong.",
    404: "The image does not exist, or no longer.",
    409: "The Idempotency-Key belongs to a request with another body.",
    413: "The body is over the limit.",
    415: "The body is of a type that the path does not take, or is compressed.",
    429: "There is no room now; Retry-After says when to try again.",
    500: "Our fault.",
    503: "The model or the storage cannot serve now; Retry-After says when to try again.",
    504: "The deadline passed.",
}
_WITH_RETRY_AFTER = {429, 503}
_EVENTS = (
    "With `Accept: text/event-stream`: `progress` events (index, step, steps), an `image` event "
    "(index, url, seed, fidelity, width, height, media_type) for each image as soon as it is "
    "stored or `withheld` (index, reason) where it will not come, then `done` with the same body "
    "as the JSON answer, or `error` with the body of a failure."
)
_REPLAYED = {
    REPLAYED: {
        "description": "The answer was given before, to the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_HEADERS = [
    {
        "name": idempotency_header.HEADER,
        "in": "header",
        "required": False,
        "description": "Of the requests with one key only one makes images, and all get its "
        "answer. Another body with the same key is an error.",
        "schema": {"type": "string", "pattern": f"^{idempotency_header.PATTERN}$"},
    },
    {
        "name": deadline_header.HEADER,
        "in": "header",
        "required": False,
        "description": "Seconds after which the request is given up; no more than the service "
        "is configured to.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
]


def images_route() -> dict[str, Any]:
    """Arguments of the two routes that make images."""
    return {
        "response_model": ImagesAnswer,
        "tags": ["images"],
        "openapi_extra": {"parameters": _HEADERS},
        "responses": {
            200: {
                "description": "The images. " + _EVENTS,
                "headers": _REPLAYED,
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **_failures(400, 401, 404, 409, 413, 415, 429, 500, 503, 504),
        },
    }


def variation_route(body: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """Arguments of the route that varies a result; it reads its two kinds of body itself."""
    route = images_route()
    route["openapi_extra"] = {**route["openapi_extra"], "requestBody": _either(body, form)}
    return route


def cutout_route() -> dict[str, Any]:
    """Arguments of the route that cuts products out; it reads its two kinds of body itself."""
    return {
        "response_model": CutOutAnswer,
        "tags": ["cut-outs"],
        "openapi_extra": {
            "parameters": _HEADERS,
            "requestBody": _either(CutOutBody, CutOutForm),
        },
        "responses": {
            200: {"description": "The cut-out.", "headers": _REPLAYED},
            **_failures(400, 401, 404, 409, 413, 415, 429, 500, 503, 504),
        },
    }


def models_route() -> dict[str, Any]:
    """Arguments of the route that lists the models."""
    return {"response_model": ModelsAnswer, "tags": ["models"], "responses": _failures(401, 500)}


def ready_route() -> dict[str, Any]:
    """Arguments of the route that tells readiness, which needs no key."""
    responses = _failures(500, 503)
    responses[503] |= {"model": NotReadyAnswer, "description": "Something has no replica yet."}
    return {"response_model": ReadyAnswer, "tags": ["models"], "responses": responses}


def result_route(tag: str, *media_types: str, widths: Sequence[int] = ()) -> dict[str, Any]:
    """Arguments of a route that serves stored pictures.

    Args:
        tag: The route's group.
        media_types: Of the pictures.
        widths: Of the smaller copies, in pixels; empty where there are none.
    """
    content = {
        media_type: {"schema": {"type": "string", "contentMediaType": media_type}}
        for media_type in media_types
    }
    width = {
        "name": "width",
        "in": "query",
        "required": False,
        "description": "Of a smaller copy, which is a WebP; no image is enlarged.",
        "schema": {"type": "integer", "enum": list(widths)},
    }
    return {
        # With a class that has a media type, FastAPI would give it to the failures too.
        "response_class": Response,
        "tags": [tag],
        "openapi_extra": {"parameters": [width]} if widths else {},
        "responses": {
            200: {"description": "The image.", "content": content},
            304: {"description": "The caller has it already."},
            **_failures(*((400,) if widths else ()), 401, 404, 500, 503),
        },
    }


def removal_route(tag: str, *refusals: int) -> dict[str, Any]:
    """Arguments of a route that deletes stored pictures.

    Args:
        tag: The route's group.
        refusals: Further statuses of failures.
    """
    return {
        "status_code": 204,
        "response_class": Response,
        "tags": [tag],
        "responses": {
            204: {"description": "It is gone."},
            **_failures(*refusals, 401, 404, 500, 503),
        },
    }


def docs_page(app: FastAPI) -> HTMLResponse:
    """Swagger UI from the assets in this environment: no address outside is asked for anything."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{app.title} API",
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon-32x32.png",
    )


def describe(app: FastAPI, *, keys_required: bool, public_results: bool = True) -> None:
    """Correct the document FastAPI makes.

    Takes out its 422, which this API never answers, and the nulls of the form, which has no way to
    write one; adds the keys when they are on, and where they are needed.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            for path in schema["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
            _drop_nulls(schema["components"]["schemas"]["GenerateForm"])
            if keys_required:
                _add_keys(schema, public_results)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _either(body: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """A body that is JSON or a form."""
    fields = form.model_json_schema()
    _drop_nulls(fields)
    named = body.model_json_schema()
    _allow_nulls(named)
    content = {JSON: {"schema": named}, FORM: {"schema": fields}}
    return {"required": True, "content": content}


def _drop_nulls(form: dict[str, Any]) -> None:
    for field in form["properties"].values():
        for kind in field.pop("anyOf", []):
            if kind != {"type": "null"}:
                field.update(kind)


def _allow_nulls(body: dict[str, Any]) -> None:
    """Every field of a JSON body that may be left out may be null as well."""
    for name, field in body["properties"].items():
        if name in body.get("required", []) or {"type": "null"} in field.get("anyOf", []):
            continue
        if "type" in field:
            field["type"] = [field["type"], "null"]
        if "enum" in field:
            field["enum"] = [*field["enum"], None]


def _add_keys(schema: dict[str, Any], public_results: bool) -> None:
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path == READY:
                continue
            if path.startswith(CALLS) or method == "delete" or not public_results:
                operation["security"] = [{"bearer": []}, {"header": []}]


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    failures: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        failures[status] = {"model": ErrorAnswer, "description": _REASONS[status]}
        if status in _WITH_RETRY_AFTER:
            retry_after = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
            failures[status]["headers"] = {"Retry-After": retry_after}
    return failures
