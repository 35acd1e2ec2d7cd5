"""Failures under /v1, in the form that clients of OpenAI's API read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from deployments.ingress.http.schemas import GenerateForm

PREFIX = "/v1"
"""What the paths of the façade start with."""

NAMES: Mapping[str, str] = MappingProxyType(
    {"num_images": "n", "output_quality": "output_compression"}
)
"""By our name of a field the one that it has here."""

OWN = frozenset({
    "n", "mask", "output_compression", "response_format", "stream", "partial_images", "quality",
    "input_fidelity", "moderation", "user", "safety_identifier",
})  # fmt: skip
"""Fields that are OpenAI's and not ours."""

_PARAMS = OWN | GenerateForm.model_fields.keys()
_FIELD = re.compile(r"([a-z_]+(?:\[\w*\])*)(:?)")
_UNNAMED = re.compile(r"(?:unknown field|field given more than once): ([^\s,]+)")


def covers(path: str) -> bool:
    """Whether a path is one of the façade."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def renamed(sentence: str, names: Mapping[str, str]) -> str:
    """A sentence that begins with a field's name, with the name that the caller knows.

    Args:
        sentence: Of a refusal or a warning.
        names: By our name of a field the caller's.
    """
    field = re.match(r"\w*", sentence)[0]  # type: ignore[index]  # it matches every text
    return names.get(field, field) + sentence[len(field) :]


def failure(problem: Mapping[str, Any], status: int, names: Mapping[str, str]) -> dict[str, Any]:
    """The body of a failure.

    Args:
        problem: The body that it has elsewhere.
        status: HTTP status.
        names: As in `renamed`.

    Returns:
        `error` with `message`, `type`, `param` and `code`; and what else `problem` has.
    """
    message = renamed(problem["error"], names)
    kind = "invalid_request_error"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "server_error"
    # Who is refused for a field is told which; other refusals only speak of one.
    about = _param(message) if status in (400, 404) else None
    told = {name: value for name, value in problem.items() if name != "error"}
    return {"error": {"message": message, "type": kind, "param": about, **told}}


def _param(message: str) -> str | None:
    """The field that a sentence is about: it begins with it."""
    if (unnamed := _UNNAMED.match(message)) is not None:
        return unnamed[1]
    if (field := _FIELD.match(message)) is None:
        return None
    return field[1] if field[2] or field[1] in _PARAMS else None
