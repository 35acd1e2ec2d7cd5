"""What the OpenAPI document says of the façade's routes."""

from __future__ import annotations

from typing import Any

from deployments.ingress.http import openapi
from deployments.ingress.http.forms import FORM, JSON
from deployments.ingress.http.negotiation import EVENT_STREAM
from deployments.ingress.http.openai.answers import (
    FailureAnswer,
    ImagesResponse,
    ModelList,
    ModelObject,
)
from deployments.ingress.http.openai.failures import NAMES
from deployments.ingress.http.openai.fields import OwnFields
from deployments.ingress.http.schemas import GenerateForm

TAG = "openai"

_FILE = {"type": "string", "format": "binary"}
_FILES = ("image", "product_mask", "background_image", "style_image")
_MASK = (
    "What is transparent in it may change, and what is opaque is the product: a PNG or WebP of the "
    "photo's size."
)
_EVENTS = (
    "With `stream`: an event `image_edit.completed` for each image as soon as it is done, with the "
    "fields of both, and `image_edit.withheld` where it will not come. `error` ends a stream that "
    "fails."
)

_EVENT = {
    "type": "object",
    "properties": {
        "event": {
            "type": "string",
            "enum": ["image_edit.completed", "image_edit.withheld", "warning", "error"],
        },
        "data": {"type": "string", "contentMediaType": JSON},
    },
}


def models_route() -> dict[str, Any]:
    """Arguments of the route that lists the models."""
    return {
        "operation_id": "openai_list_models",
        "response_model": ModelList,
        "tags": [TAG],
        "responses": _failures(401, 500),
    }


def model_route() -> dict[str, Any]:
    """Arguments of the route that describes a model."""
    return {
        "operation_id": "openai_get_model",
        "response_model": ModelObject,
        "tags": [TAG],
        "responses": _failures(401, 404, 500),
    }


def edits_route(operation: str, generate: type[GenerateForm]) -> dict[str, Any]:
    """Arguments of a route that makes images of a photo; it reads its form itself.

    Args:
        operation: Its name for generated clients.
        generate: What the form of POST /api/generate must be.
    """
    route = openapi.images_route(operation)
    made = {**route["responses"][200], "description": f"The images. {_EVENTS}"}
    made["content"] = {EVENT_STREAM: {"schema": _EVENT}}
    body = {"required": True, "content": {FORM: {"schema": _form(generate)}}}
    return {
        "operation_id": operation,
        "response_model": ImagesResponse,
        "tags": [TAG],
        "openapi_extra": {"parameters": openapi.HEADERS, "requestBody": body},
        "responses": {
            200: made,
            **_failures(400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504),
        },
    }


def _form(generate: type[GenerateForm]) -> dict[str, Any]:
    """The fields of POST /api/generate by their names here, and OpenAI's own."""
    schema = generate.model_json_schema()
    fields: dict[str, Any] = schema["properties"]
    for field in fields.values():
        for kind in field.pop("anyOf", []):
            if kind != {"type": "null"}:
                field.update(kind)
    for ours, here in NAMES.items():
        fields[here] = fields.pop(ours)
    for name in _FILES:
        fields[name] = {"description": fields[name]["description"], **_FILE}
    fields["mask"] = {"description": _MASK, **_FILE}
    fields["n"]["default"] = 1
    fields["background"] |= {
        "default": "auto",
        "description": f"`auto` and `opaque` are `scene`. {fields['background']['description']}",
        "pattern": fields["background"]["pattern"].replace("scene", "auto|opaque|scene"),
    }
    own = OwnFields.model_json_schema()["properties"]
    return {**schema, "title": "EditForm", "properties": {**fields, **own}}


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """As of the other routes, in OpenAI's form."""
    known = {**openapi.images_route("")["responses"], **openapi.models_route()["responses"]}
    return {status: {**known[status], "model": FailureAnswer} for status in statuses}
