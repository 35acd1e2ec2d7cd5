"""What the routes say of themselves in the OpenAPI document, beyond what FastAPI reads off them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from deployments.ingress.http import idempotency_header, paging, prefer_header
from deployments.ingress.http.answers import ErrorAnswer, ImagesAnswer
from deployments.ingress.http.background_answers import JobAnswer, JobsAnswer
from deployments.ingress.http.catalogue_schemas import ModelsAnswer, NotReadyAnswer, ReadyAnswer
from deployments.ingress.http.cutout_schemas import CutOutAnswer, CutOutBody, CutOutForm
from deployments.ingress.http.event_schemas import JOB_STREAM, STREAM
from deployments.ingress.http.forms import FORM, JSON
from deployments.ingress.http.idempotency_header import REPLAYED
from deployments.ingress.http.middleware import deadline_header
from deployments.ingress.http.negotiation import EVENT_STREAM
from deployments.ingress.http.recipe_schemas import RecipeAnswer, ResultsAnswer
from deployments.ingress.http.schemas import EXAMPLE_URL

_REASONS = {
    400: "A field is missing, malformed, unknown or out of range, or the image is not accepted.",
    401: "A key is required, and it is missing or wrong.",
    403: "The API key may not do this.",
    404: "The image does not exist, or no longer.",
    408: "The body arrives too slowly.",
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
    "With `Accept: text/event-stream`: `progress` events, an `image` event for each image as soon "
    "as it is stored, or `withheld` where it will not come, then `done` or `error`."
)
EXAMPLES = {
    "VariationBody": {
        "image_url": EXAMPLE_URL,
        "prompt": "Change background to forest",
        "model": "stable-diffusion",
        "num_images": 4,
    },
    "CutOutBody": {"image_url": EXAMPLE_URL, "point": "0.5,0.4"},
}
"""Bodies in JSON that can be sent, but for the URL."""
_REPLAYED = {
    REPLAYED: {
        "description": "The answer was given before, to the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
HEADERS = [
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
        "example": 300,
    },
]
"""The headers of every route that makes something."""


_PREFER = {
    "name": prefer_header.HEADER,
    "in": "header",
    "required": False,
    "description": "`respond-async` answers 202 at once, with a job that is worked on in its turn. "
    "Other preferences are ignored.",
    "schema": {"type": "string"},
}
_JOB = {
    "Location": {"description": "The job.", "schema": {"type": "string"}},
    prefer_header.APPLIED: {
        "description": "`respond-async`.",
        "schema": {"type": "string", "enum": [prefer_header.RESPOND_ASYNC]},
    },
}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Only events with larger ids are sent.",
    "schema": {"type": "integer", "minimum": 0},
}


def images_route(operation: str) -> dict[str, Any]:
    """Arguments of the two routes that make images.

    Args:
        operation: Its name for generated clients, as of all routes below.
    """
    return {
        "operation_id": operation,
        "response_model": ImagesAnswer,
        "tags": ["images"],
        "openapi_extra": {"parameters": [*HEADERS, _PREFER]},
        "responses": {
            200: {
                "description": "The images. " + _EVENTS,
                "headers": _REPLAYED,
                "content": {EVENT_STREAM: {"schema": {"$ref": f"#/components/schemas/{STREAM}"}}},
            },
            202: {"description": "With `Prefer`.", "model": JobAnswer, "headers": _JOB},
            **_failures(400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504),
        },
    }


def variation_route(body: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """Arguments of the route that varies a result; it reads its two kinds of body itself."""
    route = images_route("vary_image")
    route["openapi_extra"] = {**route["openapi_extra"], "requestBody": _either(body, form)}
    return route


def cutout_route() -> dict[str, Any]:
    """Arguments of the route that cuts products out; it reads its two kinds of body itself."""
    return {
        "operation_id": "cut_out_product",
        "response_model": CutOutAnswer,
        "tags": ["cut-outs"],
        "openapi_extra": {
            "parameters": HEADERS,
            "requestBody": _either(CutOutBody, CutOutForm),
        },
        "responses": {
            200: {"description": "The cut-out.", "headers": _REPLAYED},
            **_failures(400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504),
        },
    }


def job_route() -> dict[str, Any]:
    """Arguments of the route that shows a job."""
    return {
        "operation_id": "get_job",
        "response_model": JobAnswer,
        "tags": ["jobs"],
        "openapi_extra": {"parameters": [_LAST_EVENT_ID]},
        "responses": {
            200: {
                "description": "The job as it is now. With `Accept: text/event-stream`: its events "
                "after `Last-Event-ID`.",
                "content": {
                    EVENT_STREAM: {"schema": {"$ref": f"#/components/schemas/{JOB_STREAM}"}}
                },
            },
            204: {"description": "An event stream was asked for, and there will be no more."},
            **_failures(400, 401, 403, 404, 500, 503),
        },
    }


def job_removal_route() -> dict[str, Any]:
    """Arguments of the route that cancels a job."""
    return {
        "operation_id": "cancel_job",
        "response_model": JobAnswer,
        "tags": ["jobs"],
        "responses": _failures(401, 403, 404, 500, 503),
    }


def jobs_route() -> dict[str, Any]:
    """Arguments of the route that lists jobs."""
    return {
        "operation_id": "list_jobs",
        "response_model": JobsAnswer,
        "tags": ["jobs"],
        "openapi_extra": {"parameters": paging.PARAMETERS},
        "responses": _failures(400, 401, 403, 404, 500, 503),
    }


def models_route() -> dict[str, Any]:
    """Arguments of the route that lists the models."""
    return {
        "operation_id": "list_models",
        "response_model": ModelsAnswer,
        "tags": ["models"],
        "responses": _failures(401, 500),
    }


def ready_route() -> dict[str, Any]:
    """Arguments of the route that tells readiness, which needs no key."""
    responses = _failures(500, 503)
    responses[503] |= {"model": NotReadyAnswer, "description": "Something has no replica yet."}
    return {
        "operation_id": "get_readiness",
        "response_model": ReadyAnswer,
        "tags": ["models"],
        "responses": responses,
    }


def result_route(
    operation: str, tag: str, *media_types: str, widths: Sequence[int] = ()
) -> dict[str, Any]:
    """Arguments of a route that serves stored pictures.

    Args:
        operation: Its name for generated clients.
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
        "operation_id": operation,
        # With a class that has a media type, FastAPI would give it to the failures too.
        "response_class": Response,
        "tags": [tag],
        "openapi_extra": {"parameters": [width]} if widths else {},
        "responses": {
            200: {"description": "The image.", "content": content},
            304: {"description": "The caller has it already."},
            **_failures(*((400,) if widths else ()), 401, 403, 404, 500, 503),
        },
    }


