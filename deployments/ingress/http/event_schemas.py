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
    WaitingEvent,
    WithheldEntry,
)
from deployments.ingress.http.background_answers import CallbackBody

STREAM = "GenerationEvent"
"""Name of the schema of any event of a stream that makes images."""

JOB_STREAM = "JobEvent"
"""Name of the schema of any event of a job."""

_DATA: dict[str, tuple[type[BaseModel], str]] = {
    "waiting": (
        WaitingEvent,
        "Its place in the line, first of all; of a job, whenever it has changed. It has no id.",
    ),
    "progress": (ProgressEvent, "An image advanced by a step."),
    "image": (ImageEvent, "An image is stored and can be fetched."),
    "withheld": (WithheldEntry, "An image was made and is not delivered."),
    "done": (ImagesAnswer, "All is done: the same as the JSON answer. The last event."),
    "error": (ErrorAnswer, "It failed. The last event."),
}
_OF_JOBS: dict[str, tuple[type[BaseModel] | None, str]] = {
    "cancelled": (None, "The job was cancelled. The last event."),
    "interrupted": (ErrorAnswer, "The events cannot be read now: ask again. It has no id."),
}
"""Of jobs alone; some have no data."""


def event_schemas() -> dict[str, dict[str, Any]]:
    """The schemas of the events and of their data, and of callbacks, by their names."""
    told = {**_DATA, **_OF_JOBS}
    models = {model for model, _ in told.values() if model is not None} | {CallbackBody}
    _, document = models_json_schema(
        [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, dict[str, Any]] = document["$defs"]
    for name, (model, description) in told.items():
        schemas[_title(name)] = _event(name, model, description)
    for stream, names in {STREAM: _DATA.keys(), JOB_STREAM: told.keys()}.items():
        schemas[stream] = {
            "title": stream,
            "description": "One event of the stream.",
            "oneOf": [{"$ref": f"#/components/schemas/{_title(name)}"} for name in names],
        }
    return schemas


def _title(name: str) -> str:
    return f"{name.capitalize()}Message"


def _event(name: str, model: type[BaseModel] | None, description: str) -> dict[str, Any]:
    content = {"type": "object", "maxProperties": 0}
    if model is not None:
        content = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        "title": _title(name),
        "type": "object",
        "description": description,
        "required": ["event", "data"],
        "properties": {
            "event": {"type": "string", "const": name},
            "id": {"type": "string", "description": "Of a job's event: its number, from 1 on."},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": content,
            },
        },
    }
