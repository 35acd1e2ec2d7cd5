"""What the OpenAPI document says of callbacks: the requests that receivers get."""

from __future__ import annotations

from typing import Any, get_args

from deployments.ingress.http.background_answers import CallbackBody, CallbackType
from deployments.ingress.http.forms import JSON

_WHEN = {
    "job.image": "An image of a job is stored and can be fetched.",
    "job.done": "A job is done: `answer` has what its request would have been answered.",
    "job.failed": "A job has failed: `failure` says why.",
    "job.cancelled": "A job was cancelled.",
}
_HEADERS = {
    "webhook-id": "The event's id: the same at each try, so that one that came before is known.",
    "webhook-timestamp": "When this try is made, in seconds since 1970.",
    "webhook-signature": "One or more of `v1,SIGNATURE` with spaces between: the HMAC-SHA256 of "
    "id, timestamp and body with dots between, in Base64 (Standard Webhooks).",
}


def webhooks() -> dict[str, Any]:
    """The section `webhooks`: one operation for each type of event."""
    parameters = [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in _HEADERS.items()
    ]
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{CallbackBody.__name__}"}}}
    return {
        kind: {
            "post": {
                "operationId": f"on_{kind.replace('.', '_')}",
                "tags": ["jobs"],
                "summary": _WHEN[kind].partition(":")[0].removesuffix("."),
                "description": f"{_WHEN[kind]} Sent to the job's `callback_url`, in the order of "
                "its events, and again for a day until it is answered with 2xx.",
                "parameters": parameters,
                "requestBody": {"required": True, "content": content},
                "responses": {
                    "2XX": {"description": "It has arrived."},
                    "410": {"description": "Send nothing more of this job."},
                },
            }
        }
        for kind in get_args(CallbackType)
    }