def results_route() -> dict[str, Any]:
    """Arguments of the route that lists results."""
    return {
        "operation_id": "list_results",
        "response_model": ResultsAnswer,
        "tags": ["images"],
        "openapi_extra": {"parameters": paging.PARAMETERS},
        "responses": _failures(400, 401, 403, 404, 500, 503),
    }


def recipe_route() -> dict[str, Any]:
    """Arguments of the route that tells how a result was made."""
    return {
        "operation_id": "get_recipe",
        "response_model": RecipeAnswer,
        "tags": ["images"],
        "responses": {
            200: {"description": "How the image was made."},
            **_failures(400, 401, 403, 404, 500, 503),
        },
    }


def removal_route(operation: str, tag: str, *refusals: int) -> dict[str, Any]:
    """Arguments of a route that deletes stored pictures.

    Args:
        operation: Its name for generated clients.
        tag: The route's group.
        refusals: Further statuses of failures.
    """
    return {
        "operation_id": operation,
        "status_code": 204,
        "response_class": Response,
        "tags": [tag],
        "responses": {
            204: {"description": "It is gone."},
            **_failures(*refusals, 401, 403, 404, 500, 503),
        },
    }


def _either(body: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """A body that is JSON or a form."""
    content = {
        JSON: {"schema": body.model_json_schema(), "example": EXAMPLES[body.__name__]},
        FORM: {"schema": form.model_json_schema()},
    }
    return {"required": True, "content": content}


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    failures: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        failures[status] = {"model": ErrorAnswer, "description": _REASONS[status]}
        if status in _WITH_RETRY_AFTER:
            retry_after = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
            failures[status]["headers"] = {"Retry-After": retry_after}
    return failures
