"""What the document says of event streams: each event's name and data, as schemas.

An event's data is JSON in a text, so its schema stands in `contentSchema` (JSON Schema 2020-12,
8.5). The shape is that of OpenAPI 3.2 for streams, whose document readers are still few.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deployments.ingress.http.answers import (
    ErrorAnswer,
    ImageEvent,
    ImagesAnswer,
    ProgressEvent,
    WithheldEntry,
)

STREAM = "GenerationEvent"
"""Name of the schema of any event of a stream that makes images."""

_DATA: dict[str, tuple[type[BaseModel], str]] = {
    "progress": (ProgressEvent, "An image advanced by a step."),
    "image": (ImageEvent, "An image is stored and can be fetched."),
    "withheld": (WithheldEntry, "An image was made and is not delivered."),
    "done": (ImagesAnswer, "All is done: the same as the JSON answer. The last event."),
    "error": (ErrorAnswer, "It failed. The last event."),
}


def event_schemas() -> dict[str, dict[str, Any]]:
    """The schemas of the events and of their data, by their names."""
    models: list[type[BaseModel]] = [model for model, _ in _DATA.values()]
    _, document = models_json_schema(
        [(model, "serialization") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, dict[str, Any]] = document["$defs"]
    for name, (model, description) in _DATA.items():
        schemas[_title(name)] = _event(name, model, description)
    schemas[STREAM] = {
        "title": STREAM,
        "description": "One event of the stream.",
        "oneOf": [{"$ref": f"#/components/schemas/{_title(name)}"} for name in _DATA],
    }
    return schemas


def _title(name: str) -> str:
    return f"{name.capitalize()}Message"


def _event(name: str, model: type[BaseModel], description: str) -> dict[str, Any]:
    return {
        "title": _title(name),
        "type": "object",
        "description": description,
        "required": ["event", "data"],
        "properties": {
            "event": {"type": "string", "const": name},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": f"#/components/schemas/{model.__name__}"},
            },
        },
    }
